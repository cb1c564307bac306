//! The wire's valid vectors, read by lash's types and written again.

use lash_core::runtime::*;
use lash_core::store::*;
use lash_core::*;
use serde_json::{Value, json};

use crate::wire::{Fault, Wire};

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        fn rewritten(record: &str, value: Value) -> Option<Result<Value, Fault>> {
            match record {
                $(stringify!($kind) => Some(<$kind as Wire>::read(value).and_then(|read| read.write())),)*
                _ => None,
            }
        }
    };
}

kinds!(
    SessionNodeRecord, RuntimeCommit, RuntimeCommitResult, SessionMeta, LeaseOwnerIdentity, SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome, SessionExecutionLeaseFence, SessionExecutionLeaseCompletion,
    QueuedWorkBatchDraft, QueuedWorkBatch, QueuedWorkClaim, PendingTurnInputDraft, PendingTurnInput, TurnInputClaim,
    TurnInputApplication, AttachmentRef, AttachmentCreateMeta, SessionRelation, SessionPolicy,
    PersistedSessionConfig, AgentFrameRecord, HydratedSessionCheckpoint, TokenLedgerEntry, SessionCheckpoint,
    SessionHeadMeta, PersistedSessionRead, VacuumReport, GcReport, AttachmentIntent, AttachmentManifestEntry,
    StoredBlobRef, SessionStoreCreateRequest, SessionReadScope,
);

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
