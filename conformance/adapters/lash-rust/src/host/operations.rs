//! The operations of the kit's written plugin.

use lash::plugins::{PluginError, PluginRegistrar};
use lash_core::plugin::{
    PluginCommand, PluginCommandOutcome, PluginOperation, PluginOperationFailure, PluginQuery, PluginRuntimeDirective,
    PluginRuntimeEvent, PluginTask, PluginTaskOutcome, SessionParam,
};
use lash_core::{InputItem, Message, MessageOrigin, MessageRole, Part, PartKind, PruneState, TurnInput, shared_parts};
use serde_json::{Value, json};

use super::written::Live;

/// lash's operations have a name and a session parameter that are known when the program is built;
/// these are the names that the suite uses.
const NAMES: [&str; 11] = [
    "kit.q", "kit.go", "kit.c", "kit.same", "kit.required", "kit.optional", "kit.forbidden", "kit.command", "kit.task", "a.read",
    "b.read",
];
const PARAMS: [(&str, SessionParam); 3] =
    [("required", SessionParam::Required), ("optional", SessionParam::Optional), ("forbidden", SessionParam::Forbidden)];

struct Op<const NAME: usize, const PARAM: usize>;

impl<const NAME: usize, const PARAM: usize> PluginOperation for Op<NAME, PARAM> {
    const NAME: &'static str = NAMES[NAME];
    const DESCRIPTION: &'static str = "An operation of the kit.";
    const SESSION_PARAM: SessionParam = PARAMS[PARAM].1;
    type Args = Value;
    type Output = Value;
}

impl<const NAME: usize, const PARAM: usize> PluginQuery for Op<NAME, PARAM> {}
impl<const NAME: usize, const PARAM: usize> PluginCommand for Op<NAME, PARAM> {}
impl<const NAME: usize, const PARAM: usize> PluginTask for Op<NAME, PARAM> {}

/// Register what the options describe.
pub fn register(live: &Live, given: &Value, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
    let told = given["session"].as_str().unwrap_or("required");
    let param = PARAMS.iter().position(|(name, _)| *name == told).unwrap_or(0);
    match (NAMES.iter().position(|name| *name == given["name"]), param) {
        (Some(0), 0) => typed::<0, 0>(live, given, reg),
        (Some(0), 2) => typed::<0, 2>(live, given, reg),
        (Some(1), _) => typed::<1, 0>(live, given, reg),
        (Some(2), _) => typed::<2, 0>(live, given, reg),
        (Some(3), _) => typed::<3, 0>(live, given, reg),
        (Some(4), _) => typed::<4, 0>(live, given, reg),
        (Some(5), _) => typed::<5, 1>(live, given, reg),
        (Some(6), _) => typed::<6, 2>(live, given, reg),
        (Some(7), _) => typed::<7, 0>(live, given, reg),
        (Some(8), _) => typed::<8, 0>(live, given, reg),
        (Some(9), _) => typed::<9, 0>(live, given, reg),
        (Some(10), _) => typed::<10, 0>(live, given, reg),
        _ => Err(PluginError::Registration(format!("this adapter has no operation {}", given["name"]))),
    }
}

fn typed<const NAME: usize, const PARAM: usize>(live: &Live, given: &Value, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
    let (live, given) = (live.clone(), given.clone());
    match given["kind"].as_str() {
        Some("query") => reg.operations().typed_query::<Op<NAME, PARAM>, _, _>(move |context, _| {
            let live = live.clone();
            async move { performed(&live, NAMES[NAME], context.session_id).await }
        }),
        Some("command") => reg.operations().typed_command::<Op<NAME, PARAM>, _, _>(move |context, _| {
            let (live, given) = (live.clone(), given.clone());
            async move {
                let output = performed(&live, NAMES[NAME], context.session_id).await?;
                Ok(PluginCommandOutcome::new(output).with_events(events(&given)).with_directives(queued(&given)))
            }
        }),
        _ => reg.operations().typed_task::<Op<NAME, PARAM>, _, _>(move |context, _| {
            let (live, given) = (live.clone(), given.clone());
            async move {
                let output = performed(&live, NAMES[NAME], context.session_id).await?;
                Ok(PluginTaskOutcome::new(output).with_events(events(&given)).with_directives(queued(&given)))
            }
        }),
    }
}

async fn performed(live: &Live, name: &str, session: Option<String>) -> Result<Value, PluginOperationFailure> {
    live.stand(&format!("operation {name}"), "").await?;
    Ok(json!({"n": live.count(), "session": session}))
}

fn events(given: &Value) -> Vec<PluginRuntimeEvent> {
    serde_json::from_value(given["events"].clone()).unwrap_or_default()
}

fn queued(given: &Value) -> Vec<PluginRuntimeDirective> {
    let texts = given["queue"].as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| PluginRuntimeDirective::queue_turn(said(text))).collect()
}

/// A turn's input of one text.
pub fn said(text: &str) -> TurnInput {
    TurnInput::items(vec![InputItem::Text { text: text.to_owned() }])
}

/// A message that is shown for one turn.
pub fn transient(plugin: &str, text: &str) -> Message {
    let id = format!("{plugin}-transient");
    let part = Part {
        id: format!("{id}.p0"),
        kind: PartKind::Text,
        content: text.to_owned(),
        attachment: None,
        tool_call_id: None,
        tool_name: None,
        tool_replay: None,
        prune_state: PruneState::Intact,
        reasoning_meta: None,
        response_meta: None,
    };
    let origin = MessageOrigin::Plugin { plugin_id: plugin.to_owned(), transient: true };
    Message { id, role: MessageRole::User, parts: shared_parts(vec![part]), origin: Some(origin) }
}
