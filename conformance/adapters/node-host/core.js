"use strict";
// A core: wired from a description, and what its sessions share.

const { Clock } = require("./clock");
const { Refused, RuntimeFailure, sessionError, unsupported } = require("./errors");
const { Stage } = require("./kit");
const { Live } = require("./live");
const { Replay } = require("./observe");
const { factory } = require("./plugins");
const { Session } = require("./session");
const { Stack, distinct } = require("./stack");
const state = require("./state");
const { Line, open } = require("./store");
const { Waits } = require("./waits");
const kit = require("./kit");

const MISSING = {
  protocol_plugin: "MissingProtocolPlugin", model: "MissingModelSpec", effect_host: "MissingEffectHost", attachment_store: "MissingAttachmentStore",
  process_env_store: "MissingProcessEnvStore",
};
const LEASE = { ttl: 30_000, renew: 10_000 };

class Core {
  constructor({ directory, now_ms: now, spec }) {
    judged(spec);
    this.spec = spec;
    this.lease = { ttl: spec.lease_ttl_ms ?? LEASE.ttl, renew: spec.lease_renew_ms ?? LEASE.renew };
    this.clock = new Clock(now);
    this.line = new Line(this.clock);
    this.places = open(directory, this.line);
    this.stage = new Stage();
    this.waits = new Waits(this.clock);
    this.replay = new Replay(this.clock, spec.replay_events);
    this.known = new Map(); // factories by plugin id
    this.factories = stacked(spec, (id) => this.factory(id), (id) => this.replaced(id));
  }

  factory(id) {
    if (!this.known.has(id)) this.known.set(id, factory(id, this.stage, this.spec.options));
    return this.known.get(id);
  }

  replaced(id) { this.known.delete(id); return this.factory(id); }

  // -- sessions

  async open({ session_id: id, spec }) {
    if (spec.mode !== null && spec.mode !== "standard") throw new Refused("ModeNotInstalled", { mode: spec.mode });
    const place = spec.store === "none" || (spec.store === "factory" && this.spec.store === "none") ? undefined : spec.store === "other" ? this.places.other : this.places.main;
    if (!place && this.spec.residency === "active_path_only") throw sessionError("what is not kept in memory needs a store");
    const model = spec.model ?? this.spec.model;
    const limit = spec.max_turns ?? this.spec.max_turns;
    const policy = state.policyOf(spec.provider ?? this.spec.providers[0], modelOf(model, this.spec.context_window), {
      ...(limit !== null && { max_turns: limit }), ...(spec.prompt && { prompt: spec.prompt }),
    });
    const given = spec.how === "state" ? state.given(spec.state) : undefined;
    if (given && given.session_id !== id) throw new Refused("StoreSessionMismatch", { loaded: given.session_id, requested: id });
    const store = place && await this.#storeOf(place, id, policy, spec.parent);
    const began = await this.#begun(id, spec, policy, store, given);
    return this.#live(id, began, { place, store, parent: spec.parent, bindings: spec.plugins.map((one) => this.factory(one)) });
  }

  async #storeOf(place, id, policy, parent) {
    const relation = parent === null ? { kind: "root" } : { kind: "child", parent_session_id: parent };
    const request = { session_id: id, relation, policy: { provider_id: policy.provider_id, model: policy.model } };
    await place.factory("create_store", { request }).catch((err) => { throw new Refused("StoreFactory", { session_id: id, message: err.message }); });
    return place.store(id);
  }

  // The state to begin with: given, stored or empty, under what the builder asked for.
  async #begun(id, spec, policy, store, given) {
    if (spec.how === "fresh") return { ...state.empty(id, policy), replace: true };
    if (given) return configured(store ? await this.#whole(given, store) : given, spec, policy, this.spec);
    const read = store && await this.#loaded(store);
    return read ? configured(read, spec, policy, this.spec) : state.empty(id, policy);
  }

  // A state that a host kept, with the bodies that its references name in the store.
  async #whole(given, store) {
    const { refs, tool_state, plugin_snapshot } = await this.#loaded(store) ?? { refs: {} };
    const same = (name) => refs[name] !== undefined && refs[name] === given.named[name];
    return { ...given, ...(same("tool_state_ref") && { tool_state }), ...(same("plugin_snapshot_ref") && { plugin_snapshot }) };
  }

  async #loaded(store) {
    const lean = this.spec.residency === "active_path_only";
    const read = await store("load_session", { scope: lean ? { ActivePath: {} } : "FullGraph" });
    if (!read) return undefined;
    if (read.graph.nodes.length || !lean) return state.loaded(read, {});
    return { ...state.loaded(await store("load_session", { scope: "FullGraph" }), {}), replace: true };
  }

  async #live(id, began, { place, store, parent, bindings }) {
    const stack = new Stack([...this.factories, ...bindings], { root: parent === null }, kit.offers(this.spec.tools, this.stage));
    const live = new Live(this, id, { place, store, stack, began: state.framed(began, this.clock.timestamp()), parent: parent ?? undefined, bindings });
    if (began.tool_state) stack.tools.restore(began.tool_state);
    if (began.plugin_snapshot) stack.restore(began.plugin_snapshot);
    if (began.tool_state?.generation === stack.tools.generation) live.change({ tool_generation: stack.tools.generation });
    live.shown = live.state;
    await stack.notify("session_restored");
    return new Session(live);
  }

  async resume({ parked }) {
    const { session_id: id, other, policy } = parked;
    const place = other ? this.places.other : this.places.main;
    const store = place.store(id);
    const read = await this.#loaded(store);
    const began = read ? { ...read, policy: { ...read.policy, ...policy } } : state.empty(id, policy);
    return this.#live(id, began, { place, store, parent: null, bindings: [] });
  }

  async delete({ session_id: id }) {
    if (this.spec.store === "none") throw new Refused("MissingSessionStoreFactory");
    await this.places.main.factory("delete_session", { session_id: id });
    this.waits.revoke(id);
    this.replay.forget(id);
    return { session_id: id, running_processes: [] };
  }

  requestCancel({ session_id: session, turn_id: turn, request_id: request, origin, reason }) {
    if (!request.trim()) throw new RuntimeFailure("blank_cancel_request_id", "a cancel request needs an id");
    const evidence = { request_id: request, ...(origin && { origin }), ...(reason && { reason }), requested_at_ms: this.clock.now };
    return { durability_tier: "inline", ...this.waits.request(session, turn, evidence) };
  }

  call({ method, arguments: given }) {
    const { waits } = this;
    const members = {
      enqueue_turn_input: () => this.#enqueue(given),
      resolve: () => waits.resolve(given.key, given.resolution),
      await: () => waits.wait(given.key, { deadline: given.deadline_ms }),
      wait_key: () => waits.key(given.session_id, "external", given.wait_id),
      pending_key: () => this.stage.pending.get(given.name) ?? null,
      request_cancel: () => this.requestCancel(given),
      shelf: () => { this.factory("shelf").offers = given.offers; return null; },
    };
    if (!members[method]) throw unsupported(method);
    return members[method]();
  }

  async #enqueue({ session_id: id, text, ingress = { scope: "next_turn" }, source_key: key = null }) {
    const policy = state.policyOf(this.spec.providers[0], modelOf(this.spec.model, this.spec.context_window));
    const store = await this.#storeOf(this.places.main, id, policy, null);
    const row = await store("enqueue_pending_turn_input", { input: { session_id: id, source_key: key, ingress, input: { items: [{ type: "text", text }] } } });
    this.replay.record(id, { type: "queue_changed", change: "enqueued", ids: ingress.scope === "next_turn" ? [row.input_id] : [] });
    return row;
  }

  // -- the kit

  script({ replies }) { this.stage.replies.push(...replies); return null; }
  requests() { return this.stage.requests; }
  journal() { return this.stage.journal; }
  reached({ gate }) { return this.stage.gate(gate).reached.promise.then(() => null); }
  release({ gate }) { this.stage.gate(gate).opened.resolve(); return null; }
  close() { return null; }
}

const modelOf = (id, window) => ({ id, variant: "provider_default", limits: { context_window_tokens: window } });

// What the builder asks for stands above what was stored, but for the provider, which stays the recorded one.
function configured(began, spec, policy, core) {
  const model = spec.model === null ? began.policy.model : policy.model;
  const limit = spec.max_turns ?? began.policy.max_turns ?? core.max_turns;
  return { ...began, policy: { ...began.policy, model, ...(limit !== null && limit !== undefined && { max_turns: limit }), ...(spec.prompt && { prompt: spec.prompt }) } };
}

// What is missing or does not fit together.
function judged(spec) {
  for (const [facet, error] of Object.entries(MISSING)) if (spec.without.includes(facet)) throw new Refused(error);
  const [ttl, renew] = [spec.lease_ttl_ms ?? LEASE.ttl, spec.lease_renew_ms ?? LEASE.renew];
  if (renew < 1 || ttl < 3 * renew) throw new Refused("InvalidRecord", { record_kind: "LeaseTimings", field: "ttl", expected: "at least three renewals", found: ttl });
  if (spec.durable.includes("session_store")) {
    for (const facet of ["attachment_store", "process_env_store"]) if (!spec.durable.includes(facet)) throw new Refused("DurableStorePeerRequired", { facet });
  }
  const left = { recording: spec.journal, processes: spec.registry !== "none", providers: spec.route !== null, rlm: spec.protocol === "rlm" };
  for (const [capability, wanted] of Object.entries(left)) if (wanted) throw unsupported(capability);
}

// The factories of a core: as they were added, then edited.
function stacked(spec, make, remake) {
  let found = spec.plugins.map(make);
  for (const edit of spec.edits) {
    if (edit.push) found = [...found, make(edit.push)];
    else if (edit.remove) found = found.filter(({ id }) => id !== edit.remove);
    else if (edit.replace) found = found.some(({ id }) => id === edit.replace) ? found.map((one) => (one.id === edit.replace ? remake(edit.replace) : one)) : [...found, remake(edit.replace)];
    else if (edit.retain) found = found.filter(({ id }) => edit.retain.includes(id));
    else found = edit.plugins.map(make);
  }
  distinct(found);
  const builtin = ({ id }) => id.startsWith("lash."); // one that takes a built-in's place stands where that stood
  return [...found.filter(builtin), ...found.filter((one) => !builtin(one))];
}

module.exports = { Core };
