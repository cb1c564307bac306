//! A core of lash, wired from the judge's description.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lash::durability::{EffectHost, InlineEffectHost, LeaseTimings, Residency, RuntimeHostConfig};
use lash::observe::{InMemoryLiveReplayStore, InMemoryLiveReplayStoreConfig};
use lash::persistence::InMemoryProcessExecutionEnvStore;

use lash::provider::ProviderHandle;
use lash::{
    LashCore, LashCoreBuilder, LashSession, ModelSpec, ParkedSession, PluginStack, PromptLayerSink, SessionSpec, TurnInput,
    TurnWorkDriver,
};
use lash_core::{
    AwaitEventWaitIdentity, Clock, ExecutionScope, ExternalCompletionError, MapProviderResolver, Resolution, ResolveOutcome, TurnAddress, TurnCancelRequest,
};
use lash_sqlite_store::SqliteEffectHost;
use serde_json::{Value, json};

use super::clock::JudgedClock;
use super::line::{Factory, Line};
use super::plugins::{Shelf, factory};
use super::session::{Session, receipt};
use super::spec::{CoreSpec, Data, OpenSpec};
use super::stage::Stage;
use super::{model, open, refusals, tiers, tools};
use crate::targets::{Kind, Place};
use crate::wire::Fault;

/// Where a core keeps what became of effects and waits; lash commits a turn's progress only where it is in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Effects {
    Inline,
    Durable,
}

impl Effects {
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "lash-inline",
            Self::Durable => "lash-durable",
        }
    }
}

pub struct Core {
    pub effects: Effects,
    pub lash: LashCore,
    pub spec: CoreSpec,
    pub stage: Stage,
    pub main: Place,
    pub other: Place,
    pub parked: Mutex<HashMap<String, ParkedSession>>,
    pub shelf: Shelf,
    pub line: Arc<Line>,
    clock: Arc<JudgedClock>,
}

impl Core {
    pub async fn build(directory: &Path, now_ms: u64, mut spec: CoreSpec, effects: Effects) -> Result<Self, Fault> {
        let main = place(directory, "main", now_ms).await?;
        let other = Place { clock: Arc::clone(&main.clock), ..place(directory, "other", now_ms).await? };
        let (stage, shelf, line) = (Stage::default(), Shelf::default(), Arc::default());
        let clock = Arc::new(JudgedClock::new(now_ms));
        let effects = if spec.durable.is_empty() { effects } else { Effects::Inline };
        let mut host: Arc<dyn EffectHost> = Arc::new(InlineEffectHost::default().allow_process_lifetime_completion_keys());
        if effects == Effects::Durable {
            spec.durable = ["session_store", "attachment_store", "process_env_store"].map(str::to_owned).to_vec();
            let kept = directory.join("effects.db");
            let kept = SqliteEffectHost::open_with_clock(&kept, Arc::clone(&clock) as Arc<dyn Clock>).await;
            host = Arc::new(kept.map_err(|err| Fault::backend(err.to_string()))?);
        }
        let lash = wired(&spec, &main, host, &clock, &stage, &shelf, &line)?;
        Ok(Self { effects, lash, spec, stage, main, other, parked: Mutex::default(), shelf, line, clock })
    }

    pub fn provider(&self, id: &str) -> Option<ProviderHandle> {
        self.spec.providers.iter().any(|known| known == id).then(|| model::provider(id, &self.stage))
    }

    pub fn advance(&self, now_ms: u64) {
        self.main.clock.0.store(now_ms, Ordering::SeqCst);
        self.other.clock.0.store(now_ms, Ordering::SeqCst);
        self.clock.advance(now_ms);
    }

    /// A number that no other core of this process was given.
    pub fn fresh(&self) -> u64 {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        COUNT.fetch_add(1, Ordering::SeqCst)
    }

    pub async fn open(&self, session_id: &str, spec: OpenSpec) -> Result<Session, Fault> {
        open::session(self, session_id, spec).await
    }

    pub fn keep(&self, parked: ParkedSession) -> Value {
        let key = format!("{}#{}", parked.session_id(), self.fresh());
        self.parked.lock().expect("the parked").insert(key.clone(), parked);
        json!({"parked": key})
    }

    pub async fn resume(&self, parked: &Value) -> Result<LashSession, Fault> {
        let key = parked["parked"].as_str().unwrap_or_default();
        let found = self.parked.lock().expect("the parked").remove(key);
        let parked = found.ok_or_else(|| refusals::session(format!("nothing is parked as {key:?}")))?;
        Ok(self.lash.resume(parked).await?)
    }

    pub async fn delete(&self, session_id: &str) -> Result<Value, Fault> {
        let host = self.lash.effect_host();
        let scope = ExecutionScope::session_delete(session_id);
        let controller = host.scoped(scope).map_err(|err| refusals::runtime(&err))?;
        let report = self.lash.delete_session(session_id, controller).await?;
        Ok(serde_json::to_value(report).unwrap_or_default())
    }

    /// A member of the core.
    pub async fn call(&self, method: &str, given: &Data) -> Result<Value, Fault> {
        let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        match method {
            "enqueue_turn_input" => {
                let ingress = super::session::ingress(given)?;
                let id = given.get("source_key").and_then(Value::as_str).map(str::to_owned);
                let told = self.lash.enqueue_turn_input(text("session_id"), TurnInput::text(text("text")), ingress, id).await?;
                let request = lash_core::SessionStoreCreateRequest {
                    session_id: text("session_id"), relation: Default::default(), policy: Default::default(),
                };
                let store = self.main.sessions.create_store(&request).await.map_err(Fault::backend)?;
                receipt(store.list_pending_turn_inputs(&text("session_id")).await?, &told)
            }
            "shelf" => {
                *self.shelf.lock().expect("the shelf") = given["offers"].as_array().cloned().unwrap_or_default();
                Ok(Value::Null)
            }
            "pending_key" => Ok(self.stage.key(&text("name")).map_or(Value::Null, |key| key_json(&key))),
            "wait_key" => {
                let scope = ExecutionScope::queue_drain(text("session_id"), "wait");
                let wait = AwaitEventWaitIdentity::Custom { key: text("wait_id") };
                let key = self.lash.effect_host().await_event_key(&scope, wait).await.map_err(|err| refusals::runtime(&err))?;
                Ok(key_json(&key))
            }
            "resolve" => {
                let told = self.lash.completions().resolve(key_of(given)?, resolution(&given["resolution"])?).await?;
                Ok(json!(match told {
                    ResolveOutcome::Accepted => "resolved",
                    ResolveOutcome::AlreadyResolved { .. } => "already_resolved",
                    ResolveOutcome::UnknownOrRevoked => "unknown_or_revoked",
                }))
            }
            "await" => {
                let deadline = given.get("deadline_ms").and_then(Value::as_u64);
                let deadline = deadline.map(|ms| self.clock.now() + Duration::from_millis(ms.saturating_sub(self.clock.timestamp_ms())));
                let host = self.lash.effect_host();
                match host.await_await_event(&key_of(given)?, lash::CancellationToken::new(), deadline).await {
                    Ok(told) => Ok(resolved(told)),
                    Err(err) if err.code.as_str().contains("revoked") => Ok(json!("unknown_or_revoked")),
                    Err(err) => Err(refusals::runtime(&err)),
                }
            }
            "request_cancel" => {
                let optional = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
                let address = TurnAddress::new(text("session_id"), text("turn_id"));
                let mut request = TurnCancelRequest::new(address, text("request_id"), optional("origin"));
                request.reason = optional("reason");
                let told = TurnWorkDriver::new(self.lash.effect_host()).request_cancel(request).await;
                told.map(|told| super::session::cancelled(&told)).map_err(|err| refusals::runtime(&err))
            }
            other => Err(Fault::protocol(-32602, format!("no member {other}"))),
        }
    }
}

async fn place(directory: &Path, name: &str, now_ms: u64) -> Result<Place, Fault> {
    let directory = directory.join(name);
    std::fs::create_dir_all(&directory).map_err(|err| Fault::backend(err.to_string()))?;
    Place::open(Kind::Sqlite, &directory, now_ms).await
}

fn key_json(key: &lash::AwaitEventKey) -> Value {
    let mut told = serde_json::to_value(key).unwrap_or_default();
    told["session_id"] = json!(key.scope.session_id());
    told["wait_id"] = json!(key.key_id);
    told["seal"] = json!(key.signature);
    told
}

fn key_of(given: &Data) -> Result<lash::AwaitEventKey, Fault> {
    let mut key = given["key"].clone();
    for (ours, theirs) in [("seal", "signature"), ("wait_id", "key_id")] {
        if let Some(told) = key.get(ours).cloned() {
            key[theirs] = told;
        }
    }
    if let (Some(told), true) = (key.get("session_id").cloned(), key["scope"].get("session_id").is_some()) {
        key["scope"]["session_id"] = told;
    }
    serde_json::from_value(key).map_err(refusals::invalid)
}

fn resolution(given: &Value) -> Result<Resolution, Fault> {
    Ok(match given {
        Value::String(word) if word == "timeout" => Resolution::Timeout,
        Value::String(word) if word == "cancelled" => Resolution::Cancelled,
        Value::Object(told) if told.contains_key("ok") => Resolution::Ok(told["ok"].clone()),
        Value::Object(told) if told.contains_key("err") => Resolution::Err(ExternalCompletionError {
            code: "kit_external".into(),
            message: told["err"].as_str().map_or_else(|| told["err"].to_string(), str::to_owned),
            raw: Some(told["err"].clone()),
        }),
        other => return Err(refusals::invalid(format!("{other} is no resolution"))),
    })
}

fn resolved(told: Resolution) -> Value {
    match told {
        Resolution::Ok(value) => json!({"ok": value}),
        Resolution::Err(err) => json!({"err": err.raw.unwrap_or_else(|| json!(err.message))}),
        Resolution::Timeout => json!("timeout"),
        Resolution::Cancelled => json!("cancelled"),
    }
}

/// The factory of a place, with the judge's line to it.
pub fn watched(spec: &CoreSpec, place: &Place, line: &Arc<Line>) -> Arc<Factory> {
    let durable = spec.durable.iter().any(|facet| facet == "session_store");
    Arc::new(Factory { inner: Arc::clone(&place.sessions), line: Arc::clone(line), durable })
}

fn wired(spec: &CoreSpec, main: &Place, effects: Arc<dyn EffectHost>, clock: &Arc<JudgedClock>, stage: &Stage, shelf: &Shelf, line: &Arc<Line>) -> Result<LashCore, Fault> {
    let lacks = |facet: &str| spec.without.iter().any(|one| one == facet);
    let outlives = |facet: &str| spec.durable.iter().any(|one| one == facet);
    let mut builder = if lacks("protocol_plugin") { LashCore::builder() } else { LashCore::standard_builder() };
    builder = builder.plugins(stack(spec, stage, shelf)?).clock(Arc::clone(clock) as Arc<dyn Clock>);
    builder = builder.session_spec(described(spec)?);
    if let Some(prompt) = &spec.prompt {
        *builder.prompt_layer_mut() = serde_json::from_value(prompt.clone()).map_err(refusals::invalid)?;
    }
    if !spec.tools.is_empty() {
        builder = builder.tools(tools::fixed(&spec.tools, stage));
    }
    let attachments = || Arc::new(tiers::Attachments(Arc::clone(&main.attachments), outlives("attachment_store")));
    let environments = || Arc::new(tiers::Environments(InMemoryProcessExecutionEnvStore::new(), outlives("process_env_store")));
    let mut whole = None;
    if spec.without.is_empty() {
        let mut host = RuntimeHostConfig::new(effects, attachments(), environments());
        let all = spec.providers.iter().map(|id| model::provider(id, stage));
        host.providers.provider_resolver = Arc::new(all.fold(MapProviderResolver::new(), MapProviderResolver::with_provider));
        whole = Some(host);
    } else {
        if !lacks("effect_host") {
            builder = builder.effect_host(effects);
        }
        if !lacks("attachment_store") {
            builder = builder.attachment_store(attachments());
        }
        if !lacks("process_env_store") {
            builder = builder.process_env_store(environments());
        }
    }
    if spec.store == "factory" {
        builder = builder.store_factory(watched(spec, main, line));
    }
    finished(builder, whole, spec, clock)
}

/// The root description of a core's sessions.
fn described(spec: &CoreSpec) -> Result<SessionSpec, Fault> {
    let mut own = SessionSpec::new();
    if let Some(first) = spec.providers.first() {
        own = own.provider_id(first.as_str());
    }
    if !spec.without.iter().any(|facet| facet == "model") {
        own = own.model(model_of(&spec.model, spec.context_window)?);
    }
    Ok(match spec.max_turns {
        Some(most) => own.max_turns(most),
        None => own,
    })
}

fn finished(mut builder: LashCoreBuilder, whole: Option<RuntimeHostConfig>, spec: &CoreSpec, clock: &Arc<JudgedClock>) -> Result<LashCore, Fault> {
    if let (Some(ttl), Some(renew)) = (spec.lease_ttl_ms, spec.lease_renew_ms) {
        let timings = LeaseTimings::new(Duration::from_millis(ttl), Duration::from_millis(renew));
        builder = builder.lease_timings(timings.map_err(refusals::invalid)?);
    }
    if spec.residency == "active_path_only" {
        builder = builder.residency(Residency::ActivePathOnly);
    }
    if let Some(most) = spec.process_concurrency {
        builder = builder.process_execution_concurrency(usize::try_from(most).unwrap_or(0));
    }
    let replay = InMemoryLiveReplayStoreConfig { max_events_per_session: spec.replay_events, ..Default::default() };
    let replay = InMemoryLiveReplayStore::with_clock(replay, Arc::clone(clock) as Arc<dyn Clock>);
    builder = builder.live_replay_store(Arc::new(replay)).disable_queued_work_driver();
    Ok(match whole {
        Some(host) => builder.advanced().runtime_host_config(host).build()?,
        None => builder.build()?,
    })
}

pub fn model_of(id: &str, window: usize) -> Result<ModelSpec, Fault> {
    ModelSpec::from_token_limits(id, Default::default(), window, None).map_err(refusals::invalid)
}

fn stack(spec: &CoreSpec, stage: &Stage, shelf: &Shelf) -> Result<PluginStack, Fault> {
    let make = |id: &str| factory(id, stage, &spec.options, shelf);
    let all = |ids: &[Value]| PluginStack::from_factories(ids.iter().filter_map(Value::as_str).map(make));
    let mut stack = PluginStack::from_factories(spec.plugins.iter().map(|id| make(id)));
    for edit in &spec.edits {
        let (how, what) = edit.iter().next().ok_or_else(|| refusals::invalid("an edit is empty"))?;
        let (id, ids) = (what.as_str().unwrap_or_default(), what.as_array().cloned().unwrap_or_default());
        match how.as_str() {
            "push" => {
                stack.push(make(id));
            }
            "remove" => {
                stack.remove(id);
            }
            "replace" => {
                stack.replace(make(id));
            }
            "retain" => {
                stack.retain(|one| ids.iter().any(|id| id == one.id()));
            }
            "plugins" => stack = all(&ids),
            other => return Err(refusals::invalid(format!("no edit {other}"))),
        }
    }
    Ok(stack)
}
