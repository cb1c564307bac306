//! The wire's valid vectors, read by lash's types and written again.

use lash_core::runtime::*;
use lash_core::store::*;
use lash_core::*;
use serde_json::{Value, json};

use crate::wire::{Fault, Wire};

macro_rules! kinds {
    ($($kind:ty: $($name:literal)|+;)*) => {
        fn rewritten(record: &str, value: Value) -> Option<Result<Value, Fault>> {
            match record {
                $($($name)|+ => Some(<$kind as Wire>::read(value).and_then(|read| read.write())),)*
                _ => None,
            }
        }
    };
}

// lash's type, and the names of the records that it reads; variants of a union are read as the union.
kinds! {
    SessionNodeRecord: "SessionNodeRecord" | "EventNode" | "PluginNode";
    SessionGraph: "GraphSnapshot";
    GraphCommitDelta: "GraphCommitDelta";
    RuntimeCommit: "RuntimeCommit";
    RuntimeCommitResult: "RuntimeCommitResult";
    RuntimeTurnCommitStamp: "RuntimeTurnCommitStamp";
    SessionMeta: "SessionMeta";
    SessionRelation: "SessionRelation" | "RootSession" | "ChildSession";
    SessionPolicy: "SessionPolicy";
    ModelSpec: "ModelSpec";
    ModelLimits: "ModelLimits";
    PersistedSessionConfig: "PersistedSessionConfig";
    AgentFrameRecord: "AgentFrameRecord";
    AgentFrameAssignment: "AgentFrameAssignment";
    PersistedTurnState: "PersistedTurnState";
    PromptUsage: "PromptUsage";
    TokenUsage: "TokenUsage";
    TokenLedgerEntry: "TokenLedgerEntry";
    HydratedSessionCheckpoint: "HydratedSessionCheckpoint";
    SessionCheckpoint: "SessionCheckpoint";
    SessionHeadMeta: "SessionHeadMeta";
    PersistedSessionRead: "PersistedSessionRead";
    SessionReadScope: "SessionReadScope";
    SessionStoreCreateRequest: "SessionStoreCreateRequest";
    LeaseOwnerIdentity: "LeaseOwnerIdentity";
    LeaseOwnerLiveness: "LeaseOwnerLiveness" | "Opaque" | "LocalProcess";
    SessionExecutionLease: "SessionExecutionLease" | "Acquired";
    SessionExecutionLeaseClaimOutcome: "SessionExecutionLeaseClaimOutcome";
    SessionExecutionLeaseFence: "SessionExecutionLeaseFence";
    SessionExecutionLeaseCompletion: "SessionExecutionLeaseCompletion";
    CausalRef: "CausalRef" | "TurnCause" | "EffectCause" | "ToolCallCause" | "ProcessCause" | "ProcessEventCause"
        | "TriggerOccurrenceCause" | "SessionNodeCause";
    ProtocolTurnOptions: "ProtocolTurnOptions";
    ProcessWakeDelivery: "ProcessWakeDelivery";
    QueuedWorkPayload: "QueuedWorkPayload" | "ProcessWake" | "AgentFrameTask" | "SessionCommandPayload";
    SessionCommand: "SessionCommand" | "RefreshToolCatalog" | "ResetSession";
    MergeKey: "MergeKey" | "Group";
    QueuedWorkBatchDraft: "QueuedWorkBatchDraft";
    QueuedWorkBatch: "QueuedWorkBatch";
    QueuedWorkItem: "QueuedWorkItem";
    QueuedWorkClaim: "QueuedWorkClaim";
    QueuedWorkCompletion: "QueuedWorkCompletion";
    (Option<TurnInputClaim>, Option<QueuedWorkClaim>): "CheckpointWork";
    TurnInput: "TurnInput";
    InputItem: "InputItem" | "TextItem" | "AttachmentItem";
    AttachmentSource: "AttachmentSource" | "InlineSource" | "StoredSource" | "ExternalUrlSource" | "ProviderFileSource";
    ProviderFileScope: "ProviderFileScope";
    TurnInputIngress: "TurnInputIngress" | "ActiveTurn" | "NextTurn";
    PendingTurnInputDraft: "PendingTurnInputDraft";
    PendingTurnInput: "PendingTurnInput";
    TurnInputClaim: "TurnInputClaim";
    TurnInputClaimMode: "TurnInputClaimMode" | "ActiveTurnMode" | "NextTurnMode";
    TurnInputCompletion: "TurnInputCompletion";
    TurnInputApplication: "TurnInputApplication";
    PendingTurnInputClaimDiagnostics: "ClaimDiagnostics";
    PendingTurnInputCancelTarget: "CancelTarget" | "InputIdTarget" | "SourceKeyTarget";
    PendingTurnInputCancelOutcome: "CancelOutcome" | "Cancelled" | "AlreadyClaimed" | "AlreadyCompleted"
        | "AlreadyCancelled" | "NotFound";
    PendingTurnInputCancelResult: "CancelResult";
    PendingTurnInputSuffixCancelOutcome: "SuffixCancelOutcome" | "AnchorNotFound" | "Outcomes";
    VacuumReport: "VacuumReport";
    GcReport: "GcReport";
    AttachmentRef: "AttachmentRef";
    AttachmentCreateMeta: "AttachmentCreateMeta";
    AttachmentIntent: "AttachmentIntent";
    AttachmentManifestEntry: "AttachmentManifestEntry";
    StoredBlobRef: "StoredBlobRef";
}

/// Read `{"name", "record", "value"}` lines; write `{"name", "record", "outcome", "value"}` lines.
pub fn run() {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let vector: Value = serde_json::from_str(&line).expect("a JSON line");
        let record = vector["record"].as_str().unwrap_or_default();
        let (outcome, value) = match rewritten(record, vector["value"].clone()) {
            None => ("no-type", Value::Null),
            Some(Ok(value)) => ("read", value),
            Some(Err(fault)) => ("refused", json!(fault.message)),
        };
        println!("{}", json!({"name": vector["name"], "record": record, "outcome": outcome, "value": value}));
    }
}
