"use strict";
// The wire: JSON-RPC 2.0, one message a line on standard input and output. Calls are answered one by one, in order.

const bytes = require("./bytes");
const json = require("./json");
const session = require("./session");
const { damage, DAMAGES } = require("./damage");
const { Journal } = require("./journal");
const { METHODS, Refusal, admit } = require("./records");

const EDITION = "2026.11";
const PROTOCOL = 1;
const CAPABILITIES = ["durable", "clock", "manifest", "gc", "active_path", "shared", "process_evidence", "process_liveness"];

class Fault extends Error { // of the envelope
  constructor(code, message) { super(message); this.code = code; }
}

const places = new Map(); // handle -> { journal, now, gone }
const stores = new Map(); // handle -> { place, session }
let handles = 0;
let ending = false;

function handle(kind, table, value) {
  handles += 1;
  table.set(`${kind}${handles}`, value);
  return `${kind}${handles}`;
}

function opened(table, name) {
  if (!table.has(name)) throw new Fault(-32602, `nothing open is called ${JSON.stringify(name)}`);
  return table.get(name);
}

const CONTROL = {
  initialize({ protocols }) {
    if (!protocols.includes(PROTOCOL)) throw new Fault(-32602, `only protocol ${PROTOCOL} is spoken here`);
    return {
      protocol: PROTOCOL, edition: EDITION, target: { name: "lash-node", version: "0.1.0" }, capabilities: CAPABILITIES,
      damages: DAMAGES, limits: { in_flight: 16, processes: 8 },
    };
  },
  smoke: ({ value }) => value,
  open: ({ directory, now_ms: now, gone }) => ({ place: handle("p", places, { journal: new Journal(directory), now, gone: new Set(gone) }) }),
  close({ place: name }) {
    const place = opened(places, name);
    places.delete(name);
    for (const [store, { place: of }] of stores) if (of === place) stores.delete(store);
    return null;
  },
  "clock.advance"({ place, now_ms: now }) { opened(places, place).now = now; return null; },
  "process.gone"({ place, process_id: id }) { opened(places, place).gone.add(id); return null; },
  damage({ directory, what }) { damage(directory, what); return null; },
  shutdown() { ending = true; return null; },
};

const inPlace = (act) => ({ place: name, ...params }) => {
  const place = opened(places, name);
  return place.journal.transact((tx) => act(tx, place, params));
};
const inStore = (act) => ({ store: name, ...params }) => {
  const { place, session: bound } = opened(stores, name);
  return place.journal.transact((tx) => act(tx, { ...place, session: bound }, params));
};
const onBytes = (act) => ({ place: name, ...params }) => act(opened(places, name), params);
const handing = (call) => (params) => {
  const found = call(params);
  return found === null ? null : { store: handle("s", stores, { place: opened(places, params.place), session: found }) };
};

const prefixed = (room, methods, wrap) => Object.fromEntries(Object.entries(methods).map(([name, act]) => [`${room}.${name}`, wrap(act)]));
const CALLS = {
  ...prefixed("factory", session.factory, inPlace), ...prefixed("store", session.methods, inStore), ...prefixed("attachments", bytes, onBytes),
};
for (const name of ["factory.create_store", "factory.open_existing_store"]) CALLS[name] = handing(CALLS[name]);

// The parameters by the method's schema. A wrong type is the store's to refuse, and the envelope's fault where there is no store.
function decode(method, given) {
  const known = Object.hasOwn(METHODS, method) && (method in CONTROL || method in CALLS) ? METHODS[method] : undefined;
  if (!known) throw new Fault(-32601, `no method ${method}`);
  const missing = known.params.find(({ name }) => !Object.hasOwn(given, name));
  if (missing) throw new Fault(-32602, `${method} needs ${missing.name}`);
  try {
    return Object.fromEntries(known.params.map(({ name, schema }) => [name, admit(schema, given[name], name)]));
  } catch (err) { throw method in CONTROL ? new Fault(-32602, err.message) : err; }
}

function failure(err) {
  if (err instanceof Refusal) return { code: 1, message: err.message, data: { error: err.error, fields: err.fields } };
  if (err instanceof Fault) return { code: err.code, message: err.message };
  if (err.syscall) return { code: 1, message: err.message, data: { error: "Backend", fields: { message: err.message } } };
  console.error(err);
  return { code: -32603, message: `${err}` };
}

const isRequest = (request) =>
  request !== null && typeof request === "object" && request.jsonrpc === "2.0" && Number.isInteger(request.id) && typeof request.method === "string" &&
  (request.params === undefined || (typeof request.params === "object" && request.params !== null && !Array.isArray(request.params)));

function answer(line) {
  let request;
  try {
    request = json.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line));
  } catch (err) { return { id: null, error: { code: -32700, message: err.message } }; }
  const id = Number.isInteger(request?.id) ? request.id : null;
  if (!isRequest(request)) return { id, error: { code: -32600, message: "no JSON-RPC 2.0 request with parameters by name" } };
  try {
    const params = decode(request.method, request.params ?? {});
    return { id, result: (CONTROL[request.method] ?? CALLS[request.method])(params) };
  } catch (err) { return { id, error: failure(err) }; }
}

let pending = []; // pieces of a line that has not ended
process.stdin.on("data", (chunk) => {
  for (let end; (end = chunk.indexOf(10)) >= 0; chunk = chunk.subarray(end + 1)) {
    const line = Buffer.concat([...pending, chunk.subarray(0, end)]);
    pending = [];
    process.stdout.write(`${json.write({ jsonrpc: "2.0", ...answer(line) })}\n`);
    if (ending) process.exit(0);
  }
  if (chunk.length) pending.push(chunk);
});
process.stdin.on("end", () => process.exit(0));
