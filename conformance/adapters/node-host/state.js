"use strict";
// What a session is: a value that is replaced and never changed, so that going back is keeping the former one.

const { createHash } = require("node:crypto");
const json = require("../node/json");
const { NO_USAGE, add } = require("./model");
const { Refused } = require("./errors");
const history = require("./history");

const OPTIONS = Object.freeze({ schema_version: 1, payload: {} });
const REFS = ["tool_state_ref", "plugin_snapshot_ref", "execution_state_ref"];
const KNOWN = new Set(["provider_id", "model", "session_id", "autonomous", "max_turns", "prompt", "execution_mode", "standard_context_approach"]);

const policyOf = (provider, model, more) => ({ provider_id: provider, model, autonomous: false, ...more });
const empty = (id, policy) => ({
  session_id: id, policy, nodes: [], leaf: undefined, sent: 0, turn_index: 0, token_usage: NO_USAGE, protocol_turn_options: OPTIONS, agent_frames: [],
  current_agent_frame_id: undefined, token_ledger: [], head_revision: 0, replace: false, refs: {},
});

function admitted(policy) {
  const odd = Object.keys(policy).find((name) => !KNOWN.has(name));
  if (odd !== undefined) throw new Refused("InvalidRecord", { record_kind: "SessionPolicy", field: odd, expected: "no such key", found: odd });
  return policy;
}

// The state that a load answered, under the policy of its current frame.
function loaded(read, policy) {
  const { turn_state: turn = {}, ...checkpoint } = read.checkpoint ?? {};
  const frame = read.agent_frames?.find(({ frame_id: id }) => id === read.current_agent_frame_id);
  const stored = frame ? admitted(frame.assignment.policy) : {};
  return healed({
    ...empty(read.session_id, { ...policy, ...stored, provider_id: read.config.provider_id, model: read.config.model }),
    nodes: read.graph.nodes, leaf: read.graph.leaf_node_id, sent: read.graph.nodes.length, ...turn, agent_frames: read.agent_frames ?? [],
    current_agent_frame_id: read.current_agent_frame_id || undefined, token_ledger: read.token_ledger ?? [], head_revision: read.head_revision, refs: refsOf(checkpoint),
    tool_state: checkpoint.tool_state, plugin_snapshot: checkpoint.plugin_snapshot,
  });
}

const refsOf = (checkpoint) => Object.fromEntries([...REFS, "plugin_snapshot_revision"].filter((name) => checkpoint[name] !== undefined).map((name) => [name, checkpoint[name]]));

// A leaf that names nothing is moved to the newest message.
function healed(state) {
  if (!state.nodes.length || state.nodes.some(({ node_id: id }) => id === state.leaf)) return state;
  return { ...state, leaf: state.nodes.findLast((node) => history.messageOf(node))?.node_id, replace: true };
}

// What a host is shown: refs and no bodies.
function exported(state) {
  const { session_id, policy, turn_index, token_usage, last_prompt_usage, protocol_turn_options, agent_frames, current_agent_frame_id, token_ledger, refs } = state;
  return {
    session_id, policy, session_graph: { nodes: state.nodes, leaf_node_id: state.leaf }, turn_index, token_usage, ...(last_prompt_usage && { last_prompt_usage }),
    protocol_turn_options, agent_frames, current_agent_frame_id: current_agent_frame_id ?? "", token_ledger, ...refs,
  };
}

// The state that a host gave.
function given({ session_graph: graph = {}, ...told }) {
  for (const frame of told.agent_frames ?? []) admitted(frame.assignment.policy);
  const { session_id, policy, turn_index = 0, token_usage = NO_USAGE, last_prompt_usage, protocol_turn_options = OPTIONS, agent_frames = [], token_ledger } = told;
  return healed({
    ...empty(session_id, admitted(policy)), nodes: graph.nodes ?? [], leaf: graph.leaf_node_id ?? undefined, turn_index, token_usage, last_prompt_usage, protocol_turn_options,
    agent_frames, current_agent_frame_id: told.current_agent_frame_id || undefined, token_ledger: token_ledger ?? [], replace: true, named: refsOf(told),
  });
}

// With a current frame, which runs under the session's policy.
function framed(state, timestamp) {
  const current = state.agent_frames.find(({ frame_id: id }) => id === state.current_agent_frame_id);
  if (current) return assigned(state);
  const frame = {
    frame_id: `${state.session_id} at first`, session_id: state.session_id, status: "active", reason: "initial", created_at: timestamp,
    assignment: { policy: state.policy }, protocol_turn_options: state.protocol_turn_options,
  };
  return { ...state, agent_frames: [frame], current_agent_frame_id: frame.frame_id };
}

const assigned = (state) => ({
  ...state, agent_frames: state.agent_frames.map((frame) =>
    (frame.frame_id === state.current_agent_frame_id ? { ...frame, assignment: { ...frame.assignment, policy: state.policy } } : frame)),
});

function opened(state, id, reason, timestamp) {
  const before = state.agent_frames.find((frame) => frame.frame_id === state.current_agent_frame_id);
  const frame = {
    frame_id: id, session_id: state.session_id, previous_frame_id: before.frame_id, status: "active", reason, created_at: timestamp, assignment: before.assignment,
    protocol_turn_options: state.protocol_turn_options,
  };
  const others = state.agent_frames.filter((one) => one !== before && one.frame_id !== id);
  return { ...state, agent_frames: [...others, { ...before, status: "superseded" }, frame], current_agent_frame_id: id };
}

function appended(state, nodes) {
  return { ...state, nodes: [...state.nodes, ...nodes], leaf: nodes.at(-1)?.node_id ?? state.leaf };
}

// The commit that brings a store up to this state; the caller adds lease, stamp, claims and outbox.
function commit(state, deltas) {
  const { turn_index, token_usage, last_prompt_usage, protocol_turn_options, nodes, leaf: leaf_node_id } = state;
  const fresh = nodes.slice(state.sent);
  return {
    session_id: state.session_id, expected_head_revision: state.head_revision, config: { provider_id: state.policy.provider_id, model: state.policy.model },
    agent_frames: state.agent_frames, current_agent_frame_id: state.current_agent_frame_id ?? "",
    graph: state.replace ? { ReplaceFull: { nodes, leaf_node_id } } : fresh.length ? { Append: { nodes: fresh, leaf_node_id } } : { Unchanged: { leaf_node_id } },
    checkpoint: {
      turn_state: { turn_index, token_usage, ...(last_prompt_usage && { last_prompt_usage }), protocol_turn_options }, ...state.refs,
      ...(state.fresh_tools && { tool_state: state.fresh_tools }), ...(state.fresh_plugins && { plugin_snapshot: state.fresh_plugins }),
    },
    usage_deltas: deltas,
  };
}

// The store has it.
const committed = (state, { head_revision, manifest }, deltas) => ({
  ...state, head_revision, sent: state.nodes.length, replace: false, token_ledger: deltas.reduce(billed, state.token_ledger), refs: refsOf(manifest), fresh_tools: undefined,
  fresh_plugins: undefined,
});

function billed(ledger, { source, model, usage }) {
  const at = ledger.findIndex((entry) => entry.source === source && entry.model === model);
  if (at < 0) return [...ledger, { source, model, usage }];
  return ledger.with(at, { source, model, usage: add(ledger[at].usage, usage) });
}

const ATTEMPT = new Set(["expected_head_revision", "session_execution_lease", "release_session_execution_lease", "turn_commit"]);
const MINTED = new Set(["node_id", "parent_node_id", "leaf_node_id", "timestamp"]);

// What of a commit is the turn and not the attempt.
function hash(given) {
  const bare = (value) => {
    if (Array.isArray(value)) return value.map(bare);
    if (value === null || typeof value !== "object") return value;
    const minted = "parts" in value || "prune_state" in value;
    return Object.fromEntries(Object.entries(value).filter(([name]) => !MINTED.has(name) && !(minted && name === "id")).map(([name, held]) => [name, bare(held)]));
  };
  const turn = Object.fromEntries(Object.entries(given).filter(([name]) => !ATTEMPT.has(name)));
  return createHash("sha256").update(json.canonical(bare(JSON.parse(json.write(turn))))).digest("hex");
}

function usageReport(ledger) {
  const sum = (entries) => entries.reduce((total, { usage }) => add(total, usage), NO_USAGE);
  const total = (usage) => usage.input_tokens + usage.output_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens;
  const merged = ledger.reduce(billed, []).filter(({ usage }) => total(usage) > 0).sort((a, b) => order(a.source, b.source) || order(a.model, b.model));
  const by = (name) => [...new Set(merged.map((entry) => entry[name]))].sort(order).map((value) => {
    const usage = sum(merged.filter((entry) => entry[name] === value));
    return { [name]: value, usage, total_tokens: total(usage) };
  });
  const usage = sum(merged);
  return {
    entry_count: merged.length, usage, total_tokens: total(usage), by_source: by("source"), by_model: by("model"),
    by_source_model: merged.map((entry) => ({ ...entry, total_tokens: total(entry.usage) })),
  };
}

const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

module.exports = { policyOf, empty, loaded, exported, given, framed, assigned, opened, appended, commit, committed, hash, usageReport };
