"use strict";
// One turn: input is taken in, the model and its tools are driven to an outcome, and everything is one commit.

const history = require("./history");
const { Dispatch, modelText } = require("./dispatch");
const { PluginError, RuntimeFailure, storeFailure } = require("./errors");
const { NO_USAGE, add, callModel } = require("./model");
const prompt = require("./prompt");

const MERGED = 64; // inputs and batches that one turn takes in at most
const OVERFLOW = 0.95; // the share of the window that leaves no room
const stopped = (why) => ({ stopped: why });
const says = (text) => ({ finished: { assistant_message: { text } } });

class Turn {
  constructor(live, asked, lane, claims) {
    Object.assign(this, { live, asked, lane, claims });
    this.id = asked.id;
    this.session = live.id;
    this.signal = asked.controller.signal;
    this.clock = live.core.clock;
    this.waits = live.core.waits;
    this.stack = live.stack;
    this.inputs = asked.inputs ?? {};
    this.activities = [];
    this.issues = [];
    this.late = [];
    this.usage = NO_USAGE;
    this.minted = 0;
    this.put = (bytes, type) => live.put(bytes, type, this.id);
  }

  show(type, told, correlation = type) {
    const activity = { id: `${this.id}:a${this.activities.length}`, correlation_id: this.#shownAs(correlation), type, ...told };
    this.activities.push(activity);
    this.live.record(activity);
  }

  #shownAs(correlation) { return `${this.id}:${correlation}`; }

  emit({ id, events }) { for (const event of events) this.show("plugin_runtime", { plugin_id: id, event, ...named(event) }, `plugin:${id}`); }

  issue(kind, code, message, more) { this.issues.push({ kind, ...(code && { code }), message, ...more }); }

  mint() { return `${this.id}.m${this.minted++}`; }

  append(...messages) { this.live.append(messages, this.began); }

  // What hooks put into the conversation: words of the user and of the system.
  written(messages) {
    return messages.filter(({ role }) => ["user", "system"].includes(role.toLowerCase())).map(({ role, content }) =>
      history.said(this.mint(), role.toLowerCase() === "user" ? "User" : "System", content));
  }

  async run() {
    this.now = this.clock.now;
    this.began = this.clock.timestamp();
    this.live.change({ turn_index: this.live.state.turn_index + 1 });
    await this.live.phase("prepare", this.id);
    const refused = this.#takeIn();
    if (refused) {
      this.issue("input_validation", "attachment_refused", refused);
      return stopped("invalid_input");
    }
    return await this.#before() ?? this.#drive();
  }

  #takeIn() {
    const { wakes = [], parts } = this.asked;
    this.append(...wakes.map(history.wake));
    const said = parts.flatMap((items, n) => history.userParts(`${this.id}.u${n}`, items));
    if (said.length || !wakes.length) this.append(history.message(`${this.id}.user`, "User", said));
    const state = this.live.state.protocol_turn_options;
    const own = this.asked.options;
    this.options = own ? { ...own, payload: { ...state.payload, ...own.payload } } : state;
    const gone = parts.flat().find((item) => item.source?.source === "stored" && !this.live.holds(item.source.attachment_ref.id));
    return gone && `no attachment ${gone.source.attachment_ref.id} is stored`;
  }

  async #before() {
    this.shown = [];
    try {
      for (const { id, text } of await this.stack.ranked("transform")) this.shown.push(history.said(`${id}-transient`, "User", text));
    } catch (err) { throw pluginFailure(err, "context_prepare_turn"); }
    let aborted;
    try {
      const asked = this.#directives(await this.stack.directed("before_turn", { messages: this.live.conversation() }));
      this.append(...this.written(asked.messages));
      asked.events.forEach((one) => this.emit(one));
      aborted = asked.abort;
    } catch (err) { throw pluginFailure(err, "plugin_prepare_turn"); }
    if (!aborted) return undefined;
    this.issue("plugin", aborted.code, aborted.message);
    return stopped("plugin_abort");
  }

  #directives(directives) {
    const found = { messages: [], events: [], abort: undefined };
    for (const directive of directives) {
      if (directive.kind === "abort_turn") found.abort = directive;
      else if (directive.kind === "enqueue_messages") found.messages.push(...directive.messages);
      else if (directive.kind === "emit_runtime_events") found.events.push(directive);
      else throw new PluginError(`${directive.kind} of ${directive.id}: there is no tool call here`);
    }
    return found;
  }

  async #compose() {
    const { live } = this;
    live.stack.tools.refresh();
    const tools = live.stack.members();
    this.dispatch = new Dispatch(this, tools);
    this.names = tools.map(({ manifest }) => manifest.name);
    const contributed = await this.stack.contributions({ inputs: this.inputs, options: this.options });
    this.system = prompt.render([prompt.layerOf(contributed), live.core.spec.prompt, live.state.policy.prompt, this.asked.prompt], this.names);
  }

  async #drive() {
    const provider = this.asked.provider ?? this.live.state.policy.provider_id;
    if (!this.live.core.spec.providers.includes(provider)) throw new RuntimeFailure("llm_provider", `no provider ${provider} is known here`);
    this.provider = provider;
    if (this.waits.requested(this.session, this.id)) this.asked.controller.abort();
    try { await this.#compose(); } catch (err) {
      if (!(err instanceof PluginError)) throw err;
      this.issue("plugin_prompt", undefined, err.message);
      this.show("error", { message: err.message });
      return stopped("runtime_error");
    }
    const limit = this.live.state.policy.max_turns;
    let afterTools = false;
    for (let iteration = 1; !this.signal.aborted; iteration += 1) {
      const answer = await this.#ask(iteration);
      if (!answer) break;
      const { outcome, tools } = answer.failure ? this.#failed(answer.failure) : await this.#answered(answer, afterTools);
      if (this.signal.aborted) break;
      if (outcome) return outcome;
      afterTools = tools;
      if (limit !== undefined && limit !== null && iteration >= limit) return stopped("max_turns");
    }
    return stopped("cancelled");
  }

  async #ask(iteration) {
    await this.#step("call_llm");
    const { live } = this;
    const request = {
      provider: this.provider, model: live.state.policy.model.id, system: this.system, messages: history.shown([...live.conversation(), ...this.shown]), tools: this.names,
    };
    const called = `llm:${iteration}`;
    this.show("model_request_started", { protocol_iteration: iteration }, called);
    const answer = await callModel({
      stage: live.core.stage, stack: this.stack, signal: this.signal, request, named: called, shownAs: (name) => this.#shownAs(name), show: (type, told, correlation) => this.show(type, told, correlation),
    });
    if (answer?.usage) {
      this.usage = add(this.usage, answer.usage);
      this.lastPrompt = answer.usage;
      this.show("usage", { protocol_iteration: iteration, usage: answer.usage, cumulative: this.usage }, called);
    }
    return answer;
  }

  #failed({ message, kind, retryable }) {
    this.issue("llm_provider", undefined, message, { provider_failure_kind: kind, retryable });
    return { outcome: stopped("provider_error") };
  }

  async #answered(answer, afterTools) {
    if (answer.finish === "output_limit" && this.#overflowed(answer)) {
      this.issue("llm_provider", "context_overflow", "the prompt left no room for an answer", { terminal_reason: "context_overflow" });
      return { outcome: stopped("provider_error") };
    }
    if (answer.finish === "output_limit") {
      this.held = history.answered(this.mint(), { ...answer, calls: [] });
      this.issue("llm_provider", undefined, "the answer was cut by the output limit", { terminal_reason: "output_limit" });
      return { outcome: stopped("incomplete") };
    }
    if (answer.calls.length) return this.#tools(answer);
    if (!answer.text && !afterTools) {
      this.issue("llm_provider", "empty_response", "the model answered nothing", { retryable: false });
      return { outcome: stopped("provider_error") };
    }
    this.held = history.answered(this.mint(), answer);
    const put = await this.#checkpoint("before_completion");
    if (this.signal.aborted) return {};
    if (!put.length) return { outcome: says(answer.text) };
    this.append(...this.#held(), ...put);
    return { tools: false };
  }

  // Nothing was said, and the prompt filled nearly all of the model's window.
  #overflowed({ usage }) {
    if (!usage || usage.output_tokens) return false;
    const prompt = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens;
    return prompt >= OVERFLOW * this.live.state.policy.model.limits.context_window_tokens;
  }

  #held() {
    const held = this.held?.parts.length ? [this.held] : [];
    this.held = undefined;
    return held;
  }

  async #tools(answer) {
    this.append(history.answered(this.mint(), answer));
    await this.#step("run_tools");
    const answers = await this.dispatch.runAll(answer.calls);
    const project = this.stack.projector ?? ((text) => text);
    this.append(history.results(this.mint(), answers.map(({ call, output }) => ({ call, text: project(modelText(output)) }))));
    if (this.signal.aborted) return {};
    const control = answers.find(({ output }) => output.control && output.outcome.status === "success");
    if (control) return { outcome: controlled(control) };
    this.append(...await this.#checkpoint("after_work"));
    return { tools: true };
  }

  // What waits for this turn, then what hooks put in.
  async #checkpoint(kind) {
    await this.#step("checkpoint");
    const messages = await this.#admitted(kind);
    const queued = this.dispatch.queued.splice(0);
    try {
      const asked = this.#directives(await this.stack.directed("checkpoint", { kind }));
      if (asked.abort) throw new PluginError(asked.abort.message);
      asked.events.forEach((one) => this.emit(one));
      return [...messages, ...this.written([...queued, ...asked.messages])];
    } catch (err) { throw pluginFailure(err, "plugin_checkpoint"); }
  }

  async #admitted(kind) {
    if (!this.lane) return [];
    const work = await this.lane.store("claim_checkpoint_work", {
      ...this.lane.claiming(), turn_id: this.id, checkpoint: kind, max_inputs: MERGED, max_batches: MERGED,
    }).catch((err) => { throw storeFailure(err, this.session); });
    const { turn_input_claim: inputs, queued_work_claim: batches } = work;
    if (inputs) {
      this.claims.inputs.push(inputs);
      this.show("queued_input_accepted", {
        checkpoint: kind, inputs: inputs.inputs.map(({ source_key: key, input_id, input }) => ({ ...(key && { id: key.replace(/^host:/, "") }), input_id, input })),
      });
    }
    if (batches) this.claims.work.push(batches);
    const payloads = (batches?.batches ?? []).flatMap(({ items, enqueue_seq: number }) => items.map(({ payload }) => ({ payload, number })));
    return [
      ...(inputs?.inputs ?? []).map(({ enqueue_seq: number, input }) => user(`${this.id}.i${number}`, input.items)),
      ...payloads.map(({ payload, number }) => (payload.type === "process_wake" ? history.wake(payload) : history.said(`${this.id}.w${number}`, "User", payload.task))),
    ];
  }

  // A place where a turn may be stopped from outside.
  async #step(phase) {
    await this.live.phase(phase, this.id);
    this.lane?.require();
  }

  // -- the end

  // Close the gate, let plugins have their last word, commit, tell.
  async finish(outcome) {
    const { live } = this;
    const requested = this.waits.requested(this.session, this.id);
    if (!requested) this.lane?.require();
    const own = this.signal.aborted ? { request_id: requested?.request_id ?? `token of ${this.id}`, ...origin(this.asked), requested_at_ms: this.clock.now } : undefined;
    const evidence = this.waits.settle(this.session, this.id, own);
    if (evidence) outcome = stopped("cancelled");
    else this.append(...this.#held());
    const report = this.report(outcome, evidence);
    await this.#after(report);
    if (outcome.agent_frame_switch) live.openFrame(outcome.agent_frame_switch.frame_id, "continue_as", [], this.began);
    await this.stack.notify("turn_finalized");
    live.change({
      token_usage: this.usage, ...(this.lastPrompt && { last_prompt_usage: promptUsage(this.lastPrompt, live.state.policy.model.limits.context_window_tokens) }),
    });
    const failed = live.capture();
    if (failed) this.issue("plugin_snapshot", undefined, failed, { retryable: true });
    await live.phase("commit", this.id);
    const handoff = await live.commitTurn(this, outcome);
    this.committed = true;
    await this.#tell(outcome);
    return { report: { ...report, errors: this.issues, activities: this.activities }, handoff };
  }

  async #after(report) {
    try {
      const asked = this.#directives(await this.stack.directed("after_turn", { report }));
      if (asked.abort) throw new PluginError(asked.abort.message);
      this.append(...this.written(asked.messages));
      this.late.push(...asked.events);
    } catch (err) { throw pluginFailure(err, "plugin_finalize_turn"); }
  }

  async #tell(outcome) {
    const { live } = this;
    const value = outcome.finished?.tool_value;
    if (value) this.show("tool_value", value, "final");
    this.late.forEach((one) => this.emit(one));
    if (outcome.agent_frame_switch) live.record({ type: "agent_frame_switched", frame_id: outcome.agent_frame_switch.frame_id });
    live.publish();
    await this.stack.notify("turn_persisted", live.conversation().length);
    await live.phase("committed", this.id);
  }

  report(outcome, evidence) {
    const answer = outcome.finished?.assistant_message?.text;
    const records = this.dispatch?.records ?? [];
    return {
      session_id: this.session, turn_id: this.id, turn_index: this.live.state.turn_index, outcome, cancellation: evidence ?? null, usage: this.usage, children_usage: [],
      tool_calls: records, errors: this.issues,
      assistant_output: { safe_text: answer ?? "", raw_text: answer ?? "", state: answer ? "usable" : "empty_output" },
      execution: { had_tool_calls: records.length > 0, had_code_execution: false, started_at_ms: this.now, duration_ms: Number(this.clock.now - this.now) },
    };
  }
}

const named = (event) => (event.kind === "custom" ? { name: event.name } : {});
const origin = ({ controller }) => (typeof controller.signal.reason === "string" ? { origin: controller.signal.reason } : {});
const user = (id, items) => history.message(id, "User", history.userParts(id, items));

function controlled({ call, output: { control } }) {
  if (control.type === "finish") return { finished: { tool_value: { tool_name: call.name, value: control.value } } };
  if (control.type === "fail") return { stopped: { tool_error: { tool_name: call.name, value: control.value } } };
  return { agent_frame_switch: { frame_id: control.frame_id, task: control.task } };
}

const promptUsage = (usage, window) => ({
  prompt_context_tokens: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_write_input_tokens, input_tokens: usage.input_tokens,
  cache_read_input_tokens: usage.cache_read_input_tokens, cache_write_input_tokens: usage.cache_write_input_tokens, context_budget_tokens: window,
});

const pluginFailure = (err, code) => (err instanceof PluginError ? new RuntimeFailure(code, err.message) : err);

module.exports = { Turn, MERGED, user };
