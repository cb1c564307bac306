//! The kit's tools, as a tool provider of lash.

use std::sync::Arc;

use lash::tools::{
    PendingCompletion, PreparedToolCall, ToolCall, ToolContract, ToolDefinition, ToolFailureClass, ToolManifest, ToolProvider,
    ToolResult,
};
use lash_core::{
    AttachmentCreateMeta, MediaType, ToolCancellation, ToolControl, ToolFailure, ToolFailureSource, ToolPrepareCall,
    ToolRetryDisposition, ToolRetryPolicy, ToolValue,
};
use serde_json::{Value, json};

use super::spec::Data;
use super::stage::Stage;

/// One entry of a provider: a kit tool under a name and an id.
#[derive(Clone)]
pub struct Offer {
    tool: String,
    name: String,
    id: String,
    description: String,
}

impl Offer {
    pub fn named(tool: &str) -> Self {
        let description = format!("The kit's {tool}.");
        Self { tool: tool.to_owned(), name: tool.to_owned(), id: format!("kit:{tool}"), description }
    }

    /// An entry of the shelf.
    pub fn read(given: &Value) -> Self {
        let told = |member: &str| given[member].as_str().map(str::to_owned);
        let plain = Self::named(given["tool"].as_str().unwrap_or_default());
        Self {
            name: told("name").unwrap_or(plain.name),
            id: told("id").unwrap_or(plain.id),
            description: told("description").unwrap_or(plain.description),
            tool: plain.tool,
        }
    }

    fn definition(&self) -> ToolDefinition {
        let (members, retry) = shape(&self.tool);
        let properties: Data = members.iter().map(|(name, kind)| (name.trim_end_matches('?').to_owned(), kind.clone())).collect();
        let required: Vec<&str> = members.iter().map(|(name, _)| *name).filter(|name| !name.ends_with('?')).collect();
        let input = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        ToolDefinition::raw(self.id.as_str(), self.name.as_str(), self.description.as_str(), input, json!({})).with_retry_policy(retry)
    }
}

/// What a tool takes, a question mark behind what it can do without, and its retry policy.
fn shape(tool: &str) -> (Vec<(&'static str, Value)>, ToolRetryPolicy) {
    let (text, integer, any) = (json!({"type": "string"}), json!({"type": "integer"}), json!({}));
    let never = ToolRetryPolicy::Never;
    match tool {
        "echo" | "put" => (vec![("text", text)], never),
        "fail" => (vec![("message", text)], never),
        "slow" => (vec![("gate", text)], never),
        "pending" => (vec![("name", text)], never),
        "meet" => (vec![("id", text.clone()), ("of", integer), ("after?", text)], never),
        "finish" | "give_up" => (vec![("value", any)], never),
        "switch_frame" => (vec![("frame_id", text.clone()), ("task", text)], never),
        "flaky" => (vec![("times", integer)], ToolRetryPolicy::safe(10, 0, 0)),
        "wary" => (vec![], ToolRetryPolicy::safe(3, 0, 0)),
        "doomed" => (vec![("gate?", text)], ToolRetryPolicy::safe(3, 0, 0)),
        _ => (vec![], never),
    }
}

/// A provider of what the list says, whenever it is asked.
pub struct Kit<F> {
    pub offers: F,
    pub stage: Stage,
}

impl<F: Fn() -> Vec<Offer> + Send + Sync + 'static> Kit<F> {
    fn find(&self, name: &str) -> Option<Offer> {
        (self.offers)().into_iter().find(|offer| offer.name == name)
    }
}

pub fn fixed(names: &[String], stage: &Stage) -> Arc<dyn ToolProvider> {
    let offers: Vec<Offer> = names.iter().map(|name| Offer::named(name)).collect();
    Arc::new(Kit { offers: move || offers.clone(), stage: stage.clone() })
}

#[async_trait::async_trait]
impl<F: Fn() -> Vec<Offer> + Send + Sync + 'static> ToolProvider for Kit<F> {
    fn tool_manifests(&self) -> Vec<ToolManifest> {
        (self.offers)().iter().map(|offer| offer.definition().manifest()).collect()
    }

    fn resolve_contract(&self, name: &str) -> Option<Arc<ToolContract>> {
        self.find(name).map(|offer| Arc::new(offer.definition().contract()))
    }

    async fn prepare_tool_call(&self, call: ToolPrepareCall<'_>) -> Result<PreparedToolCall, ToolResult> {
        let impostor = self.find(&call.pending.tool_name).is_some_and(|offer| offer.tool == "impostor");
        let id = if impostor { "kit:echo".to_owned().into() } else { call.tool_id };
        Ok(PreparedToolCall::identity(id, call.pending))
    }

    async fn execute(&self, call: ToolCall<'_>) -> ToolResult {
        match self.find(call.name) {
            Some(offer) => run(&offer.tool, &self.stage, &call).await,
            None => ToolResult::err_fmt(format_args!("no tool {}", call.name)),
        }
    }
}

fn failed(message: &str, retry: ToolRetryDisposition) -> ToolResult {
    ToolResult::failure(ToolFailure {
        class: ToolFailureClass::Execution,
        code: "kit_failed".into(),
        message: message.into(),
        source: ToolFailureSource::Tool,
        retry,
        raw: None,
    })
}

async fn run(tool: &str, stage: &Stage, call: &ToolCall<'_>) -> ToolResult {
    let given = |name: &str| call.args[name].as_str().unwrap_or_default();
    let safe = ToolRetryDisposition::Safe { after_ms: None };
    match tool {
        "echo" => ToolResult::ok(json!(given("text"))),
        "fail" => failed(given("message"), ToolRetryDisposition::Never),
        "slow" => slow(stage, given("gate"), call).await,
        "pending" => match call.context.completion_key().await {
            Ok(key) => {
                stage.keep_key(given("name"), key);
                stage.note(format!("pending {}", given("name")));
                ToolResult::pending(PendingCompletion::new())
            }
            Err(err) => ToolResult::err_fmt(err),
        },
        "meet" => meet(stage, call.args).await,
        "finish" => {
            let value = ToolValue::from(call.args["value"].clone());
            ToolResult::ok(call.args["value"].clone()).with_control(ToolControl::Finish { value })
        }
        "give_up" => {
            let mut failure = ToolFailure::tool(ToolFailureClass::Execution, "kit_gave_up", "given up");
            failure.raw = Some(ToolValue::from(call.args["value"].clone()));
            ToolResult::ok(call.args["value"].clone()).with_control(ToolControl::Fail { failure })
        }
        "switch_frame" => {
            let (frame_id, task) = (given("frame_id").to_owned(), Some(given("task").to_owned()));
            ToolResult::ok(json!("switched")).with_control(ToolControl::SwitchAgentFrame { frame_id, initial_nodes: vec![], task })
        }
        "put" => {
            let media = MediaType::parse("text/plain").expect("a media type");
            let meta = AttachmentCreateMeta::new(media, None, None);
            let put = call.context.attachments().put(given("text").as_bytes().to_vec(), meta).await;
            put.map_or_else(ToolResult::err_fmt, |held| ToolResult::ok(json!(held.id.as_str())))
        }
        "flaky" => {
            stage.note("flaky attempt");
            let done = stage.count("flaky") > call.args["times"].as_u64().unwrap_or(0);
            if done { ToolResult::ok(json!("steady")) } else { failed("not yet", safe) }
        }
        "brittle" => {
            stage.note("brittle attempt");
            failed("broken", safe)
        }
        "wary" => {
            stage.note("wary attempt");
            failed("broken", ToolRetryDisposition::Never)
        }
        "doomed" => {
            stage.note(format!("doomed attempt {}", call.context.replay_key().unwrap_or_default()));
            if let Some(gate) = call.args["gate"].as_str() {
                stage.stand(gate, call.context.cancellation_token()).await;
            }
            failed("broken", safe)
        }
        "keyless" => ToolResult::pending(PendingCompletion::new()),
        "impostor" => {
            stage.note("impostor ran");
            ToolResult::ok(json!("ran"))
        }
        other => ToolResult::err_fmt(format_args!("the kit has no {other}")),
    }
}

async fn slow(stage: &Stage, gate: &str, call: &ToolCall<'_>) -> ToolResult {
    stage.note("slow started");
    let opened = stage.stand(gate, call.context.cancellation_token()).await;
    stage.note(if opened { "slow done" } else { "slow cancelled" });
    if opened {
        return ToolResult::ok(json!("done"));
    }
    ToolResult::from_output(lash_core::ToolCallOutput::cancelled(ToolCancellation::runtime("cancelled")))
}

async fn meet(stage: &Stage, args: &Value) -> ToolResult {
    let (id, of) = (args["id"].as_str().unwrap_or_default(), args["of"].as_u64().unwrap_or(1));
    let inside = stage.count("meet");
    for full in 1..=inside {
        stage.gate(&format!("meet of {full}")).opened.cancel();
    }
    stage.gate(&format!("meet of {of}")).opened.cancelled().await;
    if let Some(after) = args["after"].as_str() {
        stage.gate(&format!("met {after}")).opened.cancelled().await;
    }
    stage.gate(&format!("met {id}")).opened.cancel();
    ToolResult::ok(json!(id))
}
