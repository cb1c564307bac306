//! One handle on a session of lash: its turns, its end, and its members by name.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lash::tools::{ToolId, ToolSourceHandle};
use lash::{
    CancellationToken, EmbedError, LashSession, PendingTurnInput, SessionConfigPatch, TurnCancelOutcome, TurnCancelReceipt, TurnInput,
    TurnActivity, TurnActivitySink, TurnInputAcceptanceReceipt, TurnOutput,
};
use lash_core::{ExecutionScope, TurnInputIngress};
use serde_json::{Value, json};

use super::core::{Core, Effects, model_of};
use super::plugins::{Bound, BoundOptional};
use super::probe::Probe;
use super::spec::{Data, TurnSpec};
use super::{answers, refusals, tools};
use crate::wire::{Fault, Wire};

/// What a drain showed.
#[derive(Default)]
struct Seen(Mutex<Vec<TurnActivity>>);

#[async_trait::async_trait]
impl TurnActivitySink for Seen {
    async fn emit(&self, activity: TurnActivity) {
        self.0.lock().expect("what was seen").push(activity);
    }
}

/// What shares one live session: its handles, and the turns that run.
///
/// lash's `park` and `close` take the handle they are called on even when they refuse;
/// the judge goes on with it, so it is made again from whatever kept them from it.
#[derive(Default)]
struct Shared {
    holders: Mutex<HashMap<u64, LashSession>>,
    count: AtomicU64,
}

impl Shared {
    fn hold(&self, lash: LashSession) -> u64 {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.holders.lock().expect("the holders").insert(number, lash);
        number
    }

    fn let_go(&self, number: u64) -> Option<LashSession> {
        self.holders.lock().expect("the holders").remove(&number)
    }
}

pub struct Session {
    shared: Arc<Shared>,
    number: u64,
    tokens: Arc<Mutex<HashMap<String, CancellationToken>>>,
    sources: Mutex<HashMap<String, ToolSourceHandle>>,
}

impl Session {
    pub fn new(lash: LashSession) -> Self {
        let shared = Arc::new(Shared::default());
        Self { number: shared.hold(lash), shared, tokens: Arc::default(), sources: Mutex::default() }
    }

    /// The live handle, to be held no longer than a call takes.
    pub fn live(&self) -> Result<LashSession, Fault> {
        let held = self.shared.holders.lock().expect("the holders").get(&self.number).cloned();
        held.ok_or_else(refusals::consumed)
    }

    pub fn clone_handle(&self) -> Result<Self, Fault> {
        let number = self.shared.hold(self.live()?);
        Ok(Self { shared: Arc::clone(&self.shared), number, tokens: Arc::clone(&self.tokens), sources: Mutex::default() })
    }

    pub fn let_go(&self) -> Result<LashSession, Fault> {
        self.shared.let_go(self.number).ok_or_else(refusals::consumed)
    }

    /// End the handle as `by` does; a refusal leaves it as it was.
    pub async fn end<T>(&self, by: impl AsyncFnOnce(LashSession) -> Result<T, EmbedError>) -> Result<T, Fault> {
        let ended = by(self.let_go()?).await;
        if let Err(EmbedError::SessionStillInUse) = &ended {
            let mut holders = self.shared.holders.lock().expect("the holders");
            if let Some(other) = holders.values().next().cloned() {
                holders.insert(self.number, other);
            }
        }
        Ok(ended?)
    }

    fn token(&self, name: &str) -> CancellationToken {
        self.tokens.lock().expect("the tokens").entry(name.to_owned()).or_default().clone()
    }

    pub fn fire(&self, name: &str) {
        self.token(name).cancel();
    }

    pub async fn turn(&self, core: &Core, mut spec: TurnSpec) -> Result<Value, Fault> {
        let mut input = TurnInput::items(std::mem::take(&mut spec.items));
        input.trace_turn_id = spec.trace_turn_id.take();
        let named = spec.turn_id.clone().or_else(|| input.trace_turn_id.clone());
        let mut turn = self.live()?.turn(input);
        if let Some(id) = spec.turn_id {
            turn = turn.turn_id(id);
        }
        if let Some(name) = &spec.cancel {
            turn = turn.cancel_with_origin(self.token(name), spec.cancel_origin);
        }
        if let Some(id) = &spec.provider {
            let handle = core.provider(id).unwrap_or_else(|| super::model::provider(id, &core.stage));
            turn = turn.provider(handle);
        }
        if let Some(prompt) = spec.prompt {
            turn = turn.prompt_layer(serde_json::from_value(prompt).map_err(refusals::invalid)?);
        }
        if let Some(options) = spec.options {
            turn = turn.protocol_turn_options(serde_json::from_value(options).map_err(refusals::invalid)?);
        }
        for (id, given) in spec.plugin_inputs {
            turn = match id.as_str() {
                "bound" => turn.with_plugin_input::<Bound>(given),
                "bound_optional" => turn.with_plugin_input::<BoundOptional>(given),
                other => return Err(refusals::invalid(format!("no binding {other}"))),
            };
        }
        let holder = self.shared.hold(self.live()?);
        let ended = match core.effects {
            Effects::Inline => turn.run().await,
            Effects::Durable => {
                let id = named.unwrap_or_else(|| format!("turn {}.{}", std::process::id(), core.fresh()));
                let host = core.lash.effect_host();
                let controller = host.scoped(ExecutionScope::turn(self.live()?.session_id(), id.as_str()));
                turn.turn_id(id).advanced().run_with_scope(controller.map_err(|err| refusals::runtime(&err))?).await
            }
        };
        self.shared.let_go(holder);
        Ok(answers::turn(&ended?))
    }

    pub async fn queued_turn(&self, core: &Core, batch_ids: Vec<String>, drain_id: Option<String>) -> Result<Value, Fault> {
        let mut turn = self.live()?.queued_turn().batch_ids(batch_ids.clone());
        let named = drain_id.clone().or_else(|| batch_ids.first().cloned());
        if let Some(id) = drain_id {
            turn = turn.drain_id(id);
        }
        let holder = self.shared.hold(self.live()?);
        let ended = match core.effects {
            Effects::Inline => turn.run().await,
            Effects::Durable => {
                let id = named.unwrap_or_else(|| format!("drain {}.{}", std::process::id(), core.fresh()));
                let host = core.lash.effect_host();
                let controller = host.scoped(ExecutionScope::queue_drain(self.live()?.session_id(), id));
                let seen = Seen::default();
                let ended = turn.advanced().stream_to_with_scope(&seen, controller.map_err(|err| refusals::runtime(&err))?).await;
                ended.map(|told| told.map(|result| TurnOutput { result, activities: seen.0.into_inner().expect("what was seen") }))
            }
        };
        self.shared.let_go(holder);
        Ok(ended?.as_ref().map_or(Value::Null, answers::turn))
    }

    pub async fn request_turn_cancel(&self, given: &Data) -> Result<Value, Fault> {
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let (turn_id, request_id) = (text("turn_id").unwrap_or_default(), text("request_id").unwrap_or_default());
        let receipt = self.live()?.request_turn_cancel(&turn_id, request_id, text("origin"), text("reason")).await?;
        Ok(cancelled(&receipt))
    }

    pub async fn configure(&self, core: &Core, patch: &Data) -> Result<(), Fault> {
        let text = |name: &str| patch.get(name).and_then(Value::as_str);
        let provider = text("provider").map(|id| core.provider(id).unwrap_or_else(|| super::model::provider(id, &core.stage)));
        let model = text("model").map(|id| model_of(id, core.spec.context_window)).transpose()?;
        let prompt = patch.get("prompt").filter(|prompt| !prompt.is_null()).cloned();
        let prompt = prompt.map(serde_json::from_value).transpose().map_err(refusals::invalid)?;
        Ok(self.live()?.configure(SessionConfigPatch { provider, model, prompt }).await?)
    }

    /// A member by its name.
    pub async fn call(&self, core: &Core, method: &str, given: &Data) -> Result<Value, Fault> {
        if let Some(capability) = undeclared(method) {
            return Err(refusals::unsupported(capability));
        }
        let live = self.live()?;
        let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
        match method {
            "enqueue" => {
                let mut queued = live.enqueue(TurnInput::text(text("text"))).ingress(ingress(given)?);
                if let Some(id) = given.get("id").and_then(Value::as_str) {
                    queued = queued.id(id);
                }
                let told = queued.send().await?;
                receipt(live.pending_turn_inputs().await?, &told)
            }
            "queued_work" => live.queued_work().await?.write(),
            "pending_turn_inputs" => live.pending_turn_inputs().await?.write(),
            "cancel_pending_turn_input" => live.cancel_pending_turn_input(text("input_id")).await?.write(),
            "cancel_pending_turn_inputs" => {
                let targets = Vec::read(given["targets"].clone())?;
                live.cancel_pending_turn_inputs(targets).await?.write()
            }
            "cancel_pending_turn_input_suffix" => {
                live.cancel_pending_turn_input_suffix(Wire::read(given["anchor"].clone())?).await?.write()
            }
            "cancel_queued_work_batch" => live.cancel_queued_work_batch(text("batch_id")).await?.write(),
            "await_queued_work_batch" => live.await_queued_work_batch(text("batch_id")).await?.write(),
            "abandon_queued_work_claim" => live.abandon_queued_work_claim(&Wire::read(given["claim"].clone())?).await?.write(),
            "abandon_turn_input_claim" => live.abandon_turn_input_claim(&Wire::read(given["claim"].clone())?).await?.write(),
            "revoke_durable_waits" => live.revoke_durable_waits().await?.write(),
            "processes.list" => {
                let listed = live.processes().list().await?;
                Ok(listed.iter().map(|one| json!({"id": one.process_id})).collect())
            }
            "set_turn_phase_probe" => {
                live.set_turn_phase_probe(Arc::new(Probe(core.stage.clone()))).await;
                Ok(Value::Null)
            }
            "export_state" => Ok(serde_json::to_value(answers::exported(&live).await?).unwrap_or_default()),
            "branch_to_node" => {
                let leaf = given.get("node_id").and_then(Value::as_str).map(str::to_owned);
                live.admin().state().branch_to_node(leaf).await?;
                Ok(Value::Null)
            }
            "compact_context" => {
                let instructions = given.get("instructions").and_then(Value::as_str).map(str::to_owned);
                let host = live.effect_host();
                let scope = ExecutionScope::runtime_operation(format!("compact:{}:{}", live.session_id(), core.fresh()));
                let controller = host.scoped(scope).map_err(|err| refusals::runtime(&err))?;
                Ok(json!(live.admin().state().compact_context(instructions, controller).await?))
            }
            "command" => command(&live, given).await,
            "operation" => operation(&live, given).await,
            name if name.starts_with("tools.") => self.tools(core, &live, &name["tools.".len()..], given).await,
            other => Err(Fault::protocol(-32602, format!("no member {other}"))),
        }
    }

    async fn tools(&self, core: &Core, live: &LashSession, method: &str, given: &Data) -> Result<Value, Fault> {
        let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
        match method {
            "state" => Ok(answers::tool_state(&live.tools().state().await?)),
            "apply_state" => {
                let state = serde_json::from_value(given["state"].clone()).map_err(refusals::invalid)?;
                let applied = live.tools().advanced().apply_state(state).await;
                applied.map(|generation| json!(generation)).map_err(refusals::reconfigured)
            }
            "refresh" => {
                live.commands().refresh_tool_catalog("asked", format!("refresh {}", core.fresh())).await?;
                self.queued_turn(core, Vec::new(), None).await?;
                Ok(answers::tool_state(&live.tools().state().await?))
            }
            "set_membership" => {
                let member = given.get("member").and_then(Value::as_bool).unwrap_or(true);
                Ok(json!(live.tools().set_membership(ToolId::new(text("tool_id")), member).await?))
            }
            "add" => {
                let names: Vec<String> = serde_json::from_value(given["tools"].clone()).map_err(refusals::invalid)?;
                let handle = live.tools().add_provider(tools::fixed(&names, &core.stage)).await?;
                let name = format!("source {}", core.fresh());
                self.sources.lock().expect("the sources").insert(name.clone(), handle);
                Ok(json!(name))
            }
            "remove" => {
                let found = self.sources.lock().expect("the sources").remove(text("handle"));
                let handle = found.ok_or_else(|| refusals::session(format!("no source {}", text("handle"))))?;
                Ok(json!(live.tools().remove_source(&handle).await?))
            }
            other => Err(Fault::protocol(-32602, format!("no member tools.{other}"))),
        }
    }
}

/// The capability behind a member, where this host does not declare it.
fn undeclared(method: &str) -> Option<&'static str> {
    match method.split_once('.').map_or(method, |(of, _)| of) {
        "refresh_background_graph" => Some("processes"),
        "append_nodes" | "get_historic_node" | "orphaned_node_ids" | "open_agent_frame" => Some("graph"),
        "children" => Some("children"),
        "processes" if method != "processes.list" => Some("processes"),
        "triggers" if method != "triggers.catalog" => Some("triggers"),
        _ => None,
    }
}

/// Where input goes; the next turn unless it says otherwise.
pub fn ingress(given: &Data) -> Result<TurnInputIngress, Fault> {
    match given.get("ingress").filter(|told| !told.is_null()) {
        Some(told) => serde_json::from_value(told.clone()).map_err(refusals::invalid),
        None => Ok(TurnInputIngress::NextTurn),
    }
}

/// The stored row that a receipt is of.
pub fn receipt(rows: Vec<PendingTurnInput>, told: &TurnInputAcceptanceReceipt) -> Result<Value, Fault> {
    match rows.into_iter().find(|row| row.input_id == told.input_id) {
        Some(row) => row.write(),
        None => Ok(serde_json::to_value(told).unwrap_or_default()),
    }
}

/// A cancel receipt as the judge reads it.
pub fn cancelled(receipt: &TurnCancelReceipt) -> Value {
    let (outcome, evidence) = match &receipt.outcome {
        TurnCancelOutcome::Requested(evidence) => ("requested", Some(evidence)),
        TurnCancelOutcome::AlreadyRequested(evidence) => ("already_requested", Some(evidence)),
        TurnCancelOutcome::CompletionWonRace => ("completion_won_race", None),
        TurnCancelOutcome::UnknownOrRevoked => ("unknown_or_revoked", None),
    };
    let tier = receipt.durability_tier.write().unwrap_or_default();
    json!({"durability_tier": tier, "outcome": outcome, "evidence": evidence})
}

async fn command(live: &LashSession, given: &Data) -> Result<Value, Fault> {
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    let receipt = match text("kind") {
        "refresh_tool_catalog" => live.commands().refresh_tool_catalog(text("reason"), text("key")).await?,
        "reset_session" => live.commands().reset(text("reason"), text("key")).await?,
        other => return Err(refusals::invalid(format!("no command {other}"))),
    };
    let rows = live.queued_work().await?;
    let batch = rows.into_iter().find(|row| row.batch_id == receipt.batch_id);
    batch.map_or_else(|| Ok(Value::Null), |batch| batch.write())
}

async fn operation(live: &LashSession, given: &Data) -> Result<Value, Fault> {
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    let (name, args) = (text("name"), given.get("arguments").cloned().unwrap_or_else(|| json!({})));
    let operations = live.plugin_operations();
    let (output, events) = match text("kind") {
        "query" => return Ok(operations.query_raw(name, args).await?.1),
        "command" => {
            let receipt = operations.run_command_raw(name, args).await?;
            (receipt.output, receipt.events)
        }
        _ => {
            let receipt = operations.run_task_raw(name, args).await?;
            (receipt.output, receipt.events)
        }
    };
    let events: Vec<Value> = events.into_iter().map(|owned| json!({"plugin_id": owned.plugin_id, "event": owned.value})).collect();
    Ok(json!({"output": output, "events": events}))
}
