//! The kit's plugin that is written in options: `a`, `b`, `c`, `recorder`, `director`, `breaker` and what a check calls it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lash::plugins::{PluginError, PluginFactory, PluginRegistrar, PluginSessionContext, SessionPlugin};
use lash_core::plugin::{PluginDirective, PluginExtensionContribution, PluginSnapshotMeta, SessionReadyContext};
use lash_core::{SnapshotReader, SnapshotWriter, ToolCallOutput, ToolResult, ToolValue};
use serde_json::{Value, json};

use super::eternal;
use super::hooks;
use super::stage::Stage;

/// What lives on the factory: what is still to be said, and how often it may still fail.
struct Shared {
    directives: HashMap<String, Vec<Value>>,
    failures_left: u64,
}

pub struct Written {
    id: &'static str,
    stage: Stage,
    says: Arc<Value>,
    shared: Arc<Mutex<Shared>>,
}

impl Written {
    pub fn new(id: &str, stage: Stage, own: Value) -> Self {
        let mut says = own;
        match id {
            "recorder" => says["stateless"] = json!(true),
            "director" | "director2" => says = json!({"directives": says, "stateless": true, "silent": true}),
            "breaker" => says = json!({"fails_at": says["fails_at"], "fail_times": says["times"], "changes_at": ["event turn_finalized"]}),
            _ => {}
        }
        let directives = serde_json::from_value(says["directives"].clone()).unwrap_or_default();
        let failures_left = says["fail_times"].as_u64().unwrap_or(u64::MAX);
        let shared = Arc::new(Mutex::new(Shared { directives, failures_left }));
        Self { id: eternal(id), stage, says: Arc::new(says), shared }
    }
}

impl PluginFactory for Written {
    fn id(&self) -> &'static str {
        self.id
    }

    fn extension_contributions(&self) -> Vec<PluginExtensionContribution> {
        let payload = self.says.get("extension").cloned();
        payload.map(|payload| PluginExtensionContribution::from_value("kit", payload)).into_iter().collect()
    }

    fn build(&self, context: &PluginSessionContext) -> Result<Arc<dyn SessionPlugin>, PluginError> {
        let live = Live {
            id: self.id,
            stage: self.stage.clone(),
            says: Arc::clone(&self.says),
            shared: Arc::clone(&self.shared),
            changes: Arc::default(),
        };
        live.reach("build", if context.is_root_session() { " root" } else { " child" })?;
        let extensions = context.extensions.payloads("kit");
        if !extensions.is_empty() {
            live.note(&format!("extensions {}", json!(extensions)));
        }
        Ok(Arc::new(live))
    }
}

/// The plugin of one open session.
#[derive(Clone)]
pub struct Live {
    pub id: &'static str,
    pub stage: Stage,
    pub says: Arc<Value>,
    shared: Arc<Mutex<Shared>>,
    changes: Arc<Mutex<u64>>,
}

impl Live {
    pub fn says(&self, member: &str) -> Option<&Value> {
        self.says.get(member).filter(|value| !value.is_null())
    }

    fn flag(&self, member: &str) -> bool {
        self.says(member).and_then(Value::as_bool).unwrap_or(false)
    }

    fn lists(&self, member: &str, point: &str) -> bool {
        let names = self.says(member).and_then(Value::as_array);
        // the breaker's points are named without what follows
        let short = point.split(' ').next().unwrap_or(point);
        names.is_some_and(|names| names.iter().any(|name| name == point || (self.id == "breaker" && name == short)))
    }

    pub fn count(&self) -> u64 {
        *self.changes.lock().expect("the count")
    }

    fn note(&self, words: &str) {
        if !self.flag("silent") && self.id != "breaker" {
            self.stage.note(format!("{} {words}", self.id));
        }
    }

    fn changed(&self, point: &str, words: &str) {
        if self.lists("changes_at", point) {
            *self.changes.lock().expect("the count") += 1;
        }
        self.note(&format!("{point}{words}"));
    }

    fn failing(&self, point: &str) -> Result<(), PluginError> {
        let mut shared = self.shared.lock().expect("the factory");
        if !self.lists("fails_at", point) || shared.failures_left == 0 {
            return Ok(());
        }
        shared.failures_left -= 1;
        Err(PluginError::Session(format!("broken at {point}")))
    }

    /// A point that cannot wait.
    fn reach(&self, point: &str, words: &str) -> Result<(), PluginError> {
        self.changed(point, words);
        self.failing(point)
    }

    /// A point: it changes, journals, waits and fails, as its options say.
    pub async fn stand(&self, point: &str, words: &str) -> Result<(), PluginError> {
        self.changed(point, words);
        if let Some(gate) = self.says.pointer(&format!("/waits/{}", point.replace('/', "~1"))).and_then(Value::as_str) {
            self.stage.stand(gate, None).await;
            self.note(&format!("{point}{words} done"));
        }
        self.failing(point)
    }

    /// A point that answers directives, those of its first call on the core.
    pub async fn direct(&self, point: &str, words: &str) -> Result<Vec<PluginDirective>, PluginError> {
        self.stand(point, words).await?;
        let given = self.shared.lock().expect("the factory").directives.remove(point).unwrap_or_default();
        given.into_iter().map(directive).collect()
    }
}

/// A directive in the kit's words as lash's.
fn directive(mut given: Value) -> Result<PluginDirective, PluginError> {
    if given["kind"] == "short_circuit_tool" {
        if given["pending"] == true {
            return Ok(PluginDirective::short_circuit(ToolResult::pending(Default::default())));
        }
        let output = ToolCallOutput::success(ToolValue::from(given["value"].take()));
        return Ok(PluginDirective::ShortCircuitTool { output });
    }
    for message in given["messages"].as_array_mut().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or_default().to_lowercase();
        let named = ["User", "Assistant", "System", "Event"].into_iter().find(|one| one.eq_ignore_ascii_case(&role));
        message["role"] = json!(named.unwrap_or("User"));
    }
    serde_json::from_value(given).map_err(|err| PluginError::Invoke(err.to_string()))
}

impl SessionPlugin for Live {
    fn id(&self) -> &'static str {
        self.id
    }

    fn version(&self) -> &'static str {
        eternal(self.says("version").and_then(Value::as_str).unwrap_or("1"))
    }

    fn register(&self, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
        self.reach("register", "")?;
        hooks::register(self, reg)
    }

    fn session_ready(&self, _: SessionReadyContext) -> Result<(), PluginError> {
        self.reach("ready", "")
    }

    fn snapshot_revision(&self) -> u64 {
        if self.flag("still") || self.flag("stateless") { 0 } else { self.count() }
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<PluginSnapshotMeta, PluginError> {
        let mut meta = PluginSnapshotMeta {
            plugin_id: self.id.into(),
            plugin_version: self.version().into(),
            revision: self.snapshot_revision(),
            state: None,
        };
        if !self.flag("stateless") {
            self.reach("snapshot", "")?;
            for blob in self.blobs() {
                writer.write_blob(blob.0, blob.1.into_bytes());
            }
            meta.state = Some(json!({"n": self.count()}));
            meta.revision = self.snapshot_revision();
        }
        Ok(meta)
    }

    fn restore(&self, meta: &PluginSnapshotMeta, reader: &dyn SnapshotReader) -> Result<(), PluginError> {
        if self.flag("stateless") {
            return Ok(());
        }
        let Some(state) = &meta.state else {
            self.reach("restore", " none")?;
            *self.changes.lock().expect("the count") = 0;
            return Ok(());
        };
        self.reach("restore", &format!(" {} {state}", meta.plugin_version))?;
        *self.changes.lock().expect("the count") = state["n"].as_u64().unwrap_or_default();
        let mut seen: Vec<String> = Vec::new();
        for (name, _) in self.blobs() {
            if !seen.contains(&name) {
                if let Some(data) = reader.read_blob(&name) {
                    self.note(&format!("blob {name} {}", String::from_utf8_lossy(data)));
                }
                seen.push(name);
            }
        }
        Ok(())
    }
}

impl Live {
    fn blobs(&self) -> Vec<(String, String)> {
        self.says("blobs").and_then(|blobs| serde_json::from_value(blobs.clone()).ok()).unwrap_or_default()
    }
}
