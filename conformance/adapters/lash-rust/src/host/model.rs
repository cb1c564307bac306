//! The kit's scripted model, as a provider of lash.

use std::time::Duration;

use lash_core::llm::transport::LlmTransportError;
use lash_core::llm::types::{
    LlmContentBlock, LlmMessage, LlmOutputPart, LlmRequest, LlmResponse, LlmRole, LlmStreamEvent, LlmUsage,
};
use lash_core::provider::{Provider, ProviderComponents, ProviderHandle, ProviderOptions, ProviderReliability};
use serde_json::{Value, json};

use super::stage::Stage;

#[derive(Clone)]
struct Scripted {
    kind: &'static str,
    stage: Stage,
    options: ProviderOptions,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripted").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The provider of that id; every attempt takes the next reply of the script.
pub fn provider(id: &str, stage: &Stage) -> ProviderHandle {
    let reliability = ProviderReliability::default().max_attempts(4).base_delay_ms(1).max_delay_ms(1);
    let options = ProviderOptions { reliability, ..ProviderOptions::default() };
    let kind = super::eternal(id);
    ProviderHandle::new(ProviderComponents::new(Box::new(Scripted { kind, stage: stage.clone(), options })))
}

#[async_trait::async_trait]
impl Provider for Scripted {
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn options(&self) -> ProviderOptions {
        self.options.clone()
    }
    fn set_options(&mut self, options: ProviderOptions) {
        self.options = options;
    }
    fn serialize_config(&self) -> Value {
        json!({})
    }
    fn requires_streaming(&self) -> bool {
        true
    }
    fn clone_boxed(&self) -> Box<dyn Provider> {
        Box::new(self.clone())
    }
    async fn complete(&mut self, request: LlmRequest) -> Result<LlmResponse, LlmTransportError> {
        let empty = json!({"error": {"kind": "unsupported", "retryable": false, "message": "the script is empty"}});
        let reply = self.stage.ask(written(self.kind, &request)).unwrap_or(empty);
        stream(&reply, &request);
        if let Some(gate) = reply["gate"].as_str() {
            self.stage.stand(gate, None).await;
        }
        match reply.get("error") {
            Some(error) if !error.is_null() => Err(failure(error)),
            _ => Ok(response(&reply)),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The chunks of a reply, and its whole prose.
fn prose(reply: &Value) -> (Vec<String>, String) {
    let chunks: Option<Vec<String>> = reply.get("chunks").and_then(|chunks| serde_json::from_value(chunks.clone()).ok());
    let whole = reply["text"].as_str().map(str::to_owned);
    match (chunks, whole) {
        (Some(chunks), whole) => {
            let joined = chunks.concat();
            (chunks, whole.unwrap_or(joined))
        }
        (None, Some(whole)) if !whole.is_empty() => (vec![whole.clone()], whole),
        (None, _) => (Vec::new(), String::new()),
    }
}

fn stream(reply: &Value, request: &LlmRequest) {
    let Some(events) = &request.stream_events else { return };
    if let Some(thought) = reply["reasoning"].as_str().filter(|thought| !thought.is_empty()) {
        events.send(LlmStreamEvent::ReasoningDelta(thought.to_owned()));
    }
    for chunk in prose(reply).0 {
        events.send(LlmStreamEvent::Delta(chunk));
    }
    if let Some(told) = reply.get("streamed_usage").filter(|told| !told.is_null()) {
        events.send(LlmStreamEvent::Usage(usage(told)));
    }
}

fn response(reply: &Value) -> LlmResponse {
    let (_, whole) = prose(reply);
    let mut parts = Vec::new();
    if let Some(thought) = reply["reasoning"].as_str().filter(|thought| !thought.is_empty()) {
        parts.push(LlmOutputPart::Reasoning { text: thought.to_owned(), replay: None });
    }
    if !whole.is_empty() {
        parts.push(LlmOutputPart::Text { text: whole.clone(), response_meta: None });
    }
    let calls = reply["tools"].as_array().cloned().unwrap_or_default();
    parts.extend(calls.iter().map(|call| LlmOutputPart::ToolCall {
        call_id: text(&call["id"]).to_owned(),
        tool_name: text(&call["name"]).to_owned(),
        input_json: call["args"].to_string(),
        replay: None,
    }));
    let told = reply.get("usage").filter(|told| !told.is_null()).cloned();
    let told = told.unwrap_or_else(|| json!({"input_tokens": 10, "output_tokens": 5}));
    let finish = if calls.is_empty() { json!("stop") } else { json!("tool_use") };
    let finish = reply.get("finish").filter(|finish| !finish.is_null()).cloned().unwrap_or(finish);
    LlmResponse {
        full_text: whole,
        parts,
        usage: usage(&told),
        provider_usage: (told != json!({})).then_some(told),
        terminal_reason: serde_json::from_value(finish).unwrap_or_default(),
        ..LlmResponse::default()
    }
}

fn usage(told: &Value) -> LlmUsage {
    let count = |name: &str| told[name].as_i64().unwrap_or(0);
    LlmUsage {
        input_tokens: count("input_tokens"),
        output_tokens: count("output_tokens"),
        cache_read_input_tokens: count("cache_read_input_tokens"),
        cache_write_input_tokens: count("cache_write_input_tokens"),
        reasoning_output_tokens: count("reasoning_output_tokens"),
    }
}

fn failure(error: &Value) -> LlmTransportError {
    let kind = serde_json::from_value(error["kind"].clone()).unwrap_or_default();
    let told = LlmTransportError::new(text(&error["message"]))
        .with_kind(kind)
        .retryable(error["retryable"].as_bool().unwrap_or(false));
    match error["retry_after_ms"].as_u64() {
        Some(ms) => told.with_retry_after(Duration::from_millis(ms)),
        None => told,
    }
}

/// The request as the judge reads it.
fn written(provider: &str, request: &LlmRequest) -> Value {
    let (system, said): (Vec<&LlmMessage>, Vec<&LlmMessage>) = {
        let leading = request.messages.iter().take_while(|one| one.role == LlmRole::System).count().min(1);
        (request.messages[..leading].iter().collect(), request.messages[leading..].iter().collect())
    };
    let system: Vec<String> = system.iter().flat_map(|one| lines(one)).map(|(_, line)| line).collect();
    let messages: Vec<Value> = said.iter().flat_map(|one| messages(one)).collect();
    let tools: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    json!({
        "provider": provider, "model": request.model, "system": system.join("\n"), "messages": messages, "tools": tools,
    })
}

fn lines(message: &LlmMessage) -> Vec<(bool, String)> {
    let block = |block: &LlmContentBlock| match block {
        LlmContentBlock::Text { text, .. } => Some((false, text.to_string())),
        LlmContentBlock::ToolCall { call_id, tool_name, .. } => Some((false, format!("call {call_id} {tool_name}"))),
        LlmContentBlock::ToolResult { content, .. } => Some((true, content.clone())),
        LlmContentBlock::Attachment { .. } | LlmContentBlock::Reasoning { .. } => None,
    };
    message.blocks.iter().filter_map(block).collect()
}

/// A message as `{"role", "text"}`; the results of a round are one message each.
fn messages(message: &LlmMessage) -> Vec<Value> {
    let role = match message.role {
        LlmRole::User => "user",
        LlmRole::Assistant => "assistant",
        LlmRole::System => "system",
    };
    let (results, plain): (Vec<_>, Vec<_>) = lines(message).into_iter().partition(|(result, _)| *result);
    let plain: Vec<String> = plain.into_iter().map(|(_, line)| line).collect();
    let mut told: Vec<Value> = results.into_iter().map(|(_, line)| json!({"role": "tool", "text": line})).collect();
    if told.is_empty() || !plain.is_empty() {
        told.push(json!({"role": role, "text": plain.join("\n")}));
    }
    told
}
