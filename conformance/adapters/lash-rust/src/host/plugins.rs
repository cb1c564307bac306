//! The kit's plugins but for those that are written in options: factories of lash's plugins.

use std::sync::{Arc, Mutex};

use lash::PluginBinding;
use lash::plugins::{PluginError, PluginFactory, PluginRegistrar, PluginSessionContext, SessionPlugin};
use lash::tools::{PreparedToolCall, ToolCall, ToolContract, ToolDefinition, ToolManifest, ToolProvider, ToolResult};
use lash_core::{PromptContribution, ToolPrepareCall};
use serde_json::{Value, json};

use super::counter::Counter;
use super::eternal;
use super::spec::Data;
use super::stage::Stage;
use super::tools::{Kit, Offer, fixed};
use super::written::Written;

/// The list that a shelf offers from.
pub type Shelf = Arc<Mutex<Vec<Value>>>;

/// What builds a session's plugin.
type Build = Box<dyn Fn(&PluginSessionContext) -> Result<Arc<dyn SessionPlugin>, PluginError> + Send + Sync>;

struct Factory {
    id: &'static str,
    build: Build,
}

impl PluginFactory for Factory {
    fn id(&self) -> &'static str {
        self.id
    }
    fn build(&self, context: &PluginSessionContext) -> Result<Arc<dyn SessionPlugin>, PluginError> {
        (self.build)(context)
    }
}

/// A plugin without state that only registers.
struct Registers<F> {
    id: &'static str,
    register: F,
}

impl<F: Fn(&mut PluginRegistrar) -> Result<(), PluginError> + Send + Sync> SessionPlugin for Registers<F> {
    fn id(&self) -> &'static str {
        self.id
    }
    fn register(&self, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
        (self.register)(reg)
    }
}

fn registering(
    id: &'static str,
    register: impl Fn(&mut PluginRegistrar) -> Result<(), PluginError> + Send + Sync + Clone + 'static,
) -> Arc<dyn PluginFactory> {
    Arc::new(Factory { id, build: Box::new(move |_| Ok(Arc::new(Registers { id, register: register.clone() }))) })
}

/// The core's factory of a kit plugin.
pub fn factory(id: &str, stage: &Stage, options: &Data, shelf: &Shelf) -> Arc<dyn PluginFactory> {
    let own = options.get(id).cloned().unwrap_or_else(|| json!({}));
    let stage = stage.clone();
    match id {
        "counter" => Arc::new(Factory { id: "counter", build: Box::new(move |_| Ok(Arc::new(Counter::new(stage.clone())))) }),
        "prompt" => prompt(own["note"].as_str().unwrap_or("kit note").to_owned()),
        "pool" => pool(stage),
        "clash" => registering("clash", move |reg| reg.tools().provider(fixed(&["echo".to_owned()], &stage))),
        "shelf" => {
            *shelf.lock().expect("the shelf") = own["offers"].as_array().cloned().unwrap_or_default();
            let shelf = Arc::clone(shelf);
            registering("shelf", move |reg| {
                let shelf = Arc::clone(&shelf);
                let offers = move || shelf.lock().expect("the shelf").iter().map(Offer::read).collect();
                reg.tools().provider(Arc::new(Kit { offers, stage: stage.clone() }))
            })
        }
        "bound" | "bound_optional" => bound(eternal(id)),
        "options" => registering("options", |reg| {
            reg.prompt().contribute(Arc::new(|context| {
                Box::pin(async move {
                    let options = serde_json::to_value(&context.protocol_turn_options).unwrap_or_default();
                    Ok(vec![guidance(format!("options {options}"))])
                })
            }));
            Ok(())
        }),
        _ => Arc::new(Written::new(id, stage, own)),
    }
}

fn guidance(content: String) -> PromptContribution {
    PromptContribution::guidance("", content)
}

fn prompt(note: String) -> Arc<dyn PluginFactory> {
    registering("prompt", move |reg| {
        let note = note.clone();
        reg.prompt().contribute(Arc::new(move |_| {
            let note = note.clone();
            Box::pin(async move { Ok(vec![PromptContribution::guidance("Kit", note)]) })
        }));
        Ok(())
    })
}

fn pool(stage: Stage) -> Arc<dyn PluginFactory> {
    stage.note("pool opened");
    let build = move |_: &PluginSessionContext| -> Result<Arc<dyn SessionPlugin>, PluginError> {
        stage.note("pool build");
        let stage = stage.clone();
        Ok(Arc::new(Registers {
            id: "pool",
            register: move |reg: &mut PluginRegistrar| {
                let stage = stage.clone();
                reg.tools().provider(Arc::new(Plain { name: "borrow", run: move |_: &ToolCall<'_>| json!(stage.count("borrow")) }))
            },
        }))
    };
    Arc::new(Factory { id: "pool", build: Box::new(build) })
}

/// One tool without arguments.
pub struct Plain<F> {
    pub name: &'static str,
    pub run: F,
}

impl<F> Plain<F> {
    fn definition(&self) -> ToolDefinition {
        let closed = json!({"type": "object", "properties": {}, "additionalProperties": false});
        ToolDefinition::raw(format!("kit:{}", self.name), self.name, format!("The kit's {}.", self.name), closed, json!({}))
    }
}

#[async_trait::async_trait]
impl<F: Fn(&ToolCall<'_>) -> Value + Send + Sync + 'static> ToolProvider for Plain<F> {
    fn tool_manifests(&self) -> Vec<ToolManifest> {
        vec![self.definition().manifest()]
    }
    fn resolve_contract(&self, _: &str) -> Option<Arc<ToolContract>> {
        Some(Arc::new(self.definition().contract()))
    }
    async fn prepare_tool_call(&self, call: ToolPrepareCall<'_>) -> Result<PreparedToolCall, ToolResult> {
        let word = ["bound", "bound_optional"].iter().find_map(|id| call.context.plugin_input::<Value>(id));
        let word = word.map(|input| input["word"].clone()).unwrap_or_default();
        let mut prepared = PreparedToolCall::identity(call.tool_id, call.pending);
        prepared.prepared_payload = word;
        Ok(prepared)
    }
    async fn execute(&self, call: ToolCall<'_>) -> ToolResult {
        ToolResult::ok((self.run)(&call))
    }
}

fn bound(id: &'static str) -> Arc<dyn PluginFactory> {
    registering(id, move |reg| {
        reg.prompt().contribute(Arc::new(move |context| {
            let word = context.turn_context.plugin_input::<Value>(id).and_then(|input| input["word"].as_str().map(str::to_owned));
            Box::pin(async move { Ok(word.map(|word| guidance(format!("word: {word}"))).into_iter().collect()) })
        }));
        reg.tools().provider(Arc::new(Plain {
            name: "tell",
            run: |call: &ToolCall<'_>| {
                let frozen = call.context.prepared_payload().as_str().unwrap_or("none");
                json!(format!("frozen {frozen} live none"))
            },
        }))
    })
}

/// A plugin of one session: its own, by the kit's names.
pub struct Bound;
pub struct BoundOptional;
pub struct Own;

macro_rules! bindings {
    ($($binding:ident $id:literal $required:literal)*) => {$(
        impl PluginBinding for $binding {
            const ID: &'static str = $id;
            type SessionConfig = Arc<dyn PluginFactory>;
            type Input = Value;
            fn factory(config: &Self::SessionConfig) -> Arc<dyn PluginFactory> {
                Arc::clone(config)
            }
            fn requires_turn_input(_: &Self::SessionConfig) -> bool {
                $required
            }
        }
    )*};
}

bindings! { Bound "bound" true BoundOptional "bound_optional" false Own "own" false }
