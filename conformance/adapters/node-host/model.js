"use strict";
// One model call of a turn: the script's next reply, streamed through the plugins, repeated while a repeat may help.

const ATTEMPTS = 4;
const COUNTERS = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens"];
const NO_USAGE = Object.freeze(Object.fromEntries(COUNTERS.map((name) => [name, 0])));
const counted = (usage) => ({ ...NO_USAGE, ...usage });
const add = (one, other) => Object.fromEntries(COUNTERS.map((name) => [name, one[name] + (other[name] ?? 0)]));

class ProviderFailure extends Error {
  constructor({ kind, retryable, message, retry_after_ms: after = 1 }) {
    super(message);
    Object.assign(this, { kind, retryable, after });
  }
}

const EMPTY = { error: { kind: "unsupported", retryable: false, message: "the script is empty" } };

// The pause before a repeat is real: nobody moves the judge's clock for it.
function pause(ms, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

// What the model answered: text, reasoning, calls, usage, finish; or how it failed; or nothing, when the signal fired first.
async function callModel({ stage, stack, signal, show, request, named, shownAs }) {
  for (let attempt = 0; ; attempt += 1) {
    const correlation = { prose: `${named}:prose:${attempt}`, reasoning: `${named}:reasoning:${attempt}` };
    const streamed = { assistant_prose_delta: new Set(), reasoning_delta: new Set() };
    const told = (type, more, name) => {
      streamed[type].add(shownAs(name));
      show(type, more, name);
    };
    try {
      const answer = await attempted({ stage, stack, signal, show: told, request, correlation });
      return signal.aborted ? undefined : answer;
    } catch (err) {
      if (signal.aborted) return undefined;
      if (!(err instanceof ProviderFailure)) throw err;
      if (!err.retryable || attempt + 1 >= ATTEMPTS) return { failure: err };
      show("model_attempt_reset", { assistant_prose_correlation_ids: [...streamed.assistant_prose_delta], reasoning_correlation_ids: [...streamed.reasoning_delta] }, named);
      await pause(err.after, signal);
      if (signal.aborted) return undefined;
    }
  }
}

async function attempted({ stage, stack, signal, show, request, correlation }) {
  stage.requests.push(request);
  const reply = stage.replies.shift() ?? EMPTY;
  const text = reply.text ?? (reply.chunks ?? []).join("");
  if (reply.reasoning) show("reasoning_delta", { text: reply.reasoning }, correlation.reasoning);
  let streamed = false;
  for (const chunk of reply.chunks ?? (text ? [text] : [])) {
    const piped = await stack.piped("stream", chunk);
    if (piped) show("assistant_prose_delta", { text: piped }, correlation.prose);
    streamed ||= piped !== "";
  }
  if (reply.gate !== undefined && !await stage.stand(reply.gate, signal)) return undefined;
  if (reply.error) throw new ProviderFailure(reply.error);
  const whole = streamed ? "" : stack.prose(text);
  if (whole) show("assistant_prose_delta", { text: whole }, correlation.prose);
  const calls = distinct(reply.tools ?? []);
  const usage = reply.usage ?? { input_tokens: 10, output_tokens: 5 };
  // Zeros are as good as nothing.
  const spent = Object.values(usage).some((count) => count) ? usage : reply.streamed_usage ?? (Object.keys(usage).length ? usage : undefined);
  return {
    text: text ? await stack.piped("response", text) : "", reasoning: reply.reasoning, calls, usage: spent && counted(spent),
    finish: reply.finish ?? (calls.length ? "tool_use" : "stop"),
  };
}

// Calls to which the model gave one id are told apart: c, c become c, c-2.
function distinct(calls) {
  const taken = new Set(calls.map(({ id }) => id));
  const seen = new Set();
  return calls.map((call) => {
    if (!seen.has(call.id)) {
      seen.add(call.id);
      return call;
    }
    let number = 2;
    while (taken.has(`${call.id}-${number}`)) number += 1;
    taken.add(`${call.id}-${number}`);
    return { ...call, id: `${call.id}-${number}` };
  });
}

module.exports = { callModel, add, counted, pause, COUNTERS, NO_USAGE };
