//! The hooks of the kit's written plugin, in lash's registrar.

use std::sync::Arc;

use lash::plugins::{PluginError, PluginRegistrar};
use lash_core::plugin::{
    AssistantResponseTransform, AssistantStreamTransform, CompactionContext, ContextCompaction, ContextCompactor, ContextError,
    PluginLifecycleEvent, ToolCatalogContribution, TurnContextTransform, TurnTransformContext,
};
use lash_core::session_model::context::PreparedContext;
use lash_core::{
    CheckpointKind, LashSchema, MessageRole, ModelToolReturn, PluginMessage, PromptContribution, SessionAppendNode,
    ToolCallOutcome, ToolCallOutput, TriggerEvent,
};
use serde_json::Value;

use super::{claims, operations};
use super::tools::fixed;
use super::written::Live;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

pub fn register(live: &Live, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
    if let Some(tools) = live.says("tools") {
        let names: Vec<String> = serde_json::from_value(tools.clone()).unwrap_or_default();
        reg.tools().provider(fixed(&names, &live.stage))?;
    }
    for trigger in live.says("triggers").and_then(Value::as_array).into_iter().flatten() {
        let (resource, alias, event) = (text(trigger, "resource_type"), text(trigger, "alias"), text(trigger, "event"));
        reg.triggers().declare(TriggerEvent::new(resource, alias, event, LashSchema::any()))?;
    }
    if let Some(removed) = live.says("removes") {
        let remove_names: Vec<String> = serde_json::from_value(removed.clone()).unwrap_or_default();
        reg.tool_catalog().contribute(Arc::new(move |_| Ok(ToolCatalogContribution::remove_tools(remove_names.clone()))));
    }
    prompts(live, reg);
    turns(live, reg);
    calls(live, reg)?;
    outputs(live, reg);
    context(live, reg);
    for operation in live.says("operations").and_then(Value::as_array).into_iter().flatten() {
        operations::register(live, operation, reg)?;
    }
    Ok(())
}

fn prompts(live: &Live, reg: &mut PluginRegistrar) {
    let Some(given) = live.says("prompts") else {
        return;
    };
    let contributions: Vec<PromptContribution> = serde_json::from_value(given.clone()).unwrap_or_default();
    let live = live.clone();
    reg.prompt().contribute(Arc::new(move |_| {
        let (live, contributions) = (live.clone(), contributions.clone());
        Box::pin(async move {
            live.stand("prompt", "").await?;
            Ok(contributions)
        })
    }));
}

fn turns(live: &Live, reg: &mut PluginRegistrar) {
    let own = live.clone();
    reg.turn().before(Arc::new(move |context| {
        let own = own.clone();
        Box::pin(async move { own.direct("before_turn", &format!(" {}", context.state.messages().len())).await })
    }));
    let own = live.clone();
    reg.turn().checkpoint(Arc::new(move |context| {
        let own = own.clone();
        let point = match context.checkpoint {
            CheckpointKind::AfterWork => "checkpoint after_work",
            CheckpointKind::BeforeCompletion => "checkpoint before_completion",
        };
        Box::pin(async move { own.direct(point, "").await })
    }));
    let own = live.clone();
    reg.turn().after(Arc::new(move |_| {
        let own = own.clone();
        Box::pin(async move { own.direct("after_turn", "").await })
    }));
    let own = live.clone();
    reg.session().on_event(Arc::new(move |event| {
        let own = own.clone();
        Box::pin(async move {
            match event {
                PluginLifecycleEvent::TurnFinalized(_) => own.stand("event turn_finalized", "").await,
                PluginLifecycleEvent::SessionRestored(_) => own.stand("event session_restored", "").await,
                PluginLifecycleEvent::TurnPersisted(told) => {
                    own.stand("event turn_persisted", &format!(" {}", told.state.messages().len())).await
                }
                PluginLifecycleEvent::SessionConfigChanged(told) => {
                    let words = format!(" {} {}", told.previous.model.id, told.current.model.id);
                    own.stand("event session_config_changed", &words).await
                }
            }
        })
    }));
    if let Some(behind) = live.says("mutates").and_then(Value::as_str) {
        let (own, behind) = (live.clone(), behind.to_owned());
        reg.session().config_mutator(Arc::new(move |_, mut policy| {
            let (own, behind) = (own.clone(), behind.clone());
            Box::pin(async move {
                own.stand("mutator", "").await?;
                policy.model.id += &behind;
                Ok(policy)
            })
        }));
    }
}

fn told(output: &ToolCallOutput) -> String {
    match &output.outcome {
        ToolCallOutcome::Success(value) => format!("success {}", value.to_json_value()),
        ToolCallOutcome::Failure(failure) => format!("failure {}", failure.code),
        ToolCallOutcome::Cancelled(_) => "cancelled".to_owned(),
    }
}

fn calls(live: &Live, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
    let own = live.clone();
    reg.tool_calls().before(Arc::new(move |context| {
        let own = own.clone();
        Box::pin(async move { own.direct("before_tool", &format!(" {} {}", context.tool_name, context.args)).await })
    }));
    let own = live.clone();
    reg.tool_calls().after(Arc::new(move |context| {
        let own = own.clone();
        let outcome = context.result.as_done_output().map_or_else(|| "pending".to_owned(), told);
        Box::pin(async move { own.direct("after_tool", &format!(" {} {outcome}", context.tool_name)).await })
    }));
    let claims: Vec<String> = live.says("claims").and_then(|claims| serde_json::from_value(claims.clone()).ok()).unwrap_or_default();
    for claim in claims {
        if claim == "tool_result_projector" {
            let behind = live.says("shown").and_then(Value::as_str).unwrap_or_default().to_owned();
            reg.tool_results().projector(Arc::new(move |context| {
                let behind = behind.clone();
                Box::pin(async move {
                    let mut shown = ModelToolReturn::from_output(context.call_id, context.tool_name, &context.output);
                    if let Some(lash_core::ModelToolReturnPart::Text { text }) = shown.parts.last_mut() {
                        text.push_str(&behind);
                    }
                    Ok(shown)
                })
            }))?;
        } else {
            claims::take(live, &claim, reg)?;
        }
    }
    Ok(())
}

fn outputs(live: &Live, reg: &mut PluginRegistrar) {
    if let Some(behind) = live.says("response").and_then(Value::as_str) {
        let behind = behind.to_owned();
        reg.output().response(Arc::new(move |context| {
            let behind = behind.clone();
            Box::pin(async move {
                let mut response = context.response;
                response.full_text.push_str(&behind);
                for part in &mut response.parts {
                    if let lash::direct::LlmOutputPart::Text { text, .. } = part {
                        text.push_str(&behind);
                    }
                }
                Ok(AssistantResponseTransform { response, events: Vec::new() })
            })
        }));
    }
    if let Some(behind) = live.says("stream").and_then(Value::as_str) {
        let behind = behind.to_owned();
        reg.output().stream(Arc::new(move |context| {
            let chunk = context.chunk + &behind;
            Box::pin(async move { Ok(AssistantStreamTransform { chunk, ..Default::default() }) })
        }));
    }
}

struct Ranked {
    live: Live,
    text: Option<String>,
}

fn ranked(live: &Live, member: &str) -> Option<(i32, Arc<Ranked>)> {
    let given = live.says(member)?;
    let priority = i32::try_from(given["priority"].as_i64().unwrap_or_default()).unwrap_or_default();
    Some((priority, Arc::new(Ranked { live: live.clone(), text: given["text"].as_str().map(str::to_owned) })))
}

fn context(live: &Live, reg: &mut PluginRegistrar) {
    if let Some((priority, transform)) = ranked(live, "transform") {
        reg.context().prepare_turn(priority, transform);
    }
    if let Some((priority, compactor)) = ranked(live, "compacts") {
        reg.context().compact(priority, compactor);
    }
}

#[async_trait::async_trait]
impl TurnContextTransform for Ranked {
    fn id(&self) -> &'static str {
        self.live.id
    }
    async fn transform(&self, _: &TurnTransformContext<'_>, mut input: PreparedContext) -> Result<PreparedContext, ContextError> {
        self.live.stand("transform", "").await?;
        let mut messages: Vec<lash_core::Message> = input.messages.iter().cloned().collect();
        messages.push(operations::transient(self.live.id, self.text.as_deref().unwrap_or_default()));
        input.messages = messages.into();
        Ok(input)
    }
}

#[async_trait::async_trait]
impl ContextCompactor for Ranked {
    fn id(&self) -> &'static str {
        self.live.id
    }
    async fn compact(&self, _: &CompactionContext<'_>) -> Result<Option<ContextCompaction>, ContextError> {
        self.live.stand("compact", "").await?;
        let seed = |text: &String| SessionAppendNode::message(PluginMessage::text(MessageRole::User, text.as_str()));
        Ok(self.text.as_ref().map(|text| ContextCompaction::new(vec![seed(text)])))
    }
}
