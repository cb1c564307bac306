"use strict";
// Which bytes are referred to. Row "attachment_intent": one manifest entry for each session and attachment.

const { refuse, invalid } = require("./records");

const at = (session, id) => JSON.stringify([session, id]);
const put = (tx, entry) => tx.write("attachment_intent", at(entry.session_id, entry.attachment_id), entry);
const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const byTime = (a, b) => (a.intent_at_epoch_ms < b.intent_at_epoch_ms ? -1 : a.intent_at_epoch_ms > b.intent_at_epoch_ms ? 1 : 0);
const uncommitted = (entry) => entry.committed_at_epoch_ms === undefined;

function record(tx, _, { intent }) {
  if ((intent.owner_kind === undefined) !== (intent.owner_id === undefined)) {
    invalid("AttachmentIntent", "owner_id", "owner kind and id, or neither", "one of them");
  }
  const known = tx.read("attachment_intent", at(intent.session_id, intent.attachment_id));
  put(tx, { ...intent, committed_at_epoch_ms: known?.committed_at_epoch_ms });
  return null;
}

function stamp(tx, now, entry) {
  if (entry && uncommitted(entry)) put(tx, { ...entry, committed_at_epoch_ms: now });
}

function commitRefs(tx, { now }, { session_id: session, attachment_ids: ids }) {
  for (const id of ids) stamp(tx, now, tx.read("attachment_intent", at(session, id)));
  return null;
}

// What a commit adopts: the ids it lists, and whatever its turn recorded.
function adopt(tx, { now }, session, ids, turn) {
  commitRefs(tx, { now }, { session_id: session, attachment_ids: ids });
  if (turn === undefined) return;
  for (const entry of tx.all("attachment_intent")) {
    if (entry.session_id === session && entry.owner_kind === "turn" && entry.owner_id === turn) stamp(tx, now, entry);
  }
}

const listUncommitted = (tx, _, { older_than_epoch_ms: cutoff }) =>
  tx.all("attachment_intent").filter((entry) => uncommitted(entry) && entry.intent_at_epoch_ms <= cutoff).sort((a, b) =>
    byTime(a, b) || byCodePoint(a.session_id, b.session_id) || byCodePoint(a.attachment_id, b.attachment_id));

// Whether nobody can commit the intent any more, and it is old enough to say so.
function dead(tx, gone, entry, cutoff) {
  if (!uncommitted(entry) || entry.intent_at_epoch_ms > cutoff) return false;
  if (entry.owner_kind === undefined) return true;
  if (entry.owner_kind === "process") return gone.has(entry.owner_id);
  return [...tx.rows(`turn_commit ${entry.session_id}`).keys()].some((turn) =>
    turn !== entry.owner_id && tx.read(`turn_commit ${entry.session_id}`, turn).committed_at_epoch_ms > entry.intent_at_epoch_ms);
}

function forgetDead(tx, { gone }, { intent_grace_cutoff_epoch_ms: cutoff }) {
  for (const entry of tx.all("attachment_intent")) {
    if (dead(tx, gone, entry, cutoff)) tx.delete("attachment_intent", at(entry.session_id, entry.attachment_id));
  }
  return null;
}

const hasLive = (tx, { gone }, { attachment_id: id, intent_grace_cutoff_epoch_ms: cutoff }) =>
  tx.all("attachment_intent").some((entry) => entry.attachment_id === id && !dead(tx, gone, entry, cutoff));

function forget(tx, _, { session_id: session, attachment_id: id }) {
  tx.delete("attachment_intent", at(session, id));
  return null;
}

const holdsRef = (tx, _, { session_id: session, attachment_id: id }) => tx.read("attachment_intent", at(session, id)) !== undefined;
const listAll = (tx) => [...new Set(tx.all("attachment_intent").map((entry) => entry.attachment_id))].sort(byCodePoint);

function liveRefs(tx, context, request) {
  forgetDead(tx, context, request);
  return listAll(tx);
}

function drop(tx, session) {
  for (const entry of tx.all("attachment_intent")) if (entry.session_id === session) tx.delete("attachment_intent", at(session, entry.attachment_id));
}

module.exports = {
  adopt, drop, liveRefs, hasLive,
  methods: {
    record_intent: record, commit_refs: commitRefs, list_uncommitted: listUncommitted, forget_aged_uncommitted_intents: forgetDead,
    has_live_ref_for_id: hasLive, forget, holds_ref: holdsRef, list_all_refs: listAll,
  },
};
