"use strict";
// Messages, the nodes they become, and how they are read: by the model, by a host, by plugins.

const part = (id, kind, content, more = {}) => ({ id, kind, content, prune_state: "Intact", ...more });
const message = (id, role, parts, more = {}) => ({ id, role, parts, ...more });
const said = (id, role, text, more) => message(id, role, [part(`${id}.p0`, "Text", text)], more);

// What a user handed in: neighbouring texts become one part.
function userParts(id, items) {
  const parts = [];
  for (const item of items) {
    const last = parts.at(-1);
    if (item.type !== "text") parts.push(part(`${id}.p${parts.length}`, "Attachment", "", { attachment: { source: item.source } }));
    else if (last?.kind === "Text") parts[parts.length - 1] = { ...last, content: last.content + item.text };
    else parts.push(part(`${id}.p${parts.length}`, "Text", item.text));
  }
  return parts;
}

// What a model answered: its reasoning, its prose, its calls.
function answered(id, { reasoning, text, calls }) {
  const parts = [];
  if (reasoning) parts.push(part(`${id}.r`, "Reasoning", reasoning));
  if (text) parts.push(part(`${id}.t`, "Prose", text));
  for (const call of calls) parts.push(part(`${id}.${parts.length}`, "ToolCall", JSON.stringify(call.args), { tool_call_id: call.id, tool_name: call.name }));
  return message(id, "Assistant", parts);
}

const results = (id, shown) =>
  message(id, "User", shown.map(({ call, text }, n) => part(`${id}.p${n}`, "ToolResult", text, { tool_call_id: call.id, tool_name: call.name })));

const wake = ({ wake: told }) => said(`wake:${told.wake_id}`, "Event", told.input, {
  origin: { kind: "process", process_id: told.process_id, event_type: told.event_type, sequence: told.sequence, wake_id: told.wake_id },
});

const node = (one, parent, frame, timestamp) => ({
  kind: "event", node_id: one.id, parent_node_id: parent, agent_frame_id: frame, timestamp, event: { Conversation: one },
});

const messageOf = (one) => (one.kind === "event" ? one.event?.Conversation : undefined);

// The ancestry of the leaf, root first.
function path(nodes, leaf) {
  const byId = new Map(nodes.map((one) => [one.node_id, one]));
  const found = new Set();
  for (let at = byId.get(leaf); at && !found.has(at); at = byId.get(at.parent_node_id)) found.add(at);
  return [...found].reverse();
}

// The messages of the current frame; the first frame also has what no frame claims.
function conversation(state) {
  const first = state.agent_frames.find((frame) => frame.frame_id === state.current_agent_frame_id)?.previous_frame_id === undefined;
  return path(state.nodes, state.leaf)
    .filter(({ agent_frame_id: frame }) => frame === state.current_agent_frame_id || (first && frame === undefined))
    .map(messageOf).filter(Boolean);
}

// As lines: each result of a tool is the tool's word.
function lines(one) {
  const told = one.parts.filter(({ kind }) => kind === "ToolResult").map(({ content }) => ({ role: "tool", text: content }));
  const words = one.parts.filter(({ kind }) => kind === "Text" || kind === "Prose").map(({ content }) => content);
  const calls = one.parts.filter(({ kind }) => kind === "ToolCall").map((call) => `call ${call.tool_call_id} ${call.tool_name}`);
  const role = one.role.toLowerCase();
  return words.length || calls.length || !told.length ? [...told, { role, text: [...words, ...calls].join("\n") }] : told;
}

// As the model is shown it: events speak as the system, and who says nothing is left out.
const shown = (messages) => messages.filter(({ parts }) => parts.some(({ kind, content }) => content || kind === "Attachment"))
  .flatMap(lines).map(({ role, text }) => ({ role: role === "event" ? "system" : role, text }));

module.exports = { said, message, part, userParts, answered, results, wake, node, messageOf, path, conversation, lines, shown };
