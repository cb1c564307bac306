"use strict";
// Attachment bytes: one file a content hash; its modification time is the place's.

const fs = require("node:fs");
const { digest, orNone, sync } = require("./journal");
const { Refusal, refuse } = require("./records");

const isHash = (id) => /^[0-9a-f]{64}$/.test(id);

// Anything the disk says is AttachmentIo here.
function io(path, act) {
  try { return act(); } catch (err) {
    if (err instanceof Refusal) throw err;
    return refuse("AttachmentIo", { path, reason: err.message });
  }
}

function entry(place, id) {
  const seen = isHash(id) ? orNone(() => fs.statSync(place.journal.path("bytes", id))) : undefined;
  return seen ? { id, last_modified_epoch_ms: Math.round(seen.mtimeMs) } : null;
}

const persistence = () => "durable";

function put(place, { data, meta }) {
  const bytes = Buffer.from(data, "base64");
  const id = digest(bytes);
  io(id, () => {
    place.journal.fresh(bytes, (path) => fs.renameSync(path, place.journal.path("bytes", id)), Number(place.now));
    sync(place.journal.path("bytes"));
  });
  return { id, media_type: meta.media_type, byte_len: bytes.length, type_metadata: meta.type_metadata, label: meta.label };
}

function get(place, { attachment_id: id }) {
  const bytes = io(id, () => (isHash(id) ? orNone(() => fs.readFileSync(place.journal.path("bytes", id))) : undefined));
  if (bytes === undefined) refuse("AttachmentNotFound", { attachment_id: id });
  if (digest(bytes) !== id) refuse("AttachmentIo", { path: id, reason: "the bytes are not those of the id" });
  return bytes.toString("base64");
}

function remove(place, { attachment_id: id }) {
  io(id, () => {
    if (!isHash(id)) return;
    orNone(() => fs.unlinkSync(place.journal.path("bytes", id)));
    sync(place.journal.path("bytes"));
  });
  return null;
}

const list = (place) => io("bytes", () => fs.readdirSync(place.journal.path("bytes")).sort().map((id) => entry(place, id)).filter(Boolean));
const head = (place, { attachment_id: id }) => io(id, () => entry(place, id));

module.exports = { persistence, put, get, delete: remove, list, head };
