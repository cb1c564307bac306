//! lash's values as the judge reads them.

use lash::tools::ToolState;
use lash::{EmbedError, LashSession, TurnOutput};
use lash_core::{Message, MessageRole, PartKind, SessionSnapshot, SessionUsageReport};
use serde_json::{Value, json};

use crate::wire::Fault;

fn plain(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

pub fn turn(output: &TurnOutput) -> Value {
    let result = &output.result;
    json!({
        "session_id": result.state.session_id,
        "turn_index": result.state.turn_index,
        "outcome": plain(&result.outcome),
        "cancellation": plain(&result.cancellation),
        "usage": plain(&result.usage),
        "children_usage": plain(&result.children_usage),
        "tool_calls": plain(&result.tool_calls),
        "errors": plain(&result.errors),
        "assistant_output": plain(&result.assistant_output),
        "execution": plain(&result.execution),
        "activities": output.activities.iter().map(activity).collect::<Vec<Value>>(),
    })
}

/// An activity; lash keeps a plugin's event in a member of its own.
pub fn activity(one: &lash::TurnActivity) -> Value {
    let mut told = plain(one);
    let event = told.get("event").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(applied) = told.get("applications").and_then(Value::as_array).cloned() {
        let named = |one: &Value| one["source_key"].as_str().map(|key| key.trim_start_matches("host:").to_owned());
        told["checkpoint"] = applied.first().map(|one| one["checkpoint"].clone()).unwrap_or_default();
        told["inputs"] = applied.iter().map(|one| json!({"id": named(one), "input_id": one["input_id"]})).collect();
    }
    if told["type"] == "plugin_runtime" {
        for (name, value) in event {
            told[name] = value;
        }
    }
    told
}

/// A usage report; lash sums under the names, and keeps the total beside the counters.
fn report(report: &SessionUsageReport) -> Value {
    let row = |totals: &Value| json!({"usage": totals, "total_tokens": totals["total_tokens"]});
    let mut told = plain(report);
    for (member, name) in [("by_source", "source"), ("by_model", "model")] {
        let rows = told[member].as_object().into_iter().flatten().map(|(key, totals)| {
            let mut row = row(totals);
            row[name] = json!(key);
            row
        });
        told[member] = rows.collect();
    }
    for entry in told["by_source_model"].as_array_mut().into_iter().flatten() {
        entry["total_tokens"] = entry["usage"]["total_tokens"].clone();
    }
    told["total_tokens"] = told["usage"]["total_tokens"].clone();
    told
}

pub fn tool_state(state: &ToolState) -> Value {
    plain(state)
}

/// A non-blocking read.
pub async fn read(live: &LashSession, what: &str) -> Result<Value, Fault> {
    let observed = live.observe();
    match what {
        "session_id" => Ok(json!(live.session_id())),
        "parent_session_id" => Ok(json!(live.parent_session_id())),
        "policy" => Ok(plain(&live.policy_snapshot())),
        "transcript" => Ok(json!(live.read_view().messages().iter().flat_map(lines).collect::<Vec<Value>>())),
        "usage_report" => Ok(report(&live.usage_report())),
        "turn_index" => Ok(json!(live.read_view().turn_index())),
        "tool_state" => Ok(observed.tool_state().as_ref().map_or(Value::Null, tool_state)),
        "active_tools" => {
            let mut names: Vec<String> = observed.active_tool_manifests().into_iter().map(|one| one.name).collect();
            names.sort();
            Ok(json!(names))
        }
        "head_revision" => Ok(json!(revision(observed.current_observation().cursor.as_str()))),
        "frames" => Ok(plain(&exported(live).await?.agent_frames)),
        "current_frame" => Ok(json!(exported(live).await?.current_agent_frame_id)),
        other => Err(Fault::protocol(-32602, format!("no read {other}"))),
    }
}

/// The session's state with its frames, which the facade's own export leaves out.
pub async fn exported(live: &LashSession) -> Result<SessionSnapshot, Fault> {
    let service = live.admin().state().session_state_service().await?;
    service.snapshot_current().await.map_err(|err| EmbedError::from(err).into())
}

/// The revision that a cursor of lash begins with.
pub fn revision(cursor: &str) -> u64 {
    cursor.split(':').rev().nth(2).and_then(|part| part.rsplit('/').next()).and_then(|part| part.parse().ok()).unwrap_or(0)
}

/// A message as lines of a transcript.
fn lines(message: &Message) -> Vec<Value> {
    let role = match message.role {
        MessageRole::User => "user",
        MessageRole::Assistant => "assistant",
        MessageRole::System => "system",
        MessageRole::Event => "event",
    };
    let mut said: Vec<String> = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    for part in message.parts.iter() {
        match part.kind {
            PartKind::ToolCall => {
                let (id, name) = (part.tool_call_id.as_deref(), part.tool_name.as_deref());
                said.push(format!("call {} {}", id.unwrap_or_default(), name.unwrap_or_default()));
            }
            PartKind::ToolResult => results.push(json!({"role": "tool", "text": part.content})),
            PartKind::Reasoning | PartKind::Attachment => {}
            _ => said.push(part.content.clone()),
        }
    }
    if results.is_empty() || !said.is_empty() {
        results.push(json!({"role": role, "text": said.join("\n")}));
    }
    results
}
