//! lash's errors of a host, as the wire's refusals.

use lash::EmbedError;
use lash_core::{PluginOperationInvokeError, RuntimeError};
use serde_json::{Value, json};

use crate::wire::Fault;

pub fn unsupported(capability: &str) -> Fault {
    Fault::refused("Unsupported", json!({"capability": capability}), format!("this host has no {capability}"))
}

pub fn runtime(err: &RuntimeError) -> Fault {
    Fault::refused("Runtime", json!({"runtime_code": err.code.as_str()}), err.to_string())
}

pub fn session(message: impl ToString) -> Fault {
    Fault::refused("Session", json!({}), message.to_string())
}

/// In Rust a handle that was consumed cannot be called; over the wire somebody may try.
pub fn consumed() -> Fault {
    Fault::refused("SessionConsumed", json!({}), "the handle was parked, closed or dropped")
}

/// A refused tool state; lash tells the generations in its text.
pub fn reconfigured(err: EmbedError) -> Fault {
    let text = err.to_string();
    let Some((_, told)) = text.split_once("generation mismatch: expected ") else { return err.into() };
    let numbers: Vec<u64> = told.split(", actual ").filter_map(|part| part.trim().parse().ok()).collect();
    let [expected, actual] = numbers[..] else { return err.into() };
    Fault::refused("GenerationMismatch", json!({"expected": expected, "actual": actual}), text)
}

pub fn invalid(message: impl ToString) -> Fault {
    let text = message.to_string();
    Fault::refused("InvalidRecord", json!({"found": text}), text.clone())
}

impl From<EmbedError> for Fault {
    fn from(err: EmbedError) -> Self {
        let text = err.to_string();
        let (error, fields): (&str, Value) = match &err {
            EmbedError::Runtime(err) => return runtime(err),
            EmbedError::StoreFactory { session_id, .. } => ("StoreFactory", json!({"session_id": session_id})),
            EmbedError::StoreSessionMismatch { loaded, requested } => {
                ("StoreSessionMismatch", json!({"loaded": loaded, "requested": requested}))
            }
            EmbedError::DurableStorePeerRequired { facet } => ("DurableStorePeerRequired", json!({"facet": facet})),
            EmbedError::MissingPluginTurnInput { plugin_id } => ("MissingPluginTurnInput", json!({"plugin_id": plugin_id})),
            EmbedError::Control(PluginOperationInvokeError::Unknown(_)) => ("UnknownOperation", json!({})),
            EmbedError::Control(PluginOperationInvokeError::UnexpectedSession(_)) => ("UnexpectedSession", json!({})),
            EmbedError::Session(_) | EmbedError::Plugin(_) | EmbedError::Control(_) => ("Session", json!({})),
            other => (named(other), json!({})),
        };
        Fault::refused(error, fields, text)
    }
}

/// The name of a variant, which is the contract's.
fn named(err: &EmbedError) -> &'static str {
    match err {
        EmbedError::MissingProtocolPlugin => "MissingProtocolPlugin",
        EmbedError::MissingModelSpec => "MissingModelSpec",
        EmbedError::MissingEffectHost => "MissingEffectHost",
        EmbedError::MissingAttachmentStore => "MissingAttachmentStore",
        EmbedError::MissingProcessEnvStore => "MissingProcessEnvStore",
        EmbedError::DurableProcessRegistryRequiresStoreFactory => "DurableProcessRegistryRequiresStoreFactory",
        EmbedError::ProcessRegistryRequiresStoreFactory => "ProcessRegistryRequiresStoreFactory",
        EmbedError::ProcessExecutionConcurrency(_) => "ProcessExecutionConcurrency",
        EmbedError::MissingSessionStoreFactory => "MissingSessionStoreFactory",
        EmbedError::SessionStillInUse => "SessionStillInUse",
        _ => "Lash",
    }
}
