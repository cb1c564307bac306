//! The kit's stage: the journal, the gates, the script and what was asked of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use lash::{AwaitEventKey, CancellationToken};
use serde_json::Value;

/// A gate: somebody waits there until it opens.
#[derive(Clone, Default)]
pub struct Gate {
    pub reached: CancellationToken,
    pub opened: CancellationToken,
}

#[derive(Default)]
struct Props {
    journal: Vec<String>,
    replies: VecDeque<Value>,
    requests: Vec<Value>,
    gates: HashMap<String, Gate>,
    pending: HashMap<String, AwaitEventKey>,
    counts: HashMap<String, u64>,
}

/// One core's stage.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<Props>>);

impl Stage {
    fn props(&self) -> MutexGuard<'_, Props> {
        self.0.lock().expect("the stage")
    }

    pub fn note(&self, line: impl Into<String>) {
        self.props().journal.push(line.into());
    }

    pub fn journal(&self) -> Vec<String> {
        self.props().journal.clone()
    }

    pub fn script(&self, replies: Vec<Value>) {
        self.props().replies.extend(replies);
    }

    pub fn requests(&self) -> Vec<Value> {
        self.props().requests.clone()
    }

    /// Write the request down, and take the reply that is its turn.
    pub fn ask(&self, request: Value) -> Option<Value> {
        let mut props = self.props();
        props.requests.push(request);
        props.replies.pop_front()
    }

    pub fn gate(&self, name: &str) -> Gate {
        self.props().gates.entry(name.to_owned()).or_default().clone()
    }

    /// The gate, if somebody asked for it.
    pub fn awaited(&self, name: &str) -> Option<Gate> {
        self.props().gates.get(name).cloned()
    }

    /// Wait at the gate; false when the turn was cancelled first.
    pub async fn stand(&self, name: &str, cancelled: Option<&CancellationToken>) -> bool {
        let gate = self.gate(name);
        gate.reached.cancel();
        let Some(cancelled) = cancelled else {
            gate.opened.cancelled().await;
            return true;
        };
        tokio::select! {
            () = gate.opened.cancelled() => true,
            () = cancelled.cancelled() => false,
        }
    }

    pub fn keep_key(&self, name: &str, key: AwaitEventKey) {
        self.props().pending.insert(name.to_owned(), key);
    }

    pub fn key(&self, name: &str) -> Option<AwaitEventKey> {
        self.props().pending.get(name).cloned()
    }

    /// How often this was counted on the core, this time included.
    pub fn count(&self, what: &str) -> u64 {
        let mut props = self.props();
        let count = props.counts.entry(what.to_owned()).or_default();
        *count += 1;
        *count
    }
}
