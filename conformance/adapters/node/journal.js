"use strict";
// A place on disk: tables of rows, changed by transactions, each one file of a log.
//
//   format            the version of this layout
//   log/000000000042  one transaction: a digest, then the rows it changed
//   snapshot/000…040  all rows after transaction 40, in the same form; older log files are gone
//   bytes/HASH        attachments, see bytes.js
//   tmp/…             files that are being written
//
// A transaction is written to tmp, synced, and *linked* under the next number. Linking is atomic and fails
// when the name is taken, so it is commit and compare-and-swap at once, for any number of processes and
// without a lock: the loser reads what the winner wrote and decides again. A killed process leaves a file in
// tmp and nothing else. A number that a snapshot has passed may be linked by a process that slept
// through the compaction; so what was read counts only if no newer snapshot is there afterwards, and what was linked
// only if no snapshot holds its number: others may have read it already, so it is taken back in no other case.

const fs = require("node:fs");
const { join } = require("node:path");
const { createHash, randomUUID } = require("node:crypto");
const json = require("./json");
const { refuse, unreadable } = require("./records");

const VERSION = 1;
const COMPACT_BYTES = Number(process.env.LASH_NODE_COMPACT_BYTES ?? 1 << 20); // 0: after every transaction
const FORGOTTEN_MS = 3_600_000;
const named = (number) => String(number).padStart(12, "0");
const digest = (data) => createHash("sha256").update(data).digest("hex");

function sync(path) {
  const file = fs.openSync(path, "r");
  try {
    try { fs.fsyncSync(file); } catch { fs.fsyncSync(file); } // the name is there already: one more try before giving up
  } finally { fs.closeSync(file); }
}

function orNone(read) {
  try { return read(); } catch (err) { if (err.code === "ENOENT") return undefined; throw err; }
}

class Journal {
  constructor(directory) {
    this.directory = directory;
    for (const folder of ["log", "snapshot", "bytes", "tmp"]) fs.mkdirSync(join(directory, folder), { recursive: true });
    this.unsynced = true; // what is found may have been linked by a process that was killed before it synced
    this.sweep();
    this.checkFormat();
    this.reload();
  }

  path(...names) { return join(this.directory, ...names); }

  // Write a file that has no name yet but in tmp, and hand it to `publish`, which gives it one.
  fresh(data, publish, modified) {
    const path = this.path("tmp", randomUUID());
    try {
      const file = fs.openSync(path, "wx");
      try {
        fs.writeFileSync(file, data);
        if (modified !== undefined) fs.futimesSync(file, modified / 1000, modified / 1000);
        fs.fsyncSync(file);
      } finally { fs.closeSync(file); }
      return publish(path);
    } finally { try { fs.unlinkSync(path); } catch { /* it got its name by a rename, or is swept later */ } }
  }

  // Files in tmp that no living process can still be writing.
  sweep() {
    for (const name of fs.readdirSync(this.path("tmp"))) {
      const path = this.path("tmp", name);
      const seen = orNone(() => fs.statSync(path));
      if (seen && Date.now() - seen.ctimeMs > FORGOTTEN_MS) orNone(() => fs.unlinkSync(path));
    }
  }

  checkFormat() {
    const read = () => orNone(() => fs.readFileSync(this.path("format"), "utf8"));
    if (read() === undefined) {
      if (fs.readdirSync(this.path("log")).length + this.snapshots().length) unreadable("database", this.directory, "it has a log and no format");
      this.fresh(`${VERSION}\n`, (path) => linked(path, this.path("format")));
      sync(this.directory);
    }
    const text = read();
    if (!/^\d{1,9}\n$/.test(text)) unreadable("database", this.directory, "its format is no number");
    if (+text !== VERSION) refuse("UnsupportedDatabaseSchema", { actual: +text, expected: VERSION });
  }

  snapshots() { return fs.readdirSync(this.path("snapshot")).map(Number).sort((a, b) => a - b); }

  // Everything from the newest snapshot on. The last number seen in the log must be reached: no gap is jumped.
  reload() {
    const last = Math.max(0, ...fs.readdirSync(this.path("log")).map(Number));
    this.base = this.snapshots().at(-1) ?? 0;
    this.at = this.base;
    this.tables = new Map();
    this.snapshotBytes = this.logBytes = 0;
    if (this.base) {
      const whole = this.read("snapshot", this.base);
      if (whole === undefined) return this.reload(); // a newer one has just replaced it
      this.snapshotBytes = whole.length;
      apply(this.tables, parsed(whole));
    }
    this.catchUp();
    if (this.at < last) unreadable("database", `log/${named(this.at + 1)}`, "it is missing");
  }

  // The body of a file of rows, or undefined when there is no such file.
  read(folder, number) {
    const text = orNone(() => fs.readFileSync(this.path(folder, named(number)), "utf8"));
    if (text !== undefined && digest(text.slice(65)) !== text.slice(0, 64)) unreadable("database", `${folder}/${named(number)}`, "its digest is not that of its rows");
    return text?.slice(65);
  }

  // Apply what other processes committed since.
  catchUp() {
    for (;;) {
      const next = this.read("log", this.at + 1);
      if (this.passed()) return this.reload();
      if (next === undefined) return undefined;
      this.advance(next);
    }
  }

  passed() { return (this.snapshots().at(-1) ?? 0) > this.base; }

  advance(body) {
    apply(this.tables, parsed(body));
    this.at += 1;
    this.logBytes += body.length;
  }

  // Run `decide` on the current rows and make what it changed durable; a refusal thrown in it leaves nothing behind.
  transact(decide) {
    this.settle();
    for (;;) {
      this.catchUp();
      const transaction = new Transaction(this.tables);
      const answer = decide(transaction);
      if (!transaction.changes.length || this.commit(transaction.body())) return answer;
    }
  }

  commit(body) {
    const number = this.at + 1;
    const path = this.path("log", named(number));
    if (!this.fresh(`${digest(body)}\n${body}`, (written) => linked(written, path))) return false;
    if (this.snapshots().at(-1) >= number) { // this number is history already
      orNone(() => fs.unlinkSync(path));
      this.reload();
      return false;
    }
    this.advance(body);
    this.unsynced = true;
    this.settle();
    if (this.logBytes > (COMPACT_BYTES && Math.max(COMPACT_BYTES, 2 * this.snapshotBytes))) this.compact();
    return true;
  }

  // Make the names in the log safe. When that failed, the rows are there all the same, so a repeat would find them and write nothing.
  settle() {
    if (this.unsynced) sync(this.path("log"));
    this.unsynced = false;
  }

  // A failure here costs nothing: the log is still whole, and the next commit tries again.
  compact() {
    try {
      const whole = new Transaction(new Map());
      for (const [table, rows] of this.tables) for (const [key, text] of rows) whole.put(table, key, text);
      const body = whole.body();
      this.fresh(`${digest(body)}\n${body}`, (path) => fs.renameSync(path, this.path("snapshot", named(this.at))));
      sync(this.path("snapshot"));
      [this.base, this.snapshotBytes, this.logBytes] = [this.at, body.length, 0];
      for (const number of this.snapshots()) if (number < this.base) orNone(() => fs.unlinkSync(this.path("snapshot", named(number))));
      for (const name of fs.readdirSync(this.path("log"))) if (+name <= this.base) orNone(() => fs.unlinkSync(this.path("log", name)));
    } catch (err) { console.error(`compaction put off: ${err.message}`); }
  }
}

// Whether the file got the name; false when the name is taken.
function linked(from, to) {
  try { fs.linkSync(from, to); return true; } catch (err) { if (err.code === "EEXIST") return false; throw err; }
}

// Changes are pairs of lines: ["table","key"] and the row, which is empty when the row goes; ["table"] alone empties a table.
function* parsed(body) {
  const lines = body.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) yield [...JSON.parse(lines[at]), lines[at + 1] || undefined];
}

function apply(tables, changes) {
  for (const change of changes) {
    if (change.length === 2) { tables.delete(change[0]); continue; }
    const [table, key, text] = change;
    if (!tables.has(table)) tables.set(table, new Map());
    if (text === undefined) tables.get(table).delete(key);
    else tables.get(table).set(key, text);
  }
}

function decoded(table, key, text) {
  try { return json.parse(text); } catch (err) { return unreadable(table.split(" ")[0], key, err.message); }
}

// Rows as they will be when the transaction is committed. Rows are texts, and keep the order in which their keys came.
class Transaction {
  constructor(tables) {
    this.tables = tables;
    this.changes = [];
    this.changed = new Map(); // table -> key -> text
    this.emptied = new Set();
  }

  get(table, key) {
    const own = this.changed.get(table);
    if (own?.has(key)) return own.get(key);
    return this.emptied.has(table) ? undefined : this.tables.get(table)?.get(key);
  }

  // The record in a row, undefined when there is none. A table is named by what it holds, then by its session.
  read(table, key) {
    const text = this.get(table, key);
    return text === undefined ? undefined : decoded(table, key, text);
  }

  all(table) { return [...this.rows(table)].map(([key, text]) => decoded(table, key, text)); }

  write(table, key, record) { this.put(table, key, json.write(record)); }

  rows(table) {
    if (!this.changed.has(table) && !this.emptied.has(table)) return this.tables.get(table) ?? new Map();
    const view = new Map([[table, new Map(this.tables.get(table))]]);
    apply(view, this.changes.filter((change) => change[0] === table));
    return view.get(table) ?? new Map();
  }

  put(table, key, text) {
    this.changes.push([table, key, text]);
    if (!this.changed.has(table)) this.changed.set(table, new Map());
    this.changed.get(table).set(key, text);
  }

  delete(table, key) { this.put(table, key, undefined); }

  empty(table) {
    this.changes.push([table, undefined]);
    this.changed.delete(table);
    this.emptied.add(table);
  }

  body() {
    return this.changes.map(([table, key, text]) => `${JSON.stringify(key === undefined ? [table] : [table, key])}\n${text ?? ""}\n`).join("");
  }
}

module.exports = { Journal, sync, orNone, digest };
