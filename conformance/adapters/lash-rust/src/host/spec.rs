//! What the judge describes: cores, opens and turns, with the defaults of the wire.

use serde::Deserialize;
use serde_json::{Map, Value};

pub type Data = Map<String, Value>;

#[derive(Deserialize, Clone)]
#[serde(default)]
pub struct CoreSpec {
    pub plugins: Vec<String>,
    pub edits: Vec<Data>,
    pub tools: Vec<String>,
    pub protocol: String,
    pub without: Vec<String>,
    pub store: String,
    pub model: String,
    pub context_window: usize,
    pub max_turns: Option<usize>,
    pub prompt: Option<Value>,
    pub providers: Vec<String>,
    pub route: Option<Value>,
    pub durable: Vec<String>,
    pub registry: String,
    pub journal: bool,
    pub residency: String,
    pub owner: String,
    pub lease_ttl_ms: Option<u64>,
    pub lease_renew_ms: Option<u64>,
    pub process_concurrency: Option<i64>,
    pub replay_events: usize,
    pub options: Data,
}

impl Default for CoreSpec {
    fn default() -> Self {
        Self {
            plugins: Vec::new(),
            edits: Vec::new(),
            tools: Vec::new(),
            protocol: "standard".into(),
            without: Vec::new(),
            store: "factory".into(),
            model: "m-1".into(),
            context_window: 8000,
            max_turns: None,
            prompt: None,
            providers: vec!["prov".into()],
            route: None,
            durable: Vec::new(),
            registry: "none".into(),
            journal: false,
            residency: "keep_all".into(),
            owner: "a".into(),
            lease_ttl_ms: Some(30_000),
            lease_renew_ms: Some(10_000),
            process_concurrency: None,
            replay_events: 2048,
            options: Data::new(),
        }
    }
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub struct OpenSpec {
    pub how: How,
    pub state: Option<Value>,
    pub store: Store,
    pub model: Option<String>,
    pub max_turns: Option<usize>,
    pub prompt: Option<Value>,
    pub provider: Option<String>,
    pub parent: Option<String>,
    pub plugins: Vec<String>,
    pub plugin_options: Data,
    pub mode: Option<String>,
    pub owner: Option<String>,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum How {
    #[default]
    Open,
    Fresh,
    State,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    #[default]
    Factory,
    Other,
    None,
}

#[derive(Deserialize, Clone, Default)]
#[serde(default)]
pub struct TurnSpec {
    pub items: Vec<lash::InputItem>,
    pub turn_id: Option<String>,
    pub trace_turn_id: Option<String>,
    pub cancel: Option<String>,
    pub cancel_origin: Option<String>,
    pub provider: Option<String>,
    pub prompt: Option<Value>,
    pub plugin_inputs: Data,
    pub options: Option<Value>,
}
