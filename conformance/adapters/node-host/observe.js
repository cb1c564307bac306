"use strict";
// What a session did, event by event, for whoever watches: a cursor each, bounded in number.

const { Refused } = require("./errors");

const TTL_MS = 120_000;

class Replay {
  constructor(clock, capacity) {
    this.clock = clock;
    this.capacity = capacity;
    this.streams = new Map(); // session -> { events, tail, listeners }
  }

  stream(session) {
    if (!this.streams.has(session)) this.streams.set(session, { events: [], tail: 0, listeners: new Set() });
    return this.streams.get(session);
  }

  record(session, event) {
    const stream = this.stream(session);
    stream.tail += 1;
    stream.events.push({ at: this.clock.now, position: stream.tail, told: { cursor: cursor(stream.tail, session), ...event } });
    this.trim(stream);
    for (const wake of stream.listeners) wake();
  }

  trim(stream) {
    while (stream.events.length > this.capacity || stream.events[0]?.at < this.clock.now - TTL_MS) stream.events.shift();
  }

  // A deleted session's events; its numbers go on.
  forget(session) { this.stream(session).events = []; }

  cursor(session) { return cursor(this.stream(session).tail, session); }

  position(session, text) {
    const { of, at } = read(text);
    if (of !== session || !Number.isInteger(at)) throw new Refused("ObservationError", { cursor: text, reason: `no cursor of session ${session}` });
    return at;
  }

  // The events behind a position, or why they cannot be told.
  after(session, position) {
    const stream = this.stream(session);
    this.trim(stream);
    if (position > stream.tail) return "unavailable";
    if (position + 1 < (stream.events[0]?.position ?? stream.tail + 1)) return "trimmed";
    return stream.events.filter((event) => event.position > position);
  }

  resume(session, text, now) {
    const found = this.after(session, this.position(session, text));
    return typeof found === "string" ? { gap: this.gap(session, text, found, now) } : { events: found.map(({ told }) => told) };
  }

  gap(session, requested, reason, { cursor: latest, revision }) {
    return { session_id: session, requested_cursor: requested, latest_cursor: latest, latest_revision: revision, reason, observation: { cursor: latest } };
  }
}

const cursor = (at, session) => Buffer.from(JSON.stringify({ at, of: session })).toString("base64url");
function read(text) {
  try { return Object(JSON.parse(Buffer.from(text, "base64url").toString())); } catch { return {}; }
}

// A live stream: what is kept, then what comes; a gap ends it unless it recovers.
class Subscription {
  constructor(replay, session, text, recover, observe) {
    this.replay = replay;
    this.session = session;
    this.position = replay.position(session, text);
    this.text = text;
    this.recover = recover;
    this.observe = observe;
    this.ended = false;
  }

  async next() {
    const { listeners } = this.replay.stream(this.session);
    while (!this.ended) {
      const found = this.replay.after(this.session, this.position);
      if (typeof found === "string") return this.#gap(found);
      if (found.length) {
        this.position = found[0].position;
        return found[0].told;
      }
      await new Promise((wake) => {
        this.wake = wake;
        listeners.add(wake);
      });
      listeners.delete(this.wake);
    }
    return null;
  }

  #gap(reason) {
    const gap = this.replay.gap(this.session, this.text, reason, this.observe());
    this.ended = !this.recover;
    this.position = this.replay.position(this.session, gap.latest_cursor);
    this.text = gap.latest_cursor;
    return { type: "gap", gap };
  }

  close() {
    this.ended = true;
    this.wake?.();
  }
}

module.exports = { Replay, Subscription };
