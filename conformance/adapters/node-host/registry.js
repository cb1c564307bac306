"use strict";
// A session's tools: what live sources offer, which of it are members, and a generation that grows when that changes.

const { isDeepStrictEqual } = require("node:util");
const { Refused } = require("./errors");

const invalid = (message) => new Refused("InvalidToolSurface", { message }, message);

class Registry {
  constructor(sources) {
    this.generation = 0;
    this.sources = new Map([["plugins", sources]]);
    this.entries = new Map(); // id -> { manifest, member, tool? }, without a tool an orphan
    this.added = 0;
    this.refresh();
  }

  state() {
    const ids = [...this.entries.keys()].sort();
    return { generation: this.generation, tools: Object.fromEntries(ids.map((id) => [id, exported(this.entries.get(id))])) };
  }

  // Ask every source anew; one more generation when the surface is another.
  refresh() {
    const before = this.state().tools;
    this.entries = this.#rebuilt(new Map(Object.entries(before)));
    if (!isDeepStrictEqual(this.state().tools, before)) this.generation += 1;
    return this.generation;
  }

  restore({ generation, tools }) {
    this.entries = this.#rebuilt(new Map(Object.entries(tools)));
    this.generation = generation + (isDeepStrictEqual(this.state().tools, tools) ? 0 : 1);
  }

  apply({ generation, tools }) {
    if (generation !== this.generation) throw new Refused("GenerationMismatch", { expected: generation, actual: this.generation });
    const offered = this.#offered();
    const next = new Map();
    for (const [id, { manifest, orphaned = false, member = true }] of Object.entries(tools)) {
      const tool = offered.get(id);
      if (!tool && !orphaned) throw invalid(`no source resolves tool ${id}`);
      next.set(id, { manifest: tool?.manifest ?? manifest, member, tool });
    }
    this.entries = next;
    this.generation += 1;
    return this.generation;
  }

  member(id, present) {
    const { generation, tools } = this.state();
    if (!tools[id]) throw invalid(`no tool has the id ${id}`);
    return this.apply({ generation, tools: { ...tools, [id]: { ...tools[id], member: present } } });
  }

  add(offers) {
    const handle = `live:${this.added += 1}`;
    const sources = this.sources;
    this.sources = new Map([...sources, [handle, [offers]]]);
    try { this.refresh(); } catch (err) { this.sources = sources; throw err; }
    return handle;
  }

  remove(handle) {
    if (!this.sources.has(handle)) throw new Refused("UnknownToolSource", { handle });
    const gone = new Set(this.sources.get(handle).flatMap((offers) => offers()).map(({ manifest }) => manifest.id));
    this.sources = new Map([...this.sources].filter(([name]) => name !== handle));
    this.entries = new Map([...this.entries].filter(([id]) => !gone.has(id)));
    this.generation += 1;
    return this.generation;
  }

  members() { return [...this.entries.values()].filter(({ member, tool }) => member && tool).map(({ tool }) => tool).sort((a, b) => (a.manifest.id < b.manifest.id ? -1 : 1)); }

  // By id, a source's tool each; two of one name are refused.
  #offered() {
    const [byId, names] = [new Map(), new Set()];
    for (const tool of [...this.sources.values()].flat().flatMap((offers) => offers())) {
      const { id, name } = tool.manifest;
      if (byId.has(id) || names.has(name)) throw invalid(`two tools are called ${name}`);
      byId.set(id, tool);
      names.add(name);
    }
    return byId;
  }

  // What is offered, and what is known of it; what nobody offers stays as an orphan unless its name is taken.
  #rebuilt(known) {
    const offered = this.#offered();
    const names = new Set([...offered.values()].map(({ manifest }) => manifest.name));
    const entries = new Map([...offered].map(([id, tool]) => [id, { manifest: tool.manifest, member: known.get(id)?.member ?? true, tool }]));
    for (const [id, { manifest, member = true }] of known) if (!entries.has(id) && !names.has(manifest.name)) entries.set(id, { manifest, member });
    return entries;
  }
}

const exported = ({ manifest, member, tool }) => ({ manifest, ...(!tool && { orphaned: true }), ...(!member && { member: false }) });

module.exports = { Registry };
