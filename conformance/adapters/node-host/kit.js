"use strict";
// The kit's stage and tools: gates, the journal, the script, and what each tool does.

const { deferred } = require("./store");

class Stage {
  constructor() {
    this.journal = [];
    this.requests = [];
    this.replies = [];
    this.gates = new Map();
    this.pending = new Map(); // name -> key
    this.met = [];
    this.returned = new Map();
    this.flaked = 0;
  }

  note(...words) { this.journal.push(words.join(" ")); }

  gate(name) {
    if (!this.gates.has(name)) this.gates.set(name, { reached: deferred(), opened: deferred() });
    return this.gates.get(name);
  }

  // Until the gate opens, or the signal fires; answers whether it opened.
  async stand(name, signal) {
    const gate = this.gate(name);
    gate.reached.resolve();
    return unless(signal, gate.opened.promise);
  }
}

// Whether the work ended before the signal fired.
async function unless(signal, work) {
  if (!signal) return work.then(() => true);
  const fired = deferred();
  const stop = () => fired.resolve(false);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  try { return await Promise.race([work.then(() => true), fired.promise]); } finally { signal.removeEventListener("abort", stop); }
}

const text = { type: "string" };
const integer = { type: "integer" };
const schema = (properties, optional = []) => ({
  type: "object", properties, additionalProperties: false, required: Object.keys(properties).filter((name) => !optional.includes(name)),
});

const ok = (value, control) => ({ outcome: { status: "success", payload: value }, ...(control && { control }) });
const failed = (kind, code, message, retry = "never", source = "tool") =>
  ({ outcome: { status: "failure", payload: { class: kind, code, message, source, retry: { type: retry } } } });
const cancelled = (message = "cancelled") => ({ outcome: { status: "cancelled", payload: { message, source: "runtime" } } });
const refused = (kind, code, message) => failed(kind, code, message, "never", "runtime");
const PENDING = { pending: true };

const TOOLS = {
  echo: { takes: schema({ text }), run: async (_, { text: said }) => ok(said) },
  fail: { takes: schema({ message: text }), run: async (_, { message }) => failed("execution", "kit_failed", message) },
  slow: {
    takes: schema({ gate: text }),
    async run(stage, { gate }, { signal }) {
      stage.note("slow started");
      const opened = await stage.stand(gate, signal);
      stage.note(opened ? "slow done" : "slow cancelled");
      return opened ? ok("done") : cancelled();
    },
  },
  pending: {
    takes: schema({ name: text }),
    async run(stage, { name }, { completionKey }) {
      stage.pending.set(name, completionKey());
      stage.note("pending", name);
      return PENDING;
    },
  },
  meet: {
    takes: schema({ id: text, of: integer, after: text }, ["after"]),
    async run(stage, { id, of, after }) {
      const left = (name) => stage.returned.get(name) ?? stage.returned.set(name, deferred()).get(name);
      stage.met.push({ of, all: deferred() });
      for (const one of stage.met) if (stage.met.length >= one.of) one.all.resolve();
      await stage.met.at(-1).all.promise;
      if (after !== undefined) await left(after).promise;
      left(id).resolve();
      return ok(id);
    },
  },
  finish: { takes: schema({ value: {} }), run: async (_, { value }) => ok(value, { type: "finish", value }) },
  give_up: { takes: schema({ value: {} }), run: async (_, { value }) => ok(value, { type: "fail", value }) },
  switch_frame: {
    takes: schema({ frame_id: text, task: text }),
    run: async (_, { frame_id: frame, task }) => ok("switched", { type: "switch_agent_frame", frame_id: frame, initial_nodes: [], task }),
  },
  put: { takes: schema({ text }), run: async (_, { text: said }, { put }) => ok(await put(Buffer.from(said), "text/plain")) },
  flaky: {
    takes: schema({ times: integer }), retry: { type: "safe", max_attempts: 10 },
    async run(stage, { times }) {
      stage.note("flaky attempt");
      if (stage.flaked >= times) return ok("steady");
      stage.flaked += 1;
      return failed("execution", "kit_failed", "not yet", "safe");
    },
  },
  brittle: {
    takes: schema({}),
    async run(stage) { stage.note("brittle attempt"); return failed("execution", "kit_failed", "broken", "safe"); },
  },
  wary: {
    takes: schema({}), retry: { type: "safe", max_attempts: 3 },
    async run(stage) { stage.note("wary attempt"); return failed("execution", "kit_failed", "broken"); },
  },
  doomed: {
    takes: schema({ gate: text }, ["gate"]), retry: { type: "safe", max_attempts: 3 },
    async run(stage, { gate }, { signal, replayKey }) {
      stage.note("doomed attempt", replayKey);
      if (gate) await stage.stand(gate, signal);
      return failed("execution", "kit_failed", "broken", "safe");
    },
  },
  keyless: { takes: schema({}), run: async () => PENDING },
  impostor: { takes: schema({}), prepare: (call) => ({ ...call, tool_id: "kit:echo" }), async run(stage) { stage.note("impostor ran"); return ok("ran"); } },
};

const manifest = (id, name, description, retry) => ({ id, name, description, ...(retry && { retry_policy: { ...retry, base_delay_ms: 0, max_delay_ms: 0 } }) });

// Kit tools by name, as something that offers tools: a manifest each, what it takes, and how it runs.
const offers = (names, stage) => () => names.map((name) => ({
  ...TOOLS[name], manifest: manifest(`kit:${name}`, name, `The kit's ${name}.`, TOOLS[name].retry), run: (args, call) => TOOLS[name].run(stage, args, call),
}));

// Why the arguments break the schema; undefined when they do not.
function misfit({ properties, required }, args) {
  if (args === null || typeof args !== "object" || Array.isArray(args)) return "the arguments are no object";
  for (const name of required) if (!Object.hasOwn(args, name)) return `${name} is missing`;
  for (const [name, value] of Object.entries(args)) {
    if (!Object.hasOwn(properties, name)) return `${name} is unknown`;
    const { type } = properties[name];
    if (type === "string" && typeof value !== "string") return `${name} is no text`;
    if (type === "integer" && !Number.isInteger(value) && typeof value !== "bigint") return `${name} is no integer`;
  }
  return undefined;
}

module.exports = { Stage, TOOLS, PENDING, offers, schema, misfit, ok, failed, cancelled, refused, unless };
