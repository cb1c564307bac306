//! The kit's counter: a plugin with a tool, operations and a snapshot.

use std::sync::{Arc, Mutex};

use lash::plugins::{PluginError, PluginRegistrar, SessionPlugin};
use lash::tools::ToolCall;
use lash_core::plugin::{PluginCommand, PluginOperation, PluginQuery, PluginSnapshotMeta, SessionParam, SessionReadyContext};
use lash_core::{SnapshotReader, SnapshotWriter};
use serde_json::{Value, json};

use super::plugins::Plain;
use super::stage::Stage;

#[derive(Default)]
struct Count {
    value: i64,
    changes: u64,
}

pub struct Counter {
    stage: Stage,
    count: Arc<Mutex<Count>>,
}

impl Counter {
    pub fn new(stage: Stage) -> Self {
        stage.note("counter build");
        Self { stage, count: Arc::default() }
    }
}

fn add(count: &Mutex<Count>, by: i64) -> i64 {
    let mut count = count.lock().expect("the count");
    count.value += by;
    count.changes += 1;
    count.value
}

struct Read;
struct Add;

impl PluginOperation for Read {
    const NAME: &'static str = "counter.read";
    const DESCRIPTION: &'static str = "The value.";
    const SESSION_PARAM: SessionParam = SessionParam::Required;
    type Args = Value;
    type Output = Value;
}

impl PluginQuery for Read {}

impl PluginOperation for Add {
    const NAME: &'static str = "counter.add";
    const DESCRIPTION: &'static str = "Add to the value.";
    const SESSION_PARAM: SessionParam = SessionParam::Required;
    type Args = Value;
    type Output = Value;
}

impl PluginCommand for Add {}

impl SessionPlugin for Counter {
    fn id(&self) -> &'static str {
        "counter"
    }

    fn register(&self, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
        self.stage.note("counter register");
        let (stage, count) = (self.stage.clone(), Arc::clone(&self.count));
        reg.tools().provider(Arc::new(Plain {
            name: "count",
            run: move |_: &ToolCall<'_>| {
                stage.note("counter count");
                json!(add(&count, 1))
            },
        }))?;
        let count = Arc::clone(&self.count);
        reg.operations().typed_query::<Read, _, _>(move |_, _| {
            let value = count.lock().expect("the count").value;
            async move { Ok(json!(value)) }
        })?;
        let count = Arc::clone(&self.count);
        reg.operations().typed_command_value::<Add, _, _>(move |_, args| {
            let value = add(&count, args["by"].as_i64().unwrap_or_default());
            async move { Ok(json!(value)) }
        })
    }

    fn session_ready(&self, _: SessionReadyContext) -> Result<(), PluginError> {
        self.stage.note("counter ready");
        Ok(())
    }

    fn snapshot_revision(&self) -> u64 {
        self.count.lock().expect("the count").changes
    }

    fn snapshot(&self, writer: &mut dyn SnapshotWriter) -> Result<PluginSnapshotMeta, PluginError> {
        let value = self.count.lock().expect("the count").value;
        self.stage.note(format!("counter snapshot {value}"));
        writer.write_blob("digits".into(), value.to_string().into_bytes());
        Ok(PluginSnapshotMeta {
            plugin_id: self.id().into(),
            plugin_version: self.version().into(),
            revision: self.snapshot_revision(),
            state: Some(json!({"count": value})),
        })
    }

    fn restore(&self, meta: &PluginSnapshotMeta, reader: &dyn SnapshotReader) -> Result<(), PluginError> {
        let mut count = self.count.lock().expect("the count");
        let Some(state) = &meta.state else {
            self.stage.note("counter restore none");
            *count = Count::default();
            return Ok(());
        };
        let digits = reader.read_blob("digits").map(String::from_utf8_lossy);
        match state["count"].as_i64() {
            Some(value) if digits.as_deref() == Some(value.to_string().as_str()) => {
                self.stage.note(format!("counter restore {value}"));
                *count = Count { value, changes: meta.revision };
                Ok(())
            }
            _ => Err(PluginError::Snapshot(format!("the counter's parts disagree: {state}"))),
        }
    }
}
