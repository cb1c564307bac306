"use strict";
// Queued work. Rows "queued_work": a batch and the claim on it; "queued_work_key": the batch of a source key; "counter": numbers that never come back.

const { randomUUID } = require("node:crypto");
const { invalid, refuse } = require("./records");
const { sum } = require("./json");
const lease = require("./lease");

// The next number of a session's series.
function count(tx, session, series) {
  const counter = tx.read("counter", session) ?? {};
  counter[series] = sum(counter[series] ?? 0, 1);
  tx.write("counter", session, counter);
  return counter[series];
}

// Whether a claim is live: its session's lease is, and is the generation it was made under.
function held(tx, now, session, row) {
  return row.claim !== undefined && lease.live(tx, now, session)?.fencing_token === row.claim.session_lease_generation;
}

const isCommand = (batch) => batch.items[0].payload.type === "session_command";

function checkDraft(draft) {
  const classes = new Set(draft.payloads.map((payload) => payload.type === "session_command"));
  if (classes.size !== 1) invalid("QueuedWorkBatchDraft", "payloads", "payloads of one class", `${classes.size} classes`);
}

function enqueue(tx, { now }, { batch: draft }) {
  checkDraft(draft);
  const { session_id: session, source_key: key, payloads, ...rest } = draft;
  const known = key === undefined ? undefined : tx.read(`queued_work_key ${session}`, key);
  if (known !== undefined) return tx.read(`queued_work ${session}`, known).batch;
  const batch = {
    batch_id: randomUUID(), session_id: session, enqueue_seq: count(tx, session, "work"), source_key: key, ...rest,
    enqueued_at_ms: now, items: payloads.map((payload) => ({ item_id: randomUUID(), payload })),
  };
  tx.write(`queued_work ${session}`, batch.batch_id, { batch });
  if (key !== undefined) tx.write(`queued_work_key ${session}`, key, batch.batch_id);
  return batch;
}

function remove(tx, batch) {
  tx.delete(`queued_work ${batch.session_id}`, batch.batch_id);
  if (batch.source_key !== undefined) tx.delete(`queued_work_key ${batch.session_id}`, batch.source_key);
}

const list = (tx, _, { session_id: session }) => tx.all(`queued_work ${session}`).map((row) => row.batch);
const listPending = (tx, { now }, { session_id: session }) =>
  tx.all(`queued_work ${session}`).filter((row) => !held(tx, now, session, row)).map((row) => row.batch);

// For a caller with a fence, a claim holds what was taken under the fence's own number; all others are dead to it.
const ours = (row, fence) => row.claim?.session_lease_generation === fence.fencing_token;

const ready = (tx, now, session, fence) =>
  tx.all(`queued_work ${session}`).filter((row) => row.batch.available_at_ms <= now && !ours(row, fence)).map((row) => row.batch);

const admitted = (batch, boundary) => boundary === "idle" || batch.delivery_policy === "earliest_safe_boundary";
const joins = (head, batch) =>
  head.slot_policy === "join" && batch.slot_policy === "join" && !isCommand(batch) && head.delivery_policy === batch.delivery_policy &&
  JSON.stringify(head.merge_key) === JSON.stringify(batch.merge_key);

// The group that a claim at the boundary would take.
function leading(tx, now, session, fence, boundary, max) {
  const [head, ...rest] = ready(tx, now, session, fence);
  if (max === 0 || !head || isCommand(head) || !admitted(head, boundary)) return [];
  const end = rest.findIndex((batch) => !joins(head, batch));
  return [head, ...(end < 0 ? rest : rest.slice(0, end))].slice(0, Number(max));
}

// What a claim, of either family, says of itself.
const claimed = (tx, session, owner, fence) => ({
  claim_id: randomUUID(), owner, lease_token: randomUUID(), fencing_token: count(tx, session, "claim"),
  session_lease_generation: fence.fencing_token,
});

function take(tx, session, owner, fence, batches) {
  if (!batches.length) return null;
  const claim = claimed(tx, session, owner, fence);
  for (const batch of batches) tx.write(`queued_work ${session}`, batch.batch_id, { batch, claim });
  return { session_id: session, ...claim, batches };
}

function claimCommand(tx, { now }, { session_id: session, session_execution_lease: fence, owner }) {
  lease.authorised(tx, now, session, fence);
  return take(tx, session, owner, fence, ready(tx, now, session, fence).slice(0, 1).filter(isCommand));
}

function claimReady(tx, { now }, { session_id: session, session_execution_lease: fence, owner, boundary, max_batches: max }) {
  if (max === 0) return null;
  lease.authorised(tx, now, session, fence);
  return take(tx, session, owner, fence, leading(tx, now, session, fence, boundary, max));
}

function claimExact(tx, { now }, { session_id: session, session_execution_lease: fence, owner, boundary, batch_ids: ids }) {
  if (!ids.length) return null;
  lease.authorised(tx, now, session, fence);
  const waiting = new Map(ready(tx, now, session, fence).map((batch) => [batch.batch_id, batch]));
  const batches = [...new Set(ids)].map((id) => waiting.get(id));
  const legal = batches.every((batch) => batch && !isCommand(batch) && admitted(batch, boundary)) &&
    batches.slice(1).every((batch) => joins(batches[0], batch));
  return legal ? take(tx, session, owner, fence, batches) : null;
}

const holds = (row, claim) => row?.claim?.claim_id === claim.claim_id && row.claim.lease_token === claim.lease_token;

function abandon(tx, _, { claim }) {
  for (const { batch_id: id } of claim.batches) {
    const row = tx.read(`queued_work ${claim.session_id}`, id);
    if (holds(row, claim)) tx.write(`queued_work ${claim.session_id}`, id, { batch: row.batch });
  }
  return null;
}

function abandonAll(tx, context, { claims }) {
  for (const claim of claims) abandon(tx, context, { claim });
  return null;
}

function cancel(tx, { now }, { session_id: session, batch_id: id }) {
  const row = tx.read(`queued_work ${session}`, id);
  if (!row || held(tx, now, session, row)) return null;
  remove(tx, row.batch);
  return row.batch;
}

// The batches that a commit's completion settles; refused unless it holds each of them.
function completed(tx, session, completion) {
  const superseded = () => refuse("QueuedWorkClaimSuperseded", { session_id: session, claim_id: completion.claim_id });
  if (completion.session_id !== session) superseded();
  return [...new Set(completion.batch_ids)].map((id) => {
    const row = tx.read(`queued_work ${session}`, id);
    return holds(row, completion) ? row.batch : superseded();
  });
}

module.exports = {
  count, held, holds, ours, claimed, checkDraft, enqueue, remove, leading, take, completed,
  methods: {
    enqueue_queued_work: enqueue, list_queued_work: list, list_pending_queued_work: listPending,
    claim_leading_ready_session_command: claimCommand, claim_ready_queued_work: claimReady,
    claim_ready_queued_work_by_batch_ids: claimExact, cancel_queued_work_batch: cancel,
    abandon_queued_work_claim: abandon, abandon_queued_work_claims: abandonAll,
  },
};
