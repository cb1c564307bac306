"use strict";
// The calls of one reply: all at once, each through its hooks and attempts, answered in the order of the calls.

const { PluginError } = require("./errors");
const kit = require("./kit");

const GRACE_MS = 1000;

class Dispatch {
  constructor(turn, tools) {
    this.turn = turn;
    this.tools = new Map(tools.map((tool) => [tool.manifest.name, tool]));
    this.queued = []; // messages of hooks, for the next checkpoint
    this.records = [];
    this.made = 0; // a model may give two calls of a turn one id, so each has a number too
  }

  async runAll(calls) {
    const answers = await Promise.all(calls.map((call) => this.#run({ ...call, number: this.made += 1 })));
    this.records.push(...answers.map(({ record }) => record));
    return answers;
  }

  async #run(call) {
    const { turn } = this;
    const correlation = `call:${call.id}`;
    turn.show("tool_call_started", { call_id: call.id, name: call.name, args: call.args }, correlation);
    const began = turn.clock.now;
    const { args, output } = await this.#answer(call);
    const record = { call_id: call.id, tool: call.name, args, output, duration_ms: Number(turn.clock.now - began) };
    turn.show("tool_call_completed", { call_id: call.id, name: call.name, args, output, duration_ms: record.duration_ms }, correlation);
    return { call, output, record };
  }

  async #answer(call) {
    const tool = this.tools.get(call.name);
    if (!tool) return { args: call.args, output: kit.refused("unavailable", "tool_unavailable", `no tool ${call.name} is offered`) };
    let { args } = call;
    let answer;
    try {
      for (const directive of await this.turn.stack.directed("before_tool", { name: call.name, args: call.args })) {
        if (directive.kind === "replace_tool_args") args = directive.args;
        else if (directive.kind === "emit_runtime_events") this.turn.emit(directive);
        else answer = before(directive);
      }
    } catch (err) {
      if (!(err instanceof PluginError)) throw err;
      return { args, output: kit.refused("internal", "before_tool_call_failed", err.message) };
    }
    if (answer) return { args, output: answer };
    const wrong = kit.misfit(tool.takes, args);
    if (wrong) return { args, output: kit.refused("invalid_request", "invalid_tool_args", wrong) };
    const plain = { tool_id: tool.manifest.id, args };
    const prepared = tool.prepare?.(plain, { inputs: this.turn.inputs }) ?? plain;
    if (prepared.tool_id !== tool.manifest.id) return { args, output: kit.refused("internal", "prepared_tool_id_mismatch", `${call.name} was prepared as ${prepared.tool_id}`) };
    return { args, output: await this.#attempts(call, tool, prepared) };
  }

  async #attempts(call, tool, prepared) {
    const policy = tool.manifest.retry_policy;
    const most = policy?.max_attempts ?? 1;
    for (let attempt = 1; ; attempt += 1) {
      const output = await this.#attempt(call, tool, prepared, attempt);
      const safe = output.outcome.status === "failure" && output.outcome.payload.retry.type === "safe";
      if (!safe || !policy || this.turn.signal.aborted) return output;
      if (attempt >= most) return { ...output, outcome: { ...output.outcome, payload: { ...output.outcome.payload, retry: { type: "exhausted", attempts: attempt } } } };
    }
  }

  async #attempt(call, tool, prepared, attempt) {
    const { turn } = this;
    let key;
    const context = {
      signal: turn.signal, replayKey: `${turn.id}:${call.number}`, payload: prepared.payload, put: turn.put,
      completionKey: () => {
        key ??= turn.waits.key(turn.session, "tool_completion", `${turn.id}:${call.number}:${attempt}`);
        turn.waits.opened(key);
        return key;
      },
    };
    const output = await this.#stoppable(tool.run(prepared.args, context).catch((err) => kit.failed("execution", "tool_error", `${err.message}`)));
    if (output !== kit.PENDING) return this.#after(call, output);
    if (!key) return this.#after(call, kit.refused("internal", "pending_tool_missing_completion_key", "the tool is pending under no key"));
    const told = await turn.waits.wait(key, { signal: turn.signal });
    return this.#after(call, resolved(told));
  }

  // A tool that does not heed the signal is left behind after a while.
  async #stoppable(running) {
    if (await kit.unless(this.turn.signal, running)) return running;
    return Promise.race([running, new Promise((done) => setTimeout(() => done(kit.cancelled("the turn was cancelled while the tool ran")), GRACE_MS).unref())]);
  }

  async #after(call, output) {
    let answer = output;
    try {
      for (const directive of await this.turn.stack.directed("after_tool", { name: call.name, output })) {
        if (directive.kind === "enqueue_messages") this.queued.push(...directive.messages);
        else if (directive.kind === "emit_runtime_events") this.turn.emit(directive);
        else if (directive.kind === "replace_tool_args") answer = kit.failed("execution", "tool_error", "a finished call has no arguments to replace");
        else answer = before(directive);
      }
    } catch (err) {
      if (!(err instanceof PluginError)) throw err;
      return kit.refused("internal", "after_tool_call_failed", err.message);
    }
    return answer;
  }
}

function resolved(told) {
  if (told === "timeout") return kit.refused("timeout", "pending_tool_timeout", "nobody answered in time");
  if (typeof told === "string") return kit.cancelled();
  return "ok" in told ? kit.ok(told.ok) : kit.failed("execution", "tool_error", `${told.err}`);
}

// What a directive about a call makes of its answer.
function before(directive) {
  if (directive.kind === "abort_turn") return kit.failed("execution", directive.code, directive.message, "never", "plugin");
  if (directive.kind === "enqueue_messages") return kit.failed("execution", "tool_error", "before a call there is no place for messages");
  if (directive.pending) return kit.refused("internal", "pending_tool_short_circuit", "a short circuit needs the answer of a finished call");
  return kit.ok(directive.value);
}

// What the model reads of an answer.
function modelText({ outcome: { status, payload } }) {
  if (status !== "success") return payload.message;
  return typeof payload === "string" ? payload : JSON.stringify(payload);
}

module.exports = { Dispatch, modelText };
