"use strict";
// The kit's plugins. A factory lives with the core and builds one plugin for each open session.

const { PluginError } = require("./errors");
const kit = require("./kit");

const compact = (value) => JSON.stringify(sorted(value));
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

const NOTHING = kit.schema({});
const tool = (name, run, more) => ({ takes: NOTHING, manifest: { id: `kit:${name}`, name, description: `The kit's ${name}.` }, run, ...more });
const OBJECT = { type: "object" };

// -- counter

const counter = (stage) => ({
  id: "counter",
  build() {
    stage.note("counter build");
    let [count, revision] = [0, 0];
    const add = (by) => {
      count += by;
      revision += 1;
      return count;
    };
    return {
      revision: () => revision,
      register(reg) {
        stage.note("counter register");
        reg.tools(() => [tool("count", async () => { stage.note("counter count"); return kit.ok(add(1)); })]);
        reg.operation({ name: "counter.read", kind: "query", session_param: "required", input_schema: OBJECT, output_schema: { type: "integer" } }, async () => count);
        reg.operation(
          { name: "counter.add", kind: "command", session_param: "required", input_schema: kit.schema({ by: { type: "integer" } }), output_schema: { type: "integer" } },
          async ({ by }) => ({ output: add(by) }),
        );
      },
      ready() { stage.note("counter ready"); },
      snapshot(write) {
        stage.note("counter snapshot", count);
        write("digits", `${count}`);
        return { count };
      },
      restore(meta, read) {
        if (meta.state === undefined) {
          stage.note("counter restore none");
          [count, revision] = [0, 0];
          return;
        }
        if (!Number.isInteger(meta.state.count) || read("digits") !== `${meta.state.count}`) throw new PluginError(`the counter's parts disagree: ${compact(meta.state)}`);
        [count, revision] = [meta.state.count, Number(meta.revision)];
        stage.note("counter restore", count);
      },
    };
  },
});

// -- the small ones

const prompter = (_, options) => {
  const note = options.note ?? "kit note";
  return { id: "prompt", build: () => ({ register: (reg) => reg.prompt(async () => [{ slot: "guidance", title: "Kit", priority: 0, content: note }]) }) };
};

const pool = (stage) => {
  let borrowed = 0;
  stage.note("pool opened");
  return {
    id: "pool",
    build() {
      stage.note("pool build");
      return { register: (reg) => reg.tools(() => [tool("borrow", async () => kit.ok(borrowed += 1))]) };
    },
  };
};

const clash = (stage) => ({ id: "clash", build: () => ({ register: (reg) => reg.tools(kit.offers(["echo"], stage)) }) });

const shelf = (stage, options) => {
  const factory = {
    id: "shelf",
    offers: options.offers ?? [],
    build: () => ({ register: (reg) => reg.tools(() => factory.offers.map((offer) => shelved(stage, offer))) }),
  };
  return factory;
};

function shelved(stage, { tool: name, ...own }) {
  const [offered] = kit.offers([name], stage)();
  return { ...offered, manifest: { ...offered.manifest, ...own } };
}

const bound = (id, required) => () => ({
  id,
  takesInput: true,
  requiresInput: required,
  build: () => ({
    register(reg) {
      const word = (context) => context.inputs?.[id]?.word;
      reg.prompt(async (context) => (word(context) === undefined ? [] : [{ slot: "guidance", content: `word: ${word(context)}` }]));
      reg.tools(() => [tool("tell", async (_, call) => kit.ok(`frozen ${call.payload ?? "none"} live ${word(call) ?? "none"}`), {
        prepare: (call, context) => ({ ...call, payload: word(context) }),
      })]);
    },
  }),
});

const options = () => ({
  id: "options",
  build: () => ({ register: (reg) => reg.prompt(async (context) => [{ slot: "guidance", content: `options ${compact(context.options)}` }]) }),
});

// -- what is written in options: a, b, c and others

const written = (id, given) => (stage, told) => {
  const says = { ...told, ...given };
  const directives = new Map(Object.entries(says.directives ?? {}));
  let left = says.fail_times ?? Infinity;
  return {
    id, ...("extension" in says && { extension: says.extension }),
    build(context) {
      let n = 0;
      const note = (...words) => stage.note(id, ...words);
      const changed = (point, ...words) => {
        if (says.changes_at?.includes(point)) n += 1;
        note(point, ...words);
      };
      const failing = (point) => {
        if (!says.fails_at?.includes(point) || left <= 0) return;
        left -= 1;
        throw new PluginError(`broken at ${point}`);
      };
      const reach = (point, ...words) => { changed(point, ...words); failing(point); };
      const stand = async (point, ...words) => {
        changed(point, ...words);
        if (says.waits?.[point] !== undefined) {
          await stage.stand(says.waits[point]);
          note(point, ...words, "done");
        }
        failing(point);
      };
      const directed = (point, words = () => []) => async (asked) => {
        await stand(point, ...words(asked));
        const given = directives.get(point) ?? [];
        directives.delete(point);
        return given;
      };
      reach("build", context.root ? "root" : "child");
      if (context.extensions.length) note("extensions", compact(context.extensions));
      return {
        version: says.version ?? "1",
        revision: () => (says.still || says.stateless ? 0 : n),
        ready: () => reach("ready"),
        ...(!says.stateless && {
          snapshot(write) {
            reach("snapshot");
            for (const [name, text] of says.blobs ?? []) write(name, text);
            return { n };
          },
          restore(meta, read) {
            if (meta.state === undefined) {
              reach("restore", "none");
              n = 0;
              return;
            }
            reach("restore", meta.plugin_version, compact(meta.state));
            n = meta.state.n;
            for (const name of new Set((says.blobs ?? []).map(([name]) => name))) if (read(name) !== undefined) note("blob", name, read(name));
          },
        }),
        register(reg) {
          reach("register");
          if (says.tools) reg.tools(kit.offers(says.tools, stage));
          for (const trigger of says.triggers ?? []) reg.trigger(trigger);
          if (says.prompts) reg.prompt(async () => { await stand("prompt"); return says.prompts; });
          if (says.removes) reg.removes(says.removes);
          for (const place of says.claims ?? []) reg.claim(place, CLAIMED[place] && ((text) => text + (says[CLAIMED[place]] ?? "")));
          reg.hook("before_turn", directed("before_turn", ({ messages }) => [messages.length]));
          reg.hook("checkpoint", (asked) => directed(`checkpoint ${asked.kind}`)(asked));
          reg.hook("after_turn", directed("after_turn"));
          reg.hook("before_tool", directed("before_tool", ({ name, args }) => [name, compact(args)]));
          reg.hook("after_tool", directed("after_tool", ({ name, output }) => [name, ...outcome(output.outcome)]));
          reg.event((event, ...words) => stand(`event ${event}`, ...words));
          if (says.response !== undefined) reg.hook("response", async (text) => text + says.response);
          if (says.stream !== undefined) reg.hook("stream", async (text) => text + says.stream);
          if (says.mutates !== undefined) reg.hook("mutator", async (policy) => { await stand("mutator"); return { ...policy, model: { ...policy.model, id: policy.model.id + says.mutates } }; });
          if (says.transform) reg.ranked("transform", says.transform.priority, async () => { await stand("transform"); return says.transform.text; });
          if (says.compacts) reg.ranked("compact", says.compacts.priority, async () => { await stand("compact"); return says.compacts.text; });
          for (const operation of says.operations ?? []) reg.operation(
            { name: operation.name, kind: operation.kind, session_param: operation.session ?? "required", input_schema: OBJECT, output_schema: OBJECT },
            async (_, session) => {
              await stand(`operation ${operation.name}`);
              const output = { n, session: session ?? null };
              return operation.kind === "query" ? output : { output, events: operation.events ?? [], queue: operation.queue ?? [] };
            },
          );
        },
      };
    },
  };
};

// Which option is put behind a text by whoever takes the place.
const CLAIMED = { tool_result_projector: "shown", prose_projector: "prose" };

function outcome({ status, payload }) {
  if (status === "success") return ["success", compact(payload)];
  return status === "failure" ? ["failure", payload.code] : ["cancelled"];
}

const KNOWN = {
  counter, pool, clash, shelf, options, prompt: prompter, recorder: written("recorder", { stateless: true }),
  bound: bound("bound", true), bound_optional: bound("bound_optional", false),
};

// The core's factory of a kit plugin.
const factory = (id, stage, options) => (KNOWN[id] ?? written(id))(stage, options[id] ?? {});

module.exports = { factory, compact };
