"use strict";
// The system prompt: layers put contributions into slots, a template says where slots stand.

const slot = (name) => ({ kind: "slot", slot: name });
const builtin = (name) => ({ kind: "builtin", builtin: name });
const TEMPLATE = {
  sections: [
    { entries: [builtin("main_agent_intro"), slot("intro")] },
    { title: "Execution", entries: [builtin("execution_instructions"), slot("execution")] },
    { title: "Guidance", entries: [builtin("core_guidance"), slot("project_instructions"), slot("guidance")] },
    { title: "Environment", entries: [slot("runtime_context"), slot("environment")] },
  ],
};
const BUILTINS = {
  main_agent_intro: () => "You work in a lash session.",
  execution_instructions: () => "Call tools when they help; answer in prose when you are done.",
  core_guidance: (tools) => ["- Be brief and right.", ...(tools.includes("ask") ? ["- You may ask when the intent is unclear."] : [])].join("\n"),
};

const layerOf = (contributions) => ({ slots: grouped(contributions) });

function grouped(contributions) {
  const slots = {};
  for (const one of contributions) (slots[one.slot] ??= { contributions: [] }).contributions.push(one);
  return slots;
}

// Layers, the earliest first: they add up, a reset drops what came before, the last template wins.
function render(layers, tools) {
  let template = TEMPLATE;
  let kept = [];
  for (const layer of layers) {
    template = layer?.template ?? template;
    for (const [name, { reset, contributions = [] }] of Object.entries(layer?.slots ?? {})) {
      if (reset) kept = kept.filter((one) => one.slot !== name);
      kept.push(...contributions.map((one) => ({ ...one, slot: name })));
    }
  }
  const open = kept.filter(({ gate }) => !gate?.tools?.length || gate.tools.some((name) => tools.includes(name)));
  const distinct = new Map();
  for (const one of open) {
    const key = JSON.stringify([one.slot, one.priority ?? 0, one.content.trim()]);
    if (!distinct.has(key)) distinct.set(key, one);
  }
  return template.sections.map((one) => section(one, [...distinct.values()], tools)).filter(Boolean).join("\n\n");
}

function section({ title, entries = [] }, contributions, tools) {
  const parts = entries.flatMap((entry) => rendered(entry, contributions, tools)).filter(Boolean);
  return [...(title?.trim() && parts.length ? [`## ${title.trim()}`] : []), ...parts].join("\n\n");
}

function rendered(entry, contributions, tools) {
  if (entry.kind === "text") return [entry.content.trim()];
  if (entry.kind === "builtin") return [BUILTINS[entry.builtin](tools)];
  const held = contributions.filter((one) => one.slot === entry.slot);
  return held.toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0)).map(({ title, content }) =>
    (title?.trim() && content.trim() ? `### ${title.trim()}\n\n${content.trim()}` : content.trim()));
}

module.exports = { render, layerOf };
