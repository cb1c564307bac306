//! The wire's values: records as lash's own serde types, bytes as base64, refusals by name and fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lash_core::runtime::*;
use lash_core::store::*;
use lash_core::*;
use serde_json::{Map, Value, json};

/// A refusal (code 1), a capability that is not offered (2), or what only a broken side can say.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: i64,
    pub message: String,
    pub data: Value,
}

impl Fault {
    pub fn refused(error: &str, fields: Value, message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), data: json!({"error": error, "fields": fields}) }
    }

    /// A fault of whoever sent the message.
    pub fn protocol(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: Value::Null }
    }

    pub fn backend(message: impl Into<String>) -> Self {
        let text = message.into();
        Self::refused("Backend", json!({"message": text}), text.clone())
    }

    fn invalid(kind: &str, found: impl ToString) -> Self {
        let fields = json!({
            "record_kind": kind, "field": "record", "expected": "what lash's types read", "found": found.to_string(),
        });
        Self::refused("InvalidRecord", fields, found.to_string())
    }
}

/// A value that crosses the wire, in either direction.
pub trait Wire: Sized {
    fn write(&self) -> Result<Value, Fault>;
    fn read(value: Value) -> Result<Self, Fault>;
}

/// Types whose JSON is lash's own.
macro_rules! by_serde {
    ($($kind:ty),* $(,)?) => {$(
        impl Wire for $kind {
            fn write(&self) -> Result<Value, Fault> {
                let mut value = serde_json::to_value(self).map_err(Fault::backend_of)?;
                bytes(&mut value, &|part| match part {
                    Value::Array(_) => Ok(encoded(part)),
                    _ => Ok(part.clone()),
                })?;
                Ok(value)
            }
            fn read(mut value: Value) -> Result<Self, Fault> {
                bytes(&mut value, &|part| match part {
                    Value::String(text) => Ok(json!(decoded(text)?)),
                    _ => Ok(part.clone()),
                })?;
                serde_json::from_value(value).map_err(|err| Fault::invalid(stringify!($kind), err))
            }
        }
    )*};
}

by_serde!(
    bool, u64, usize, String, SessionNodeRecord, RuntimeCommit, RuntimeCommitResult, SessionMeta, LeaseOwnerIdentity,
    SessionExecutionLeaseClaimOutcome, SessionExecutionLeaseFence, SessionExecutionLease,
    SessionExecutionLeaseCompletion, QueuedWorkBatchDraft, QueuedWorkBatch, QueuedWorkClaim, QueuedWorkClaimBoundary,
    CheckpointKind, PendingTurnInputDraft, PendingTurnInput, PendingTurnInputCancelOutcome,
    PendingTurnInputCancelTarget, PendingTurnInputCancelResult, PendingTurnInputSuffixCancelOutcome, TurnInputClaim,
    TurnInputApplication, AttachmentId, AttachmentRef, AttachmentCreateMeta, SessionRelation, SessionPolicy,
    PersistedSessionConfig, AgentFrameRecord, SessionGraph, HydratedSessionCheckpoint, TokenLedgerEntry,
    SessionCheckpoint, SessionHeadMeta, BlobRef, AttachmentOwnerKind, AttachmentSource, ProviderFileScope, InputItem,
    TurnInput, TurnInputIngress, TurnInputClaimMode, TurnInputCompletion, PendingTurnInputClaimDiagnostics, CausalRef,
    ProtocolTurnOptions, ProcessWakeDelivery, QueuedWorkPayload, QueuedWorkItem, QueuedWorkCompletion, SessionCommand,
    MergeKey, LeaseOwnerLiveness, GraphCommitDelta, AgentFrameAssignment, ModelSpec, ModelLimits, PersistedTurnState,
    PromptUsage, TokenUsage, RuntimeTurnCommitStamp,
);

impl Fault {
    fn backend_of(err: serde_json::Error) -> Self {
        Self::backend(err.to_string())
    }
}

/// Parts that are opaque to a store; nothing in them is bytes.
const OPAQUE: [&str; 9] = [
    "payload", "body", "event", "tool_state", "plugin_snapshot", "policy", "plugin_options", "tool_access", "subagent",
];

fn bytes(value: &mut Value, change: &dyn Fn(&Value) -> Result<Value, Fault>) -> Result<(), Fault> {
    match value {
        Value::Object(members) => {
            let inline = members.get("source").is_some_and(|source| source == "inline");
            for (name, member) in members.iter_mut() {
                match name.as_str() {
                    "execution_state" | "execution_state_snapshot" => *member = change(member)?,
                    "bytes" if inline => *member = change(member)?,
                    opaque if OPAQUE.contains(&opaque) => {}
                    _ => bytes(member, change)?,
                }
            }
        }
        Value::Array(members) => {
            for member in members {
                bytes(member, change)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn encoded(numbers: &Value) -> Value {
    let raw: Vec<u8> = serde_json::from_value(numbers.clone()).unwrap_or_default();
    json!(STANDARD.encode(raw))
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text).map_err(|err| Fault::invalid("bytes", err))
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self) -> Result<Value, Fault> {
        self.as_ref().map_or(Ok(Value::Null), Wire::write)
    }
    fn read(value: Value) -> Result<Self, Fault> {
        if value.is_null() { Ok(None) } else { T::read(value).map(Some) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self) -> Result<Value, Fault> {
        self.iter().map(Wire::write).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }
    fn read(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Array(members) => members.into_iter().map(T::read).collect(),
            other => Err(Fault::invalid("list", other)),
        }
    }
}

impl<T: Wire + Ord> Wire for std::collections::BTreeSet<T> {
    fn write(&self) -> Result<Value, Fault> {
        self.iter().map(Wire::write).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }
    fn read(value: Value) -> Result<Self, Fault> {
        Ok(Vec::<T>::read(value)?.into_iter().collect())
    }
}

impl Wire for () {
    fn write(&self) -> Result<Value, Fault> {
        Ok(Value::Null)
    }
    fn read(_: Value) -> Result<Self, Fault> {
        Ok(())
    }
}

/// The members of an object, taken by name.
pub struct Members(pub Map<String, Value>);

impl Members {
    pub fn of(value: Value) -> Result<Self, Fault> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            other => Err(Fault::invalid("object", other)),
        }
    }

    /// A member of a record; an absent one is null.
    pub fn take<T: Wire>(&mut self, name: &str) -> Result<T, Fault> {
        T::read(self.0.remove(name).unwrap_or(Value::Null)).map_err(|mut fault| {
            fault.message = format!("{name}: {}", fault.message);
            fault
        })
    }

    /// A parameter of a request, which must be there.
    pub fn param<T: Wire>(&mut self, name: &str) -> Result<T, Fault> {
        if !self.0.contains_key(name) {
            return Err(Fault::protocol(-32602, format!("the parameter {name} is missing")));
        }
        self.take(name)
    }
}

/// Types that lash gives no JSON; theirs is the data model's.
macro_rules! by_member {
    ($($kind:ty { $($member:ident),* $(,)? })*) => {$(
        impl Wire for $kind {
            fn write(&self) -> Result<Value, Fault> {
                Ok(json!({ $(stringify!($member): self.$member.write()?),* }))
            }
            fn read(value: Value) -> Result<Self, Fault> {
                let mut members = Members::of(value)?;
                Ok(Self { $($member: members.take(stringify!($member))?),* })
            }
        }
    )*};
}

by_member! {
    PersistedSessionRead {
        session_id, head_revision, config, agent_frames, current_agent_frame_id, graph, checkpoint_ref, checkpoint,
        token_ledger,
    }
    VacuumReport { removed_node_count, removed_pending_turn_input_tombstone_count }
    GcReport { root_count, retained_blob_count, deleted_blob_count }
    AttachmentIntent { attachment_id, session_id, canonical_uri, intent_at_epoch_ms, owner_kind, owner_id }
    AttachmentManifestEntry {
        attachment_id, session_id, canonical_uri, intent_at_epoch_ms, committed_at_epoch_ms, owner_kind, owner_id,
    }
    StoredBlobRef { id, last_modified_epoch_ms }
    SessionStoreCreateRequest { session_id, relation, policy }
}

impl Wire for SessionReadScope {
    fn write(&self) -> Result<Value, Fault> {
        Ok(match self {
            Self::FullGraph => json!("FullGraph"),
            Self::ActivePath { leaf_node_id: None } => json!({"ActivePath": {}}),
            Self::ActivePath { leaf_node_id } => json!({"ActivePath": {"leaf_node_id": leaf_node_id}}),
        })
    }
    fn read(value: Value) -> Result<Self, Fault> {
        if value == "FullGraph" {
            return Ok(Self::FullGraph);
        }
        let mut scope = Members::of(value)?;
        let mut path = Members::of(scope.0.remove("ActivePath").unwrap_or(Value::Null))?;
        Ok(Self::ActivePath { leaf_node_id: path.take("leaf_node_id")? })
    }
}

impl Wire for (Option<TurnInputClaim>, Option<QueuedWorkClaim>) {
    fn write(&self) -> Result<Value, Fault> {
        Ok(json!({"turn_input_claim": self.0.write()?, "queued_work_claim": self.1.write()?}))
    }
    fn read(value: Value) -> Result<Self, Fault> {
        let mut work = Members::of(value)?;
        Ok((work.take("turn_input_claim")?, work.take("queued_work_claim")?))
    }
}

impl Wire for DurabilityTier {
    fn write(&self) -> Result<Value, Fault> {
        Ok(json!(if *self == Self::Durable { "durable" } else { "inline" }))
    }
    fn read(value: Value) -> Result<Self, Fault> {
        Ok(if value == "durable" { Self::Durable } else { Self::Inline })
    }
}

impl Wire for AttachmentStorePersistence {
    fn write(&self) -> Result<Value, Fault> {
        Ok(json!(if *self == Self::Durable { "durable" } else { "inline" }))
    }
    fn read(value: Value) -> Result<Self, Fault> {
        Ok(if value == "durable" { Self::Durable } else { Self::Ephemeral })
    }
}

/// Bytes of an attachment.
pub struct Blob(pub Vec<u8>);

impl Wire for Blob {
    fn write(&self) -> Result<Value, Fault> {
        Ok(json!(STANDARD.encode(&self.0)))
    }
    fn read(value: Value) -> Result<Self, Fault> {
        decoded(value.as_str().unwrap_or_default()).map(Self)
    }
}
