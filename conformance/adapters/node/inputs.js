"use strict";
// Pending turn input. Rows "turn_input": the input, the ingress it was submitted with and the claim on it; "turn_input_key": the input of a source key.

const { randomUUID } = require("node:crypto");
const { refuse } = require("./records");
const { canonical } = require("./json");
const lease = require("./lease");
const queue = require("./queue");

const put = (tx, row) => tx.write(`turn_input ${row.input.session_id}`, row.input.input_id, row);
const waits = (row) => row.input.state === "pending_active" || row.input.state === "deferred_next_turn";
const finished = (row) => row.input.state === "completed" || row.input.state === "cancelled";
const inState = (row, state, claim) => ({ input: { ...row.input, state }, submitted: row.submitted, claim });

function enqueue(tx, { now }, { input: draft }) {
  const { session_id: session, source_key: key, ingress } = draft;
  const known = key === undefined ? undefined : tx.read(`turn_input_key ${session}`, key);
  if (known !== undefined) {
    const row = tx.read(`turn_input ${session}`, known);
    const same = canonical([row.submitted, row.input.input]) === canonical([ingress, draft.input]);
    return same ? row.input : refuse("PendingTurnInputSourceKeyConflict", { session_id: session, source_key: key, existing_input_id: known });
  }
  const id = draft.input_id ?? randomUUID();
  if (tx.get(`turn_input ${session}`, id) !== undefined) refuse("DuplicateInputId", { session_id: session, input_id: id });
  const input = {
    input_id: id, session_id: session, enqueue_seq: queue.count(tx, session, "input"), source_key: key, ingress,
    state: ingress.scope === "active_turn" ? "pending_active" : "deferred_next_turn", enqueued_at_ms: now, input: draft.input,
  };
  put(tx, { input, submitted: ingress });
  if (key !== undefined) tx.write(`turn_input_key ${session}`, key, id);
  return input;
}

const list = (tx, { now }, { session_id: session }) =>
  tx.all(`turn_input ${session}`).filter((row) => waits(row) && !queue.held(tx, now, session, row)).map((row) => row.input);

// What stamped commits made of inputs is kept with the turns.
const listApplications = (tx, _, { session_id: session }) =>
  tx.all(`turn_commit ${session}`).flatMap((turn) => turn.result.turn_input_applications ?? []);

const BOUNDARIES = ["after_work", "before_completion"];

function active(tx, session, turn, checkpoint, max) {
  const reached = ({ state, ingress }) => state === "pending_active" && ingress.turn_id === turn &&
    BOUNDARIES.indexOf(ingress.min_boundary) <= BOUNDARIES.indexOf(checkpoint);
  return tx.all(`turn_input ${session}`).filter((row) => reached(row.input)).slice(0, Number(max));
}

function take(tx, session, owner, fence, mode, rows) {
  if (!rows.length) return null;
  const claim = queue.claimed(tx, session, owner, fence);
  const inputs = rows.map((row) => {
    const taken = inState(row, mode.kind === "active_turn" ? "accepted" : row.input.state, claim);
    put(tx, taken);
    return taken.input;
  });
  return { session_id: session, ...claim, mode, inputs };
}

function claimActive(tx, { now }, { session_id: session, session_execution_lease: fence, owner, turn_id: turn, checkpoint, max_inputs: max }) {
  if (max === 0) return null;
  lease.authorised(tx, now, session, fence);
  return take(tx, session, owner, fence, { kind: "active_turn", turn_id: turn, checkpoint }, active(tx, session, turn, checkpoint, max));
}

function claimNext(tx, { now }, { session_id: session, session_execution_lease: fence, owner, max_inputs: max }) {
  if (max === 0) return null;
  lease.authorised(tx, now, session, fence);
  const rows = tx.all(`turn_input ${session}`).filter((row) => row.input.state === "deferred_next_turn" && !queue.ours(row, fence));
  return take(tx, session, owner, fence, { kind: "next_turn" }, rows.slice(0, Number(max)));
}

// Both families in one step; the fence is judged only when there is something to grant.
function claimCheckpoint(tx, { now }, request) {
  const { session_id: session, session_execution_lease: fence, owner, turn_id: turn, checkpoint } = request;
  const rows = active(tx, session, turn, checkpoint, request.max_inputs);
  const batches = queue.leading(tx, now, session, fence, "active_turn_checkpoint", request.max_batches);
  if (!rows.length && !batches.length) return {};
  lease.authorised(tx, now, session, fence);
  return {
    turn_input_claim: take(tx, session, owner, fence, { kind: "active_turn", turn_id: turn, checkpoint }, rows) ?? undefined,
    queued_work_claim: queue.take(tx, session, owner, fence, batches) ?? undefined,
  };
}

function abandon(tx, _, { claim }) {
  for (const { input_id: id } of claim.inputs) {
    const row = tx.read(`turn_input ${claim.session_id}`, id);
    if (queue.holds(row, claim)) put(tx, inState(row, row.input.state === "accepted" ? "pending_active" : row.input.state));
  }
  return null;
}

function abandonAll(tx, context, { claims }) {
  for (const claim of claims) abandon(tx, context, { claim });
  return null;
}

// The rows that a commit's completion settles; refused unless it holds each of them.
function completed(tx, session, completion) {
  const superseded = () => refuse("TurnInputClaimSuperseded", { session_id: session, claim_id: completion.claim_id });
  if (completion.session_id !== session) superseded();
  return [...new Set(completion.input_ids)].map((id) => {
    const row = tx.read(`turn_input ${session}`, id);
    return queue.holds(row, completion) ? row : superseded();
  });
}

const complete = (tx, row) => put(tx, inState(row, "completed"));

// An interrupted turn's waiting inputs go to the next one; what was submitted stays known.
function defer(tx, session, turn) {
  for (const row of tx.all(`turn_input ${session}`)) {
    if (row.input.state !== "pending_active" || row.input.ingress.turn_id !== turn) continue;
    put(tx, { ...row, input: { ...row.input, ingress: { scope: "next_turn" }, state: "deferred_next_turn" } });
  }
}

function find(tx, session, target) {
  const id = target.kind === "input_id" ? target.value : tx.read(`turn_input_key ${session}`, target.value);
  return id === undefined ? undefined : tx.read(`turn_input ${session}`, id);
}

function cancelRow(tx, now, row) {
  if (!row) return { outcome: "not_found" };
  const { input, claim } = row;
  if (finished(row)) return { outcome: `already_${input.state}`, data: input };
  if (input.state === "accepted" || queue.held(tx, now, input.session_id, row)) {
    const diagnostics = {
      state: input.state, claim_id: claim.claim_id, claim_owner: claim.owner,
      claim_session_lease_generation: claim.session_lease_generation, claim_fencing_token: claim.fencing_token,
    };
    return { outcome: "already_claimed", data: { input, claim: diagnostics } };
  }
  const cancelled = inState(row, "cancelled");
  put(tx, cancelled);
  return { outcome: "cancelled", data: cancelled.input };
}

const cancel = (tx, { now }, { session_id: session, input_id: id }) => cancelRow(tx, now, find(tx, session, { kind: "input_id", value: id }));

const cancelMany = (tx, { now }, { session_id: session, targets }) =>
  targets.map((target) => ({ target, outcome: cancelRow(tx, now, find(tx, session, target)) }));

function cancelSuffix(tx, { now }, { session_id: session, anchor }) {
  const first = find(tx, session, anchor);
  if (!first) return { outcome: "anchor_not_found", data: { anchor } };
  const rows = tx.all(`turn_input ${session}`).filter((row) => row.input.enqueue_seq >= first.input.enqueue_seq);
  return { outcome: "outcomes", data: { anchor, outcomes: rows.map((row) => cancelRow(tx, now, row)) } };
}

function vacuum(tx, session) {
  const gone = tx.all(`turn_input ${session}`).filter(finished);
  for (const { input } of gone) {
    tx.delete(`turn_input ${session}`, input.input_id);
    if (input.source_key !== undefined) tx.delete(`turn_input_key ${session}`, input.source_key);
  }
  return gone.length;
}

module.exports = {
  completed, complete, defer, vacuum,
  methods: {
    enqueue_pending_turn_input: enqueue, list_pending_turn_inputs: list, list_turn_input_applications: listApplications,
    cancel_pending_turn_input: cancel, cancel_pending_turn_inputs: cancelMany, cancel_pending_turn_input_suffix: cancelSuffix,
    claim_active_turn_inputs: claimActive, claim_next_turn_inputs: claimNext, claim_checkpoint_work: claimCheckpoint,
    abandon_turn_input_claim: abandon, abandon_turn_input_claims: abandonAll,
  },
};
