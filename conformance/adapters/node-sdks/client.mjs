// The official JavaScript SDKs as clients of the replayer.
//
// One JSON object a line: {"dialect", "url", "body", "stream"} in, and out what the client made of the reply:
// {"text", "calls": [[name, arguments]]}, {"raised"} for an error of the SDK's own, {"broke"} for any other.
// The first line out names the clients that could be loaded, with their versions, and why the others could not.

import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';

// SDKs log warnings to the console; standard output carries answers alone.
console.log = console.info = console.debug = console.error;

const parsed = (text) => {
  try {
    return JSON.parse(text || '{}');
  } catch {
    return text;
  }
};

const anthropicSaid = (blocks) => ({
  text: blocks.filter((b) => b.type === 'text').map((b) => b.text ?? '').join(''),
  calls: blocks.filter((b) => b.type === 'tool_use').map((b) => [b.name, b.input]),
});

async function anthropic({ default: Anthropic }, url, body, stream) {
  const client = new Anthropic({ baseURL: url, apiKey: 'fixture', maxRetries: 0 });
  const reply = await client.messages.create(body);
  if (!stream) return anthropicSaid(reply.content);
  const blocks = new Map();
  for await (const event of reply) {
    if (event.type === 'content_block_start') {
      blocks.set(event.index, { ...event.content_block, json: '' });
    } else if (event.type === 'content_block_delta') {
      const block = blocks.get(event.index);
      block.text = (block.text ?? '') + (event.delta.text ?? '');
      block.json += event.delta.partial_json ?? '';
    }
  }
  for (const block of blocks.values()) {
    if (block.type === 'tool_use' && block.json) block.input = parsed(block.json);
  }
  return anthropicSaid([...blocks.values()]);
}

async function chat({ default: OpenAI }, url, body, stream) {
  const client = new OpenAI({ baseURL: url, apiKey: 'fixture', maxRetries: 0 });
  const reply = await client.chat.completions.create(body);
  if (!stream) {
    const { message } = reply.choices[0];
    const called = message.tool_calls ?? [];
    return { text: message.content ?? '', calls: called.map((c) => [c.function.name, parsed(c.function.arguments)]) };
  }
  let text = '';
  const calls = new Map();
  for await (const chunk of reply) {
    for (const { delta } of chunk.choices) {
      text += delta.content ?? '';
      for (const call of delta.tool_calls ?? []) {
        const grown = calls.get(call.index) ?? { name: '', json: '' };
        grown.name += call.function?.name ?? '';
        grown.json += call.function?.arguments ?? '';
        calls.set(call.index, grown);
      }
    }
  }
  const ordered = [...calls].sort(([one], [other]) => one - other);
  return { text, calls: ordered.map(([, call]) => [call.name, parsed(call.json)]) };
}

async function responses({ default: OpenAI }, url, body, stream) {
  const client = new OpenAI({ baseURL: url, apiKey: 'fixture', maxRetries: 0 });
  const reply = await client.responses.create(body);
  let text = stream ? '' : reply.output_text;
  const calls = [];
  for await (const event of stream ? reply : []) {
    if (event.type === 'response.output_text.delta') {
      text += event.delta;
    } else if (event.type === 'response.output_item.done' && event.item.type === 'function_call') {
      calls.push([event.item.name, parsed(event.item.arguments)]);
    }
  }
  return { text, calls };
}

async function gemini({ GoogleGenAI }, url, body, stream) {
  const httpOptions = { baseUrl: url.replace(/\/v1beta$/, ''), apiVersion: 'v1beta' };
  const { models } = new GoogleGenAI({ apiKey: 'fixture', httpOptions });
  const config = { ...body.generationConfig };
  if (body.systemInstruction) config.systemInstruction = body.systemInstruction;
  if (body.tools) config.tools = body.tools;
  const asked = { model: 'm', contents: body.contents, config };
  const frames = stream ? await models.generateContentStream(asked) : [await models.generateContent(asked)];
  const said = { text: '', calls: [] };
  for await (const frame of frames) {
    for (const candidate of frame.candidates ?? []) {
      for (const part of candidate.content?.parts ?? []) {
        if (part.functionCall) said.calls.push([part.functionCall.name, part.functionCall.args]);
        else if (!part.thought) said.text += part.text ?? '';
      }
    }
  }
  return said;
}

const SDKS = {
  'anthropic-messages': { name: '@anthropic-ai/sdk', ask: anthropic, own: (sdk) => sdk.AnthropicError },
  'openai-chat': { name: 'openai', ask: chat, own: (sdk) => sdk.OpenAIError },
  'openai-responses': { name: 'openai', ask: responses, own: (sdk) => sdk.OpenAIError },
  gemini: { name: '@google/genai', ask: gemini, own: (sdk) => sdk.ApiError },
};

const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), 'utf8')).version;

const loaded = {};
const greeting = { clients: {}, missing: {} };
for (const [dialect, sdk] of Object.entries(SDKS)) {
  try {
    loaded[dialect] = await import(sdk.name);
    greeting.clients[dialect] = `node ${sdk.name} ${version(sdk.name)}`;
  } catch (error) {
    greeting.missing[dialect] = `${sdk.name}: ${error.message}`;
  }
}

const tell = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
tell(greeting);

for await (const line of createInterface({ input: process.stdin })) {
  if (!line) continue;
  const { dialect, url, body, stream } = JSON.parse(line);
  const sdk = loaded[dialect];
  try {
    tell(await SDKS[dialect].ask(sdk, url, body, stream));
  } catch (error) {
    const key = error instanceof SDKS[dialect].own(sdk) ? 'raised' : 'broke';
    tell({ [key]: `${error.name}: ${error.message}`.slice(0, 300) });
  }
}
