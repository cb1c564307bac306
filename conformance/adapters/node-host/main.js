"use strict";
// The host wire: JSON-RPC 2.0, one message a line; a turn that waits is a request that is answered later.

const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const json = require("../node/json");
const { admit } = require("./wire");
const { Core } = require("./core");
const { Refused, Refusal, unsupported } = require("./errors");

const ROOT = join(__dirname, "../../..");
const PROTOCOL = 1;
const CAPABILITIES = ["durable", "clock", "line", "plugins", "queue", "frames", "graph", "waits", "observation"];
const STORE_PROGRAM = join(ROOT, "conformance/adapters/node/main.js");
const STORE = `stdio:node '${STORE_PROGRAM.replaceAll("'", "'\\''")}'`; // split as a shell splits
const wire = json.parse(readFileSync(join(ROOT, "fixtures/wire/host-openrpc.json"), "utf8"));
const METHODS = new Map(wire.methods.map((method) => [method.name, method]));

class Fault extends Error { // of the envelope
  constructor(code, message) { super(message); this.code = code; }
}

const held = new Map(); // handle -> core, session or subscription
let handles = 0;
let ending = false;

function handle(kind, value, core = undefined) {
  const name = `${core ? `${core}/` : ""}${kind[0]}${handles += 1}`;
  held.set(name, value);
  return { [kind]: name };
}

function found(family, name) {
  if (!held.has(name)) throw new Fault(-32602, `no ${family} is called ${JSON.stringify(name)}`);
  return held.get(name);
}

const OWN = {
  initialize({ protocols }) {
    if (!protocols.includes(PROTOCOL)) throw new Fault(-32602, `only protocol ${PROTOCOL} is spoken here`);
    return {
      protocol: PROTOCOL, edition: "2026.11", target: { name: "lash-node-host", version: "0.1.0" }, capabilities: CAPABILITIES,
      limits: { in_flight: 64 }, store: STORE,
    };
  },
  smoke: ({ value }) => value,
  shutdown() { ending = true; return null; },
  pure() { throw unsupported("helpers"); },
  "core.build": (given) => handle("core", new Core(given)),
  "core.advance"({ core, now_ms: now }) { found("core", core).clock.advance(now); return null; },
  async "core.breathe"({ core }) {
    found("core", core);
    for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
    return null;
  },
  "core.fail"({ core, methods }) { found("core", core).line.fail(methods); return null; },
  "core.halt"({ core, halt }) { found("core", core).line.haltAt(halt); return null; },
  "core.halted": ({ core }) => found("core", core).line.halted().then(() => null),
  "core.go_on"({ core }) { found("core", core).line.goOn(); return null; },
  "core.sent": ({ core }) => found("core", core).line.sent(),
  async "core.close"({ core }) {
    await found("core", core).close();
    for (const name of [...held.keys()]) if (name === core || name.startsWith(`${core}/`)) held.delete(name);
    return null;
  },
};

async function perform(method, params) {
  if (OWN[method]) return OWN[method](params);
  const [family, name] = method.split(".");
  const { [family]: address, ...given } = params;
  const answer = await found(family, address)[name](given);
  const [core] = address.split("/");
  if (name === "open" || name === "resume" || name === "clone") return handle("session", answer, core);
  return name === "subscribe" ? handle("subscription", answer, core) : answer ?? null;
}

// The parameters by the method's schema, defaults filled in.
function decode(name, given) {
  const method = METHODS.get(name);
  const known = method && (OWN[name] || /^(core|session|subscription)\./.test(name));
  if (!known) throw new Fault(-32601, `no method ${name}`);
  const missing = method.params.find((param) => !Object.hasOwn(given, param.name));
  if (missing) throw new Fault(-32602, `${name} needs ${missing.name}`);
  return Object.fromEntries(method.params.map((param) => [param.name, admit(wire, param.schema, given[param.name], param.name)]));
}

function failure(err) {
  if (err instanceof Refused || err instanceof Refusal) return { code: 1, message: err.message, data: { error: err.error, fields: err.fields } };
  if (err instanceof Fault) return { code: err.code, message: err.message };
  console.error(err);
  return { code: -32603, message: `${err}` };
}

const isRequest = (request) =>
  request !== null && typeof request === "object" && request.jsonrpc === "2.0" && Number.isInteger(request.id) && typeof request.method === "string" &&
  (request.params === undefined || (typeof request.params === "object" && request.params !== null && !Array.isArray(request.params)));

async function answer(line) {
  let request;
  try { request = json.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line)); } catch (err) {
    return { id: null, error: { code: -32700, message: err.message } };
  }
  const id = Number.isInteger(request?.id) ? request.id : null;
  if (!isRequest(request)) return { id, error: { code: -32600, message: "no JSON-RPC 2.0 request with parameters by name" } };
  try { return { id, result: await perform(request.method, decode(request.method, request.params ?? {})) }; } catch (err) { return { id, error: failure(err) }; }
}

let pending = []; // pieces of a line that has not ended
process.stdin.on("data", (chunk) => {
  for (let end; (end = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(end + 1)) {
    const line = Buffer.concat([...pending, chunk.subarray(0, end)]);
    pending = [];
    answer(line).then((told) => {
      process.stdout.write(`${json.write({ jsonrpc: "2.0", ...told })}\n`);
      if (ending) process.exit(0);
    });
  }
  if (chunk.length) pending.push(chunk);
});
process.stdin.on("end", () => process.exit(0));
