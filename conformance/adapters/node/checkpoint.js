"use strict";
// What the next turn starts from, kept by content. Rows "manifest" and "blob", shared by all sessions and named by their hashes.

const { digest } = require("./journal");
const { write } = require("./json");
const { refuse, unreadable } = require("./records");

const SCHEMA_VERSION = 1;
const SLOTS = ["tool_state", "plugin_snapshot", "execution_state"];

function keep(tx, table, record) {
  const text = write(record);
  const ref = digest(text);
  if (tx.get(table, ref) === undefined) tx.put(table, ref, text);
  return ref;
}

// Refs that a commit carries without their parts, and that must be held already.
function checkRefs(tx, checkpoint) {
  for (const slot of SLOTS) {
    const ref = checkpoint[`${slot}_ref`];
    if (checkpoint[slot] === undefined && ref !== undefined) part(tx, ref);
  }
}

function part(tx, ref) {
  const held = tx.read("blob", ref);
  return held === undefined ? unreadable("blob", ref, "it is gone") : held;
}

function store(tx, checkpoint) {
  const manifest = { schema_version: SCHEMA_VERSION, turn_state: checkpoint.turn_state, plugin_snapshot_revision: checkpoint.plugin_snapshot_revision };
  for (const slot of SLOTS) {
    manifest[`${slot}_ref`] = checkpoint[slot] === undefined ? checkpoint[`${slot}_ref`] : keep(tx, "blob", checkpoint[slot]);
  }
  return { ref: keep(tx, "manifest", manifest), manifest };
}

function checkVersion(kind, record) {
  if (record === null || typeof record !== "object") unreadable(kind, "", "it is no record");
  const { schema_version: actual } = record;
  if (actual === undefined) refuse("MissingRecordSchemaVersion", { record_kind: kind, expected: SCHEMA_VERSION });
  if (!Number.isInteger(actual)) refuse("InvalidRecordSchemaVersion", { record_kind: kind, actual: `${actual}`, expected: SCHEMA_VERSION });
  if (actual !== SCHEMA_VERSION) refuse("UnsupportedRecordSchemaVersion", { record_kind: kind, actual, expected: SCHEMA_VERSION });
  return record;
}

function manifest(tx, ref) {
  const held = tx.read("manifest", ref);
  return held === undefined ? unreadable("manifest", ref, "it is gone") : checkVersion("SessionCheckpoint", held);
}

function hydrated(tx, ref) {
  const { schema_version: _, ...checkpoint } = manifest(tx, ref);
  for (const slot of SLOTS) {
    if (checkpoint[`${slot}_ref`] !== undefined) checkpoint[slot] = part(tx, checkpoint[`${slot}_ref`]);
  }
  return checkpoint;
}

// Delete what no head reaches. Everything is read before anything goes.
function collect(tx, heads) {
  const manifests = new Set(heads.map((head) => head.checkpoint_ref));
  const parts = new Set([...manifests].flatMap((ref) => Object.values(refsOf(manifest(tx, ref)))));
  let deleted = 0;
  for (const [table, kept] of [["manifest", manifests], ["blob", parts]]) {
    for (const ref of tx.rows(table).keys()) {
      if (kept.has(ref)) continue;
      tx.delete(table, ref);
      deleted += 1;
    }
  }
  return { root_count: heads.length, retained_blob_count: manifests.size + parts.size, deleted_blob_count: deleted };
}

const refsOf = (manifest) => SLOTS.map((slot) => manifest[`${slot}_ref`]).filter((ref) => ref !== undefined);

module.exports = { SCHEMA_VERSION, checkRefs, store, checkVersion, hydrated, collect };
