"use strict";
// The line between a core and its stores: the committed Node store in this process, its calls written down, failed and stopped as told.

const { mkdirSync } = require("node:fs");
const { join } = require("node:path");
const bytes = require("../node/bytes");
const json = require("../node/json");
const { Journal } = require("../node/journal");
const { METHODS, Refusal, admit } = require("../node/records");
const tables = require("../node/session");

const COMMIT = "commit_runtime_state";
const PARAMS = Object.fromEntries(Object.entries(METHODS).map(([name, { params }]) => [name, params.slice(1)])); // without the handle

class Line {
  constructor(clock) {
    this.clock = clock;
    this.failing = new Set();
    this.log = [];
    this.halt = undefined; // { side, left, gate, reached }
  }

  fail(methods) { this.failing = new Set(methods); }

  // Everything said since this was asked last.
  sent() { return this.log.splice(0); }

  haltAt({ side, number }) {
    this.halt = { side, left: number, gate: deferred(), reached: deferred() };
  }

  halted() { return this.halt ? this.halt.reached.promise : new Promise(() => {}); }

  goOn() {
    this.halt?.gate.resolve();
    this.halt = undefined;
  }

  async call(on, method, family, act, given) {
    const params = PARAMS[`${family}.${method}`];
    const args = json.parse(json.write(given)); // a copy: what is said cannot be changed afterwards
    const admitted = Object.fromEntries(params.map(({ name, schema }) => [name, admit(schema, args[name] ?? null, name)]));
    this.log.push({ on, method, arguments: params.map(({ name }) => args[name] ?? null) });
    if (this.failing.has(method)) throw new Refusal("Backend", { message: `${method} was told to fail` });
    const halt = method === COMMIT && this.halt && --this.halt.left === 0 ? this.halt : undefined;
    if (halt?.side === "before") await stand(halt);
    const answer = act(admitted);
    if (halt?.side === "after") await stand(halt);
    return answer;
  }
}

function stand(halt) {
  halt.reached.resolve();
  return halt.gate.promise;
}

function deferred() {
  let resolve;
  const promise = new Promise((done) => { resolve = done; });
  return { promise, resolve };
}

// A directory of sessions, through the line.
class Place {
  constructor(directory, line) {
    mkdirSync(directory, { recursive: true });
    this.journal = new Journal(directory);
    this.line = line;
  }

  context(session) { return { journal: this.journal, now: this.line.clock.now, gone: new Set(), session }; }

  factory(method, args) {
    return this.line.call("factory", method, "factory", (given) => this.journal.transact((tx) => tables.factory[method](tx, this.context(), given)), args);
  }

  // The session's own store: every method of the contract, arguments by name.
  store(session) {
    return (method, args = {}) =>
      this.line.call(`store[${session}]`, method, "store", (given) => this.journal.transact((tx) => tables.methods[method](tx, this.context(session), given)), args);
  }

  put(data, meta) { return bytes.put(this.context(), { data: data.toString("base64"), meta }); }
  holds(id) { return bytes.head(this.context(), { attachment_id: id }) !== null; }
}

const open = (directory, line) => ({ main: new Place(join(directory, "main"), line), other: new Place(join(directory, "other"), line) });

module.exports = { Line, open, deferred };
