"use strict";
// A session: its head, graph, ledger and turns. Rows "head", "meta", "node", "hidden" (tombstoned nodes), "ledger", "turn_commit".

const checkpoint = require("./checkpoint");
const inputs = require("./inputs");
const lease = require("./lease");
const manifest = require("./manifest");
const queue = require("./queue");
const { invalid, refuse } = require("./records");
const { MAX, sum } = require("./json");

const TABLES = ["node", "hidden", "ledger", "turn_commit", "queued_work", "queued_work_key", "turn_input", "turn_input_key"];
const ROWS = ["head", "meta", "lease", "counter"];
const COUNTERS = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"];

function head(tx, session) {
  const row = tx.read("head", session);
  return row === undefined ? undefined : checkpoint.checkVersion("SessionHeadMeta", row);
}

function bind(session, attempted) {
  if (attempted !== session) refuse("SessionBindingMismatch", { bound_session_id: session, attempted_session_id: attempted });
}

// -- commits

// All checks, in the order of the law, then all writes.
function commit(tx, context, { commit: given }) {
  const { now, session } = context;
  const stamp = given.turn_commit;
  given.enqueued_queue_batches.forEach(queue.checkDraft);
  bind(session, given.session_id);
  for (const draft of given.enqueued_queue_batches) bind(session, draft.session_id);
  const conflict = () => refuse("RuntimeTurnCommitConflict", { session_id: session, turn_id: stamp.turn_id });
  if (stamp && stamp.session_id !== session) conflict();
  const recorded = stamp && tx.read(`turn_commit ${session}`, stamp.turn_id);
  if (recorded) return recorded.hash === stamp.turn_commit_hash ? released(tx, context, given, recorded.result) : conflict();
  lease.authorised(tx, now, session, given.session_execution_lease);
  const before = head(tx, session) ?? { head_revision: 0 };
  const expected = given.expected_head_revision;
  if (expected !== undefined && expected !== before.head_revision) refuse("HeadRevisionConflict", { expected, actual: before.head_revision });
  checkNodes(tx, session, given.graph);
  checkpoint.checkRefs(tx, given.checkpoint);
  const batches = given.completed_queue_claims.flatMap((completion) => queue.completed(tx, session, completion));
  const taken = given.completed_turn_input_claims.flatMap((completion) => inputs.completed(tx, session, completion));

  const leaf = writeGraph(tx, session, given.graph);
  const kept = checkpoint.store(tx, given.checkpoint);
  for (const delta of given.usage_deltas) spend(tx, session, delta);
  for (const batch of batches) queue.remove(tx, batch);
  for (const row of taken) inputs.complete(tx, row);
  if (given.interrupted_turn_input_turn_id !== undefined) inputs.defer(tx, session, given.interrupted_turn_input_turn_id);
  const { config, agent_frames, current_agent_frame_id } = given;
  const revision = sum(before.head_revision, 1);
  tx.write("head", session, {
    schema_version: checkpoint.SCHEMA_VERSION, session_id: session, head_revision: revision, config, agent_frames,
    current_agent_frame_id, checkpoint_ref: kept.ref, leaf_node_id: leaf,
  });
  const result = {
    head_revision: revision, checkpoint_ref: kept.ref, manifest: kept.manifest,
    enqueued_queue_batches: given.enqueued_queue_batches.map((draft) => queue.enqueue(tx, context, { batch: draft })),
    turn_input_applications: given.completed_turn_input_claims.flatMap((completion) => completion.applications),
  };
  if (stamp) tx.write(`turn_commit ${session}`, stamp.turn_id, { hash: stamp.turn_commit_hash, committed_at_epoch_ms: now, result });
  manifest.adopt(tx, context, session, given.committed_attachment_ids, stamp?.turn_id);
  return released(tx, context, given, result);
}

function released(tx, context, given, result) {
  const completion = given.release_session_execution_lease;
  if (completion && completion.session_id === context.session) lease.release(tx, context, { completion });
  return result;
}

function checkNodes(tx, session, graph) {
  const seen = new Set();
  for (const { node_id: id } of (graph.Append ?? graph.ReplaceFull)?.nodes ?? []) {
    if (seen.has(id) || (graph.Append && tx.get(`node ${session}`, id) !== undefined)) refuse("DuplicateNodeId", { session_id: session, node_id: id });
    seen.add(id);
  }
}

// The new leaf.
function writeGraph(tx, session, graph) {
  const [[form, { nodes = [], leaf_node_id: leaf }]] = Object.entries(graph);
  if (form === "ReplaceFull") for (const table of ["node", "hidden"]) tx.empty(`${table} ${session}`);
  for (const node of nodes) {
    if (tx.get(`hidden ${session}`, node.node_id) !== undefined) tx.delete(`hidden ${session}`, node.node_id);
    tx.write(`node ${session}`, node.node_id, node);
  }
  return leaf;
}

function billed(name, before, more) {
  const total = sum(before, more);
  return total > MAX ? invalid("TokenLedgerEntry", name, "a sum of at most 2^63-1", total) : total;
}

// One row for each source and model, in the order in which they were first seen.
function spend(tx, session, { source, model, usage }) {
  if (COUNTERS.slice(0, 4).reduce((total, name) => total + BigInt(usage[name]), 0n) === 0n) return;
  const key = JSON.stringify([source, model]);
  const before = tx.read(`ledger ${session}`, key)?.usage ?? {};
  const total = Object.fromEntries(COUNTERS.map((name) => [name, billed(name, before[name] ?? 0, usage[name])]));
  tx.write(`ledger ${session}`, key, { source, model, usage: total });
}

// -- reads

function load(tx, { session }, { scope }) {
  const stored = head(tx, session);
  if (!stored) return null;
  const { schema_version: _, leaf_node_id, ...rest } = stored;
  const graph = scope === "FullGraph" ? { nodes: tx.all(`node ${session}`), leaf_node_id } : activePath(tx, session, leaf_node_id, scope.ActivePath.leaf_node_id);
  return { ...rest, graph, checkpoint: checkpoint.hydrated(tx, stored.checkpoint_ref), token_ledger: tx.all(`ledger ${session}`) };
}

function activePath(tx, session, stored, named) {
  if (named !== undefined && loadNode(tx, { session }, { node_id: named }) === null) refuse("UnknownLeaf", { leaf_node_id: named });
  const path = new Map();
  let node = loadNode(tx, { session }, { node_id: named ?? stored });
  while (node && !path.has(node.node_id)) {
    path.set(node.node_id, node);
    node = node.parent_node_id === undefined ? null : loadNode(tx, { session }, { node_id: node.parent_node_id });
  }
  return { nodes: [...path.values()].reverse(), leaf_node_id: named ?? stored };
}

const loadNode = (tx, { session }, { node_id: id }) => tx.read(`node ${session}`, id) ?? null;

// -- maintenance

function tombstone(tx, { session }, { ids }) {
  for (const id of ids) {
    if (tx.get(`node ${session}`, id) === undefined) continue;
    tx.delete(`node ${session}`, id);
    tx.put(`hidden ${session}`, id, "true");
  }
  return null;
}

function vacuum(tx, { session }) {
  const hidden = tx.rows(`hidden ${session}`).size;
  if (hidden) tx.empty(`hidden ${session}`);
  return { removed_node_count: hidden, removed_pending_turn_input_tombstone_count: inputs.vacuum(tx, session) };
}

const collect = (tx) => checkpoint.collect(tx, [...tx.rows("head").keys()].map((session) => head(tx, session)));

// -- meta and the factory

function saveMeta(tx, { session }, { meta }) {
  bind(session, meta.session_id);
  tx.write("meta", session, meta);
  return null;
}

const loadMeta = (tx, { session }) => tx.read("meta", session) ?? null;

function create(tx, { now }, { request }) {
  const { session_id: session, policy, relation } = request;
  if (tx.get("meta", session) === undefined) {
    const created = new Date(Math.min(Number(now), 8.64e15)).toISOString();
    tx.write("meta", session, { session_id: session, session_name: session, created_at: created, model: policy.model.id, relation });
  }
  return session;
}

const find = (tx, _, { request }) => (tx.get("meta", request.session_id) === undefined ? null : request.session_id);

function remove(tx, _, { session_id: session }) {
  for (const table of TABLES) if (tx.rows(`${table} ${session}`).size) tx.empty(`${table} ${session}`);
  for (const table of ROWS) if (tx.get(table, session) !== undefined) tx.delete(table, session);
  manifest.drop(tx, session);
  return null;
}

const tier = () => "durable";

module.exports = {
  factory: {
    durability_tier: tier, create_store: create, open_existing_store: find, delete_session: remove,
    live_attachment_refs: manifest.liveRefs, has_live_attachment_ref: manifest.hasLive,
  },
  methods: {
    ...lease.methods, ...queue.methods, ...inputs.methods, ...manifest.methods,
    durability_tier: tier, commit_runtime_state: commit, load_session: load, load_node: loadNode, tombstone_nodes: tombstone,
    vacuum, gc_unreachable: collect, save_session_meta: saveMeta, load_session_meta: loadMeta,
  },
};
