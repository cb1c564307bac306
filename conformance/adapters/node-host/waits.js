"use strict";
// Durable waits, and the gates that turns end through: the first word stands.

const { createHmac, timingSafeEqual } = require("node:crypto");

const SECRET = "known to this host and nobody else";
const named = (key) => JSON.stringify([key.session_id, key.kind, key.wait_id]);
const seal = (key) => createHmac("sha256", SECRET).update(named(key)).digest("hex");
const REVOKED = "unknown_or_revoked";

class Waits {
  constructor(clock) {
    this.clock = clock;
    this.settled = new Map(); // name -> resolution
    this.waiting = new Map(); // name -> { key, waiters }
    this.revoked = new Set(); // session ids
    this.gates = new Map(); // turn -> { evidence } or { sealed }
    this.watching = new Map(); // turn that runs -> what stops it
  }

  key(session, kind, id) {
    const key = { session_id: session, kind, wait_id: id };
    return { ...key, seal: seal(key) };
  }

  ours(key) {
    const [given, right] = [Buffer.from(`${key.seal}`), Buffer.from(seal(key))];
    return given.length === right.length && timingSafeEqual(given, right) && !this.revoked.has(key.session_id);
  }

  resolve(key, resolution) {
    if (!this.ours(key)) return REVOKED;
    const name = named(key);
    if (this.settled.has(name)) return "already_resolved";
    this.settled.set(name, resolution);
    this.#tell(name, resolution);
    return "resolved";
  }

  // What the key was resolved with, at the latest by its deadline or when the signal fires.
  async wait(key, { deadline, signal } = {}) {
    if (!this.ours(key)) return REVOKED;
    const name = named(key);
    if (this.settled.has(name)) return this.settled.get(name);
    const calledOff = deadline === undefined ? undefined : this.clock.at(this.clock.now + deadline, () => this.resolve(key, "timeout"));
    const stop = () => this.resolve(key, "cancelled");
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      if (this.settled.has(name)) return this.settled.get(name);
      return await new Promise((told) => {
        if (!this.waiting.has(name)) this.waiting.set(name, { key, waiters: [] });
        this.waiting.get(name).waiters.push(told);
      });
    } finally {
      calledOff?.();
      signal?.removeEventListener("abort", stop);
    }
  }

  // Somebody will wait, though nobody does yet.
  opened(key) {
    if (!this.waiting.has(named(key))) this.waiting.set(named(key), { key, waiters: [] });
  }

  #tell(name, resolution) {
    const found = this.waiting.get(name);
    this.waiting.delete(name);
    for (const told of found?.waiters ?? []) told(resolution);
  }

  #pending(session) { return [...this.waiting].filter(([, { key }]) => key.session_id === session); }

  sweep(session) {
    for (const [, { key }] of this.#pending(session)) this.resolve(key, "cancelled");
  }

  revoke(session) {
    this.revoked.add(session);
    for (const [name] of this.#pending(session)) this.#tell(name, REVOKED);
  }

  // -- the gate of a turn: a request to cancel it or its own end, whichever comes first

  request(session, turn, evidence) {
    if (this.revoked.has(session)) return { outcome: REVOKED };
    const stands = this.gates.get(gate(session, turn));
    if (stands) return stands.evidence ? { outcome: "already_requested", evidence: stands.evidence } : { outcome: "completion_won_race" };
    this.gates.set(gate(session, turn), { evidence });
    this.watching.get(gate(session, turn))?.abort();
    return { outcome: "requested", evidence };
  }

  requested(session, turn) { return this.gates.get(gate(session, turn))?.evidence; }

  // Close the gate; the evidence that stands.
  settle(session, turn, evidence) {
    const stands = this.requested(session, turn) ?? evidence;
    this.gates.set(gate(session, turn), stands ? { evidence: stands } : { sealed: true });
    return stands;
  }
}

const gate = (session, turn) => JSON.stringify([session, turn]);

module.exports = { Waits };
