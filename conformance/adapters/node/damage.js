"use strict";
// The judge's hook: every record of a kind at a closed place is spoilt, so that it can see what a read makes of it.

const fs = require("node:fs");
const { join } = require("node:path");
const { Journal } = require("./journal");

const GARBAGE = "{spoilt";
const spoil = (...tables) => (tx, table, key) => { if (tables.includes(table.split(" ")[0])) tx.put(table, key, GARBAGE); };
const edit = (name, change) => (tx, table, key) => {
  if (table !== name) return;
  const record = tx.read(table, key);
  change(record);
  tx.write(table, key, record);
};
const gone = (name) => (tx, table, key) => { if (table === name) tx.delete(table, key); };
const versions = (kind, table) => ({
  [`${kind}_version_missing`]: edit(table, (record) => { delete record.schema_version; }),
  [`${kind}_version_text`]: edit(table, (record) => { record.schema_version = "one"; }),
  [`${kind}_version_other`]: edit(table, (record) => { record.schema_version = 2; }),
});

const ROWS = {
  node: spoil("node"), ledger: spoil("ledger"), head: spoil("head"), manifest: spoil("manifest"), queued_work: spoil("queued_work"),
  turn_input: spoil("turn_input"), attachment_intent: spoil("attachment_intent"), turn_commit: spoil("turn_commit"), meta: spoil("meta"),
  lease_liveness: edit("lease", (row) => { if (row.lease) row.lease.owner.liveness = "?"; }),
  manifest_gone: gone("manifest"), blob_gone: gone("blob"), ...versions("head", "head"), ...versions("manifest", "manifest"),
};

function* files(directory) {
  for (const folder of ["log", "snapshot"]) for (const name of fs.readdirSync(join(directory, folder))) yield join(directory, folder, name);
}

const FILES = {
  database_version: (directory) => fs.writeFileSync(join(directory, "format"), "99\n"),
  database_truncated: (directory) => { for (const path of files(directory)) fs.truncateSync(path, fs.statSync(path).size >> 1); },
  database_garbage: (directory) => { for (const path of files(directory)) fs.writeFileSync(path, "this is no log of mine\n".repeat(9)); },
};

function damage(directory, what) {
  if (FILES[what]) return FILES[what](directory);
  return new Journal(directory).transact((tx) => {
    for (const [table, rows] of tx.tables) for (const key of [...rows.keys()]) ROWS[what](tx, table, key);
  });
}

module.exports = { damage, DAMAGES: [...Object.keys(ROWS), ...Object.keys(FILES)] };
