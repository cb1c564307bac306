//! The exclusive places that the kit's written plugin may take.

use std::sync::Arc;

use lash::plugins::{PluginError, PluginRegistrar};
use lash_core::plugin::{AssistantProseProjectorPlugin, CodeExecutorPlugin, ProtocolDriverPlugin, ProtocolSessionPlugin};
use lash_core::{ExecRequest, ExecResponse, ProtocolBuildInput, RuntimeExecutionContext, SessionError, TurnDriverPreamble};
use serde_json::Value;

use super::written::Live;

/// Who sits in the place; of what a place does, the kit only asks for the projection of prose.
struct Sitting {
    behind: String,
}

impl AssistantProseProjectorPlugin for Sitting {
    fn project_assistant_prose(&self, text: &str) -> String {
        format!("{text}{}", self.behind)
    }
}

#[async_trait::async_trait]
impl CodeExecutorPlugin for Sitting {
    async fn execute_code(&self, _: RuntimeExecutionContext<'_>, _: ExecRequest) -> Result<ExecResponse, SessionError> {
        Err(SessionError::Protocol("the kit runs no code".into()))
    }
}

impl ProtocolSessionPlugin for Sitting {}

impl ProtocolDriverPlugin for Sitting {
    fn build_preamble(&self, _: ProtocolBuildInput) -> TurnDriverPreamble {
        panic!("the kit drives no turn")
    }
}

pub fn take(live: &Live, place: &str, reg: &mut PluginRegistrar) -> Result<(), PluginError> {
    let sitting = Arc::new(Sitting { behind: live.says("prose").and_then(Value::as_str).unwrap_or_default().to_owned() });
    match place {
        "prose_projector" => reg.output().assistant_prose_projector(sitting),
        "code_executor" => reg.execution().code_executor(sitting),
        "protocol_session" => reg.protocol().session(sitting),
        "protocol_driver" => reg.protocol().protocol_driver(sitting),
        other => Err(PluginError::Registration(format!("lash has no place {other}"))),
    }
}
