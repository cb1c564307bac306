"use strict";
// A live session: its state, its plugins, its lane, and the turns that follow one another on it.

const { randomUUID } = require("node:crypto");
const { isDeepStrictEqual } = require("node:util");
const history = require("./history");
const { PluginError, RuntimeFailure, busy, sessionError, storeFailure } = require("./errors");
const { Lane } = require("./lane");
const state = require("./state");
const { Turn, MERGED } = require("./turn");

const MAX_SWITCHES = 16;

class Live {
  constructor(core, id, { place, store, stack, began, parent, bindings }) {
    Object.assign(this, { core, id, place, store, stack, parent, bindings });
    this.owner = { owner_id: core.spec.owner, incarnation_id: randomUUID(), liveness: { kind: "opaque" } };
    this.state = began;
    this.shown = began; // what readers see: the last state that was committed or configured
    this.handles = 0;
    this.running = new Set(); // controllers of turns that run or wait
    this.tokens = new Map();
    this.tail = Promise.resolve(); // turns and changes follow one another
    this.touched = false;
    this.chosen = false; // the host changed the tools since the last commit
    this.fence = undefined; // the number of the lease last held
    this.answers = new Map(); // reports by turn id
  }

  change(more) { this.state = { ...this.state, ...more }; }

  timestamp() { return this.core.clock.timestamp(); }
  conversation() { return history.conversation(this.state); }

  append(messages, timestamp) {
    for (const one of messages) this.state = state.appended(this.state, [history.node(one, this.state.leaf, this.state.current_agent_frame_id, timestamp)]);
  }

  put(bytes, type, turn) {
    if (!this.place) throw sessionError("this session has no store");
    const { id } = this.place.put(bytes, { media_type: type });
    return this.store("record_intent", { intent: {
      attachment_id: id, session_id: this.id, canonical_uri: `lash:${id}`, intent_at_epoch_ms: this.core.clock.now, owner_kind: "turn", owner_id: turn,
    } }).then(() => id);
  }

  holds(id) { return this.place !== undefined && this.place.holds(id); }

  async phase(name, turn) {
    if (!this.probe) return;
    this.core.stage.note("probe", name, turn);
    if (this.core.stage.gates.has(`probe ${name}`)) await this.core.stage.stand(`probe ${name}`);
  }

  // -- watching

  record(event) { this.core.replay.record(this.id, event); }

  publish() {
    this.shown = this.state;
    this.record({ type: "committed", revision: this.shown.head_revision });
  }

  observe() { return { cursor: this.core.replay.cursor(this.id), revision: this.shown.head_revision }; }

  // -- one after the other

  exclusively(act) {
    const done = this.tail.then(act);
    this.tail = done.catch(() => undefined);
    return done;
  }

  // Under the lane, from the store's head; undone when it fails.
  async underLane(act) {
    if (!this.store) return this.#undoable(() => act());
    const lane = await Lane.claim(this).catch((err) => { throw storeFailure(err, this.id); });
    if (!lane) throw busy(this.id);
    try {
      await this.refresh(lane);
      return await this.#undoable(() => act(lane));
    } finally { await lane.release(); }
  }

  async #undoable(act) {
    const before = this.state;
    try { return await act(); } catch (err) {
      this.state = before;
      throw err;
    }
  }

  // Another worker may have written meanwhile; a number that directly follows ours says that nobody did.
  async refresh(lane) {
    const follows = this.fence !== undefined && BigInt(lane.fence.fencing_token) === BigInt(this.fence) + 1n;
    this.fence = lane.fence.fencing_token;
    if (!follows) await this.refreshed();
  }

  async refreshed() {
    const read = this.store && await this.store("load_session", { scope: this.scope() }).catch((err) => { throw storeFailure(err, this.id); });
    if (!read || read.head_revision === this.state.head_revision) return false;
    if (this.state.replace && this.state.head_revision === 0) { // started over: what is stored is to be replaced
      this.change({ head_revision: read.head_revision });
      return true;
    }
    const mine = this.state.policy;
    this.state = state.loaded(read, mine);
    if (this.touched) this.state = state.assigned({ ...this.state, policy: mine });
    if (this.state.plugin_snapshot) this.stack.restore(this.state.plugin_snapshot);
    if (this.state.tool_state) this.#surface(this.state.tool_state);
    this.shown = this.state;
    return true;
  }

  // What is stored of the tools, unless the host chose others here and nobody stored them yet.
  #surface(stored) {
    const { tools } = this.stack;
    if (this.chosen) {
      if (tools.generation <= stored.generation) tools.generation = stored.generation + 1;
      return;
    }
    tools.restore(stored);
    if (tools.generation === stored.generation) this.change({ tool_generation: tools.generation });
  }

  scope() { return this.core.spec.residency === "active_path_only" ? { ActivePath: {} } : "FullGraph"; }

  // -- commits

  // Bring the state up to its plugins; why it could not, if it could not.
  capture() {
    const { tools } = this.stack;
    const { refs } = this.state;
    if (refs.tool_state_ref === undefined || this.state.tool_generation !== tools.generation) {
      this.change({ fresh_tools: tools.state(), tool_generation: tools.generation });
    }
    const fingerprint = this.stack.fingerprint();
    if (refs.plugin_snapshot_ref !== undefined && BigInt(refs.plugin_snapshot_revision ?? -1) === fingerprint) return undefined;
    try {
      const captured = this.stack.capture(this.state.plugin_snapshot);
      this.change({ fresh_plugins: captured, plugin_snapshot: captured, refs: { ...refs, plugin_snapshot_revision: fingerprint } });
      return undefined;
    } catch (err) {
      if (err instanceof PluginError) return err.message;
      throw err;
    }
  }

  async commit(more, deltas = []) {
    const given = { ...state.commit(this.state, deltas), ...more };
    try {
      const result = await this.store("commit_runtime_state", { commit: given });
      this.state = state.committed(this.state, result, deltas);
      this.touched = false;
      this.chosen = false;
      return result;
    } catch (err) { throw storeFailure(err, this.id); }
  }

  async commitTurn(turn, outcome) {
    const deltas = [{ source: "turn", model: this.state.policy.model.id, usage: turn.usage }];
    if (!this.store) {
      this.state = state.committed(this.state, { head_revision: this.state.head_revision, manifest: {} }, deltas);
      return undefined;
    }
    const { lane, claims } = turn;
    const switched = outcome.agent_frame_switch;
    const held = claims.inputs.length + claims.work.length > 0;
    const more = {
      session_execution_lease: lane.fence, ...(!switched && { release_session_execution_lease: lane.fence }),
      completed_queue_claims: claims.work.map(({ session_id, claim_id, lease_token, batches }) => ({ session_id, claim_id, lease_token, batch_ids: batches.map(({ batch_id }) => batch_id) })),
      completed_turn_input_claims: claims.inputs.map(({ session_id, claim_id, lease_token, inputs }) => ({ session_id, claim_id, lease_token, input_ids: inputs.map(({ input_id }) => input_id) })),
      enqueued_queue_batches: switched && held ? [handoff(this.id, turn.id, switched)] : [],
      interrupted_turn_input_turn_id: turn.id,
    };
    const turn_commit_hash = state.hash({ ...state.commit(this.state, deltas), ...more });
    const result = await this.commit({ ...more, turn_commit: { session_id: this.id, turn_id: turn.id, turn_commit_hash } }, deltas);
    if (!switched) lane.settled();
    return result.enqueued_queue_batches?.[0]?.batch_id;
  }

  get dirty() {
    if (this.touched || this.state.replace || this.state.sent < this.state.nodes.length) return true;
    if (this.state.head_revision === 0) return false;
    return this.state.tool_generation !== this.stack.tools.generation || BigInt(this.state.refs.plugin_snapshot_revision ?? -1) !== this.stack.fingerprint();
  }

  // Commit what is dirty under a lease of its own.
  async flush() {
    if (!this.store || !this.dirty) return;
    await this.underLane(async (lane) => {
      const failed = this.capture();
      if (failed) throw sessionError(failed);
      await this.commit({ session_execution_lease: lane.fence, release_session_execution_lease: lane.fence });
      lane.settled();
    });
    this.publish();
  }

  // Change something between turns, and commit it at once.
  changed(act) {
    return this.exclusively(async () => {
      const answer = await this.underLane(async (lane) => {
        const found = await act();
        this.capture();
        if (lane && this.dirty) {
          await this.commit({ session_execution_lease: lane.fence, release_session_execution_lease: lane.fence });
          lane.settled();
        }
        return found;
      });
      this.publish();
      return answer;
    });
  }

  openFrame(id, reason, messages, timestamp) {
    if (!id.trim() || id === this.state.current_agent_frame_id) return false;
    this.state = state.opened(this.state, id, reason, timestamp);
    this.append(messages, timestamp);
    this.touched = true;
    return true;
  }

  configure(patch) {
    return this.exclusively(async () => {
      const before = this.state.policy;
      const wanted = {
        ...before, ...(patch.provider !== undefined && { provider_id: patch.provider }), ...(patch.model !== undefined && { model: { ...before.model, id: patch.model } }),
        ...(patch.prompt !== undefined && { prompt: patch.prompt }),
      };
      if (isDeepStrictEqual(wanted, before)) return;
      const policy = await this.stack.mutated(wanted);
      this.state = state.assigned({ ...this.state, policy });
      this.touched = true;
      await this.stack.notify("session_config_changed", before.model.id, policy.model.id);
      this.publish();
    });
  }

  // -- turns

  begin(controller) {
    this.running.add(controller);
    return () => this.running.delete(controller);
  }

  turn(asked) {
    const ended = this.begin(asked.controller);
    return this.exclusively(() => this.#foreground(asked)).finally(ended);
  }

  async #foreground(asked) {
    const known = this.answers.get(asked.id);
    if (known) return known;
    if (this.store && await this.store("load_node", { node_id: `${asked.id}.user` })) throw new RuntimeFailure("turn_already_committed", `turn ${asked.id} was committed before`);
    return this.underLane(async (lane) => {
      if (lane) await this.#commands(lane);
      return this.#frames(asked, lane, { inputs: [], work: [] });
    });
  }

  drain(asked, batches) {
    if (!this.store) return null;
    const ended = this.begin(asked.controller);
    return this.exclusively(() => this.#drained(asked, batches)).catch((err) => {
      if (err.runtimeCode === "session_execution_busy") return null;
      throw err;
    }).finally(ended);
  }

  #drained(asked, batches) {
    return this.underLane(async (lane) => {
      if (!batches.length) await this.#commands(lane);
      const work = await this.#claimed(lane, batches).catch((err) => { throw storeFailure(err, this.id); });
      return work && this.#frames({ ...asked, ...work, id: asked.id ?? work.id ?? randomUUID() }, lane, work.claims);
    });
  }

  async #claimed(lane, batches) {
    if (batches.length) return worked(await this.store("claim_ready_queued_work_by_batch_ids", { ...lane.claiming(), boundary: "idle", batch_ids: batches }));
    const inputs = await this.store("claim_next_turn_inputs", { ...lane.claiming(), max_inputs: MERGED });
    if (inputs) return { parts: inputs.inputs.map(({ input }) => input.items), claims: { inputs: [inputs], work: [] } };
    return worked(await this.store("claim_ready_queued_work", { ...lane.claiming(), boundary: "idle", max_batches: MERGED }));
  }

  // Commands that lead the queue, unless input that waits is older; a commit each.
  async #commands(lane) {
    for (;;) {
      const [first] = await this.store("list_pending_queued_work", { session_id: this.id });
      if (first?.items[0].payload.type !== "session_command") return;
      const waiting = await this.store("list_pending_turn_inputs", { session_id: this.id });
      if (waiting.some((input) => input.state === "deferred_next_turn" && input.enqueued_at_ms <= first.enqueued_at_ms)) return;
      const claim = await this.store("claim_leading_ready_session_command", lane.claiming());
      if (!claim) return;
      for (const { payload } of claim.batches.flatMap(({ items }) => items)) this.#command(payload.command);
      this.capture();
      const { session_id, claim_id, lease_token, batches } = claim;
      await this.commit({ session_execution_lease: lane.fence, completed_queue_claims: [{ session_id, claim_id, lease_token, batch_ids: batches.map(({ batch_id }) => batch_id) }] });
      this.publish();
    }
  }

  #command({ kind }) {
    if (kind === "refresh_tool_catalog") {
      this.stack.tools.refresh();
      return;
    }
    const { policy, token_ledger, head_revision } = this.state;
    this.state = state.framed({ ...state.empty(this.id, policy), token_ledger, head_revision, replace: true }, this.timestamp());
    this.stack.restore({ plugins: {} });
  }

  async #frames(asked, lane, claims) {
    const root = asked.id;
    for (let switches = 0; ; switches += 1) {
      const { report, handoff: batch } = await this.#physical(asked, lane, claims, switches);
      const to = report.outcome.agent_frame_switch;
      this.answers.set(root, report);
      if (!to) return report;
      const claim = batch && await this.store("claim_ready_queued_work_by_batch_ids", { ...lane.claiming(), boundary: "idle", batch_ids: [batch] })
        .catch((err) => { throw storeFailure(err, this.id); });
      claims = { inputs: [], work: claim ? [claim] : [] };
      asked = { ...asked, id: `${root}:agent-frame:${switches + 1}`, parts: [[{ type: "text", text: to.task }]], wakes: [] };
    }
  }

  async #physical(asked, lane, claims, switches) {
    const before = this.state;
    const turn = new Turn(this, asked, lane, claims);
    const lost = () => asked.controller.abort();
    lane?.lossed.add(lost);
    const watch = watched(this.core.waits, this.id, asked);
    try {
      let outcome = await turn.run();
      if (outcome.agent_frame_switch && switches >= MAX_SWITCHES) {
        turn.issue("runtime", "agent_frame_limit", "the turn switched frames too often");
        outcome = { stopped: "runtime_error" };
      }
      return await turn.finish(outcome);
    } catch (err) {
      if (!turn.committed) {
        this.state = before;
        if (lane) await this.#abandon(claims);
      }
      throw err;
    } finally {
      watch();
      lane?.lossed.delete(lost);
    }
  }

  async #abandon({ inputs, work }) {
    await this.store("abandon_turn_input_claims", { claims: inputs }).catch(() => undefined);
    await this.store("abandon_queued_work_claims", { claims: work }).catch(() => undefined);
  }
}

// A request under the turn's name stops it as its token would.
function watched(waits, session, asked) {
  const name = JSON.stringify([session, asked.id]);
  waits.watching.set(name, asked.controller);
  return () => waits.watching.delete(name);
}

const handoff = (session, turn, { frame_id, task }) => ({
  session_id: session, source_key: `handoff:${turn}`, delivery_policy: "after_current_turn_commit", slot_policy: "exclusive", merge_key: "never", available_at_ms: 0,
  payloads: [{ type: "agent_frame_task", frame_id, task }],
});

function worked(claim) {
  if (!claim) return null;
  const payloads = claim.batches.flatMap(({ items }) => items.map(({ payload }) => payload));
  const task = payloads.find(({ type }) => type === "agent_frame_task");
  return {
    id: claim.batches[0].batch_id, parts: [task ? [{ type: "text", text: task.task }] : []], wakes: payloads.filter(({ type }) => type === "process_wake"),
    claims: { inputs: [], work: [claim] },
  };
}

module.exports = { Live };
