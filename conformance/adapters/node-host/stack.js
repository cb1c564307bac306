"use strict";
// A session's plugins: built in the order of the stack, registered, asked through hooks, and kept as snapshots.

const { createHash } = require("node:crypto");
const { PluginError, Refused, sessionError } = require("./errors");
const { Registry } = require("./registry");

const one = (places, place, what) => {
  if (places.has(place)) throw new PluginError(`${places.get(place)} and ${what} both take ${place}`);
  places.set(place, what);
};

class Stack {
  constructor(factories, context, bare) {
    this.plugins = [];
    this.hooks = new Map(); // kind -> [{ id, ask }]
    this.operations = new Map();
    this.triggers = [];
    this.removed = new Set();
    this.taken = new Map(); // exclusive places and names
    this.offers = [bare]; // tools, those of no plugin first
    distinct(factories);
    const extensions = factories.filter((factory) => "extension" in factory).map(({ extension }) => extension);
    try {
      for (const factory of factories) {
        const plugin = { id: factory.id, version: "1", revision: () => 0, ...factory.build({ ...context, extensions }) };
        plugin.register?.(this.#registrar(plugin.id));
        this.plugins.push(plugin);
      }
      for (const plugin of this.plugins) plugin.ready?.();
      this.tools = new Registry(this.offers);
    } catch (err) {
      throw err instanceof PluginError || err.error === "InvalidToolSurface" ? sessionError(err.message) : err;
    }
  }

  #registrar(id) {
    const hook = (kind, ask, priority = 0) => {
      if (!this.hooks.has(kind)) this.hooks.set(kind, []);
      this.hooks.get(kind).push({ id, ask, priority });
    };
    return {
      hook,
      tools: (offers) => this.offers.push(offers),
      prompt: (ask) => hook("prompt", ask),
      event: (ask) => hook("event", ask),
      ranked: (kind, priority, ask) => hook(kind, ask, priority),
      removes: (names) => names.forEach((name) => this.removed.add(name)),
      trigger: (trigger) => {
        one(this.taken, `the trigger ${trigger.resource_type} ${trigger.alias} ${trigger.event}`, id);
        this.triggers.push(trigger);
      },
      claim: (place, act) => {
        if (place !== "tool_result_projector" && place !== "prose_projector" && place !== "code_executor") throw new PluginError(`lash.standard and ${id} both take ${place}`);
        one(this.taken, place, id);
        if (place === "tool_result_projector") this.projector = act;
        if (place === "prose_projector") this.prose = act;
      },
      operation: (definition, run) => {
        one(this.taken, `the operation ${definition.name}`, id);
        this.operations.set(definition.name, { id, definition: { description: "", ...definition }, run });
      },
    };
  }

  prose(text) { return text; } // what readers are shown of prose that did not stream, unless a plugin takes the place

  asked(kind) { return this.hooks.get(kind) ?? []; }

  // Every hook of a kind on one input; what each directs, under its plugin's id.
  async directed(kind, input) {
    const all = [];
    for (const { id, ask } of this.asked(kind)) for (const directive of await ask(input)) all.push({ id, ...directive });
    return all;
  }

  async piped(kind, value) {
    for (const { ask } of this.asked(kind)) value = await ask(value);
    return value;
  }

  // By descending priority, equal ones as registered.
  async ranked(kind) {
    const found = [];
    for (const { id, ask } of this.asked(kind).toSorted((a, b) => b.priority - a.priority)) found.push({ id, text: await ask() });
    return found;
  }

  async mutated(policy) {
    for (const { ask } of this.asked("mutator")) {
      try { policy = await ask(policy); } catch (err) { if (!(err instanceof PluginError)) throw err; }
    }
    return policy;
  }

  // All at once, all awaited; who observes cannot change what happened.
  async notify(event, ...words) { await Promise.allSettled(this.asked("event").map(({ ask }) => ask(event, ...words))); }

  async contributions(context) {
    const all = [];
    for (const { ask } of this.asked("prompt")) all.push(...await ask(context));
    return all;
  }

  members() { return this.tools.members().filter(({ manifest }) => !this.removed.has(manifest.name)); }

  async operate(kind, name, input, session) {
    const found = this.operations.get(name);
    if (!found || found.definition.kind !== kind) throw new Refused("UnknownOperation", { name }, `no ${kind} is called ${name}`);
    return { id: found.id, ...wrapped(kind, await found.run(input, session)) };
  }

  // -- snapshots

  fingerprint() {
    const hash = createHash("sha256");
    for (const { id, version, revision } of this.plugins) {
      const number = Buffer.alloc(8);
      number.writeBigUInt64LE(BigInt(revision()));
      hash.update(id).update("\0").update(version).update("\0").update(number).update("\xff", "latin1");
    }
    return hash.digest().readBigUInt64LE();
  }

  // One entry a plugin; entries of plugins that are not installed are carried on.
  capture(stored) {
    const plugins = { ...stored?.plugins };
    for (const plugin of this.plugins) {
      const artifacts = [];
      const state = plugin.snapshot?.((name, text) => artifacts.push({ name, data: Buffer.from(text).toString("base64") }));
      plugins[plugin.id] = { meta: { plugin_id: plugin.id, plugin_version: plugin.version, revision: plugin.revision(), ...(state !== undefined && { state }) }, artifacts };
    }
    return { plugins };
  }

  restore(stored) {
    for (const plugin of this.plugins) {
      const { meta = { plugin_id: plugin.id }, artifacts = [] } = stored.plugins[plugin.id] ?? {};
      const read = (name) => {
        const found = artifacts.find((artifact) => artifact.name === name);
        return found && Buffer.from(found.data, "base64").toString();
      };
      try { plugin.restore?.(meta, read); } catch (err) {
        throw err instanceof PluginError ? sessionError(`plugin ${plugin.id}: ${err.message}`) : err;
      }
    }
  }
}

const wrapped = (kind, answer) => (kind === "query" ? { output: answer } : answer);

function distinct(factories) {
  const ids = factories.map(({ id }) => id);
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw sessionError(`two plugins have the id ${twice}`);
}

module.exports = { Stack, distinct };
