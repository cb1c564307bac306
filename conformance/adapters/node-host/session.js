"use strict";
// A handle on a live session: what a host does and reads through it, by the names of the host wire.

const { randomUUID } = require("node:crypto");
const history = require("./history");
const { Refused, RuntimeFailure, sessionError, storeFailure, unsupported } = require("./errors");
const { Subscription } = require("./observe");
const kit = require("./kit");
const state = require("./state");

class Session {
  constructor(live) {
    this.live = live;
    this.live.handles += 1;
    this.open = true;
  }

  // -- turns

  turn({ spec }) {
    const { live } = this;
    this.#usable();
    const { turn_id: id, trace_turn_id: traced } = spec;
    if (id !== null && !id.trim()) throw new RuntimeFailure("missing_execution_scope_id", "a turn id cannot be blank");
    if (traced !== null && id !== null && traced !== id) throw new RuntimeFailure("execution_scope_turn_id_mismatch", `turn ${id} cannot be traced as ${traced}`);
    for (const { id: plugin, requiresInput, takesInput } of live.bindings) {
      const given = spec.plugin_inputs[plugin] !== undefined;
      if (given && takesInput && live.store) throw new RuntimeFailure("durable_effect_live_plugin_input", `a stored session takes no live input for ${plugin}`);
      if (requiresInput && !given) throw new Refused("MissingPluginTurnInput", { plugin_id: plugin });
    }
    const controller = this.#controller(spec.cancel, spec.cancel_origin);
    return live.turn({
      id: id ?? traced ?? randomUUID(), parts: [spec.items], inputs: spec.plugin_inputs, options: spec.options, provider: spec.provider, prompt: spec.prompt, controller,
    });
  }

  queued_turn({ batch_ids: batches, drain_id: id }) {
    this.#usable();
    return this.live.drain({ id: id ?? undefined, controller: new AbortController() }, batches);
  }

  #controller(token, origin) {
    const controller = new AbortController();
    if (token === null) return controller;
    const { tokens } = this.live;
    if (!tokens.has(token)) tokens.set(token, new AbortController());
    const { signal } = tokens.get(token);
    const stop = () => controller.abort(origin ?? undefined);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
    return controller;
  }

  fire({ token }) {
    const { tokens } = this.live;
    if (!tokens.has(token)) tokens.set(token, new AbortController());
    tokens.get(token).abort();
    return null;
  }

  cancel_running_turns({ origin }) {
    for (const controller of this.live.running) controller.abort(origin ?? undefined);
    return this.live.running.size;
  }

  request_turn_cancel(asked) { return this.live.core.requestCancel({ session_id: this.live.id, ...asked }); }

  // -- life

  #usable() { if (!this.open) throw new Refused("SessionConsumed", { session_id: this.live.id }); }

  clone() { this.#usable(); return new Session(this.live); }

  drop() {
    if (this.open) this.live.handles -= 1;
    this.open = false;
    return null;
  }

  async #flushed() {
    this.#usable();
    if (this.live.handles > 1 || this.live.running.size) throw new Refused("SessionStillInUse", { session_id: this.live.id });
    this.open = false; // what is begun during the flush is refused
    try { await this.live.flush(); } catch (err) {
      this.open = true;
      throw err;
    }
    this.live.handles -= 1;
  }

  async park() {
    this.#usable();
    if (!this.live.store) throw sessionError("a session without a store cannot be parked; close it");
    await this.#flushed();
    return { session_id: this.live.id, other: this.live.place === this.live.core.places.other, policy: this.live.state.policy };
  }

  async close() {
    await this.#flushed();
    return null;
  }

  async configure({ patch }) {
    this.#usable();
    await this.live.configure(patch);
    return null;
  }

  // -- reads

  read({ what }) {
    const { live } = this;
    const reads = {
      session_id: () => live.id,
      parent_session_id: () => live.parent ?? null,
      policy: () => ({ max_turns: null, prompt: null, ...live.shown.policy }),
      transcript: () => history.conversation(live.shown).flatMap(history.lines),
      usage_report: () => state.usageReport(live.shown.token_ledger),
      turn_index: () => live.shown.turn_index,
      frames: () => live.shown.agent_frames,
      current_frame: () => live.shown.current_agent_frame_id,
      tool_state: () => live.stack.tools.state(),
      active_tools: () => live.stack.members().map(({ manifest }) => manifest.name).sort(),
      head_revision: () => live.shown.head_revision,
    };
    return reads[what]();
  }

  observe() { return this.live.observe(); }
  resume_from({ cursor }) { return this.live.core.replay.resume(this.live.id, cursor, this.live.observe()); }
  subscribe({ cursor, recover }) { return new Subscription(this.live.core.replay, this.live.id, cursor, recover, () => this.live.observe()); }

  // -- members by name

  call({ method, arguments: given }) {
    const member = MEMBERS[method];
    if (!member) throw unsupported(method.split(".")[0]);
    this.#usable();
    return member(this.live, given);
  }
}

// The store's word on something queued, as the session says it.
async function queued(live, method, args) {
  if (!live.store) throw new RuntimeFailure("store_commit_failed", "this session has no store to queue in");
  return live.store(method, { session_id: live.id, ...args }).catch((err) => { throw queueFailure(err, live.id); });
}

const queueFailure = (err, session) => (err.error === "PendingTurnInputSourceKeyConflict" || err.error === "DuplicateInputId" ? new Refused(err.error, err.fields, err.message) : storeFailure(err, session));

async function told(live, change, ids, answer) {
  live.record({ type: "queue_changed", change, ids });
  return answer;
}

async function enqueue(live, { text, id, ingress = { scope: "next_turn" } }) {
  const input = { session_id: live.id, source_key: id === undefined ? null : `host:${id}`, ingress, input: { items: [{ type: "text", text }] } };
  const row = await queued(live, "enqueue_pending_turn_input", { input });
  return told(live, "enqueued", ingress.scope === "next_turn" ? [row.input_id] : [], row);
}

async function cancelMany(live, method, args, outcomes) {
  const answer = await queued(live, method, args);
  const ids = outcomes(answer).filter(({ outcome }) => outcome === "cancelled").map(({ data }) => data.input_id);
  return ids.length ? told(live, "cancelled", ids, answer) : answer;
}

async function awaited(live, { batch_id: id }) {
  for (;;) {
    if (!(await queued(live, "list_queued_work")).some((batch) => batch.batch_id === id)) return null;
    await new Promise((again) => setTimeout(again, 20));
  }
}

async function command(live, { kind, key, reason = "" }) {
  if (!key.trim()) throw new RuntimeFailure("blank_command_key", "a session command needs a key");
  const batch = {
    session_id: live.id, source_key: `command:${kind}:${key}`, delivery_policy: "after_current_turn_commit", slot_policy: "exclusive",
    payloads: [{ type: "session_command", command: { kind, reason } }],
  };
  const row = await queued(live, "enqueue_queued_work", { batch });
  return told(live, "enqueued", [row.batch_id], row);
}

const stored = (live) => { if (!live.store) throw sessionError("this session has no store to look in"); };

async function historic(live, { node_id: id }) {
  const held = live.state.nodes.find((node) => node.node_id === id);
  if (held) return held;
  stored(live);
  return live.store("load_node", { node_id: id });
}

async function orphans(live) {
  stored(live);
  const read = await live.store("load_session", { scope: "FullGraph" });
  if (!read) return [];
  const active = new Set(history.path(read.graph.nodes, read.graph.leaf_node_id));
  return read.graph.nodes.filter((node) => !active.has(node)).map((node) => node.node_id);
}

function appendNodes(live, { nodes, requires_ancestor: ancestor }) {
  return live.changed(async () => {
    if (ancestor !== undefined && !history.path(live.state.nodes, live.state.leaf).some((node) => node.node_id === ancestor)) {
      throw new Refused("StaleBranch", { session_id: live.id, node_id: ancestor });
    }
    const before = live.state.nodes.length;
    for (const node of nodes) appendNode(live, node);
    return live.state.nodes.slice(before).map((node) => node.node_id);
  });
}

function appendNode(live, node) {
  const id = node.message?.id ?? `${node.kind}:${randomUUID()}`;
  if (node.kind === "message") live.append([history.said(id, node.message.role, node.message.content)], live.timestamp());
  else {
    const { current_agent_frame_id: frame, leaf } = live.state;
    live.state = state.appended(live.state, [{ kind: "plugin", node_id: id, parent_node_id: leaf, agent_frame_id: frame, timestamp: live.timestamp(), plugin_type: node.plugin_type, body: node.body }]);
  }
}

async function branch(live, { node_id: id }) {
  if (!await historic(live, { node_id: id })) throw sessionError(`there is no node ${id} to branch to`);
  return live.changed(async () => {
    live.change({ leaf: id });
    live.touched = true;
    return null;
  });
}

async function openFrame(live, { frame_id: id, task }) {
  if (!id.trim() || id === live.state.current_agent_frame_id) return false;
  return live.changed(async () => live.openFrame(id, "continue_as", task ? [history.said(`message:${randomUUID()}`, "User", task)] : [], live.timestamp()));
}

async function compact(live) {
  const seed = (await live.stack.ranked("compact")).find(({ text }) => text !== null && text !== undefined);
  if (!seed) return false;
  return live.changed(async () => live.openFrame(`frame:${randomUUID()}`, "compaction", [history.said(`message:${randomUUID()}`, "User", seed.text)], live.timestamp()));
}

async function operate(live, { kind, name, arguments: input, session }) {
  const found = live.stack.operations.get(name);
  if (found?.definition.session_param === "forbidden" && session !== undefined) throw new Refused("UnexpectedSession", { name, session_id: session });
  const about = found?.definition.session_param === "forbidden" ? undefined : session ?? live.id;
  if (kind === "query") return (await live.stack.operate(kind, name, input, about)).output;
  const answer = await live.changed(async () => {
    const { id, output, events = [], queue = [] } = await live.stack.operate(kind, name, input, about);
    for (const event of events) appendNode(live, { kind: "plugin", plugin_type: "lash.plugin_runtime", body: { plugin_id: id, event } });
    return { output, events: events.map((event) => ({ plugin_id: id, event })), queue };
  });
  for (const text of answer.queue) await enqueue(live, { text });
  return { output: answer.output, events: answer.events };
}

const tools = (live, act) => {
  const answer = act(live.stack.tools);
  live.chosen = true;
  live.publish();
  return answer;
};

const MEMBERS = {
  enqueue,
  queued_work: (live) => queued(live, "list_pending_queued_work"),
  pending_turn_inputs: (live) => queued(live, "list_pending_turn_inputs"),
  cancel_pending_turn_input: (live, args) => cancelMany(live, "cancel_pending_turn_input", args, (one) => [one]),
  cancel_pending_turn_inputs: (live, args) => cancelMany(live, "cancel_pending_turn_inputs", args, (all) => all.map(({ outcome }) => outcome)),
  cancel_pending_turn_input_suffix: (live, args) => cancelMany(live, "cancel_pending_turn_input_suffix", args, ({ data }) => data.outcomes ?? []),
  cancel_queued_work_batch: async (live, args) => {
    const gone = await queued(live, "cancel_queued_work_batch", args);
    return gone ? told(live, "cancelled", [gone.batch_id], gone) : gone;
  },
  await_queued_work_batch: awaited,
  abandon_queued_work_claim: (live, args) => queued(live, "abandon_queued_work_claim", args),
  abandon_turn_input_claim: (live, args) => queued(live, "abandon_turn_input_claim", args),
  revoke_durable_waits: (live) => { live.core.waits.sweep(live.id); return null; },
  get_historic_node: historic, orphaned_node_ids: orphans, append_nodes: appendNodes, branch_to_node: branch, open_agent_frame: openFrame, compact_context: compact,
  export_state: (live) => state.exported(live.state),
  set_turn_phase_probe: (live) => { live.probe = true; return null; },
  operation: operate,
  operations: (live) => [...live.stack.operations.values()].map(({ definition }) => definition),
  "triggers.catalog": (live) => live.stack.triggers,
  "tools.state": (live) => live.stack.tools.state(),
  "tools.apply_state": (live, { state: next }) => tools(live, (registry) => registry.apply(next)),
  "tools.set_membership": (live, { tool_id: id, member }) => tools(live, (registry) => registry.member(id, member)),
  "tools.refresh": (live) => tools(live, (registry) => registry.refresh()),
  "tools.add": (live, { tools: names }) => tools(live, (registry) => registry.add(kit.offers(names, live.core.stage))),
  "tools.remove": (live, { handle }) => tools(live, (registry) => registry.remove(handle)),
  command,
  "processes.list": () => [],
};

module.exports = { Session };
