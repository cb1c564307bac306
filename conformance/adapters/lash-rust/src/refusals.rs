//! lash's errors as the wire's refusals, and back.

use lash_core::{AttachmentId, AttachmentStoreError, SessionReadScope, StoreError};
use serde_json::{Value, json};

use crate::wire::Fault;

impl From<StoreError> for Fault {
    fn from(err: StoreError) -> Self {
        let text = err.to_string();
        let (error, fields) = match err {
            StoreError::SessionBindingMismatch { bound_session_id, attempted_session_id } => (
                "SessionBindingMismatch",
                json!({"bound_session_id": bound_session_id, "attempted_session_id": attempted_session_id}),
            ),
            StoreError::UnsupportedReadScope(scope) => ("UnsupportedReadScope", json!({"scope": format!("{scope:?}")})),
            StoreError::HeadRevisionConflict { expected, actual } => {
                ("HeadRevisionConflict", json!({"expected": expected.unwrap_or(0), "actual": actual}))
            }
            StoreError::RuntimeTurnCommitConflict { session_id, turn_id } => {
                ("RuntimeTurnCommitConflict", json!({"session_id": session_id, "turn_id": turn_id}))
            }
            StoreError::QueuedWorkClaimSuperseded { session_id, claim_id } => {
                ("QueuedWorkClaimSuperseded", json!({"session_id": session_id, "claim_id": claim_id}))
            }
            StoreError::TurnInputClaimSuperseded { session_id, claim_id } => {
                ("TurnInputClaimSuperseded", json!({"session_id": session_id, "claim_id": claim_id}))
            }
            StoreError::UnsettledQueuedWorkClaim { session_id, claim_id } => {
                ("UnsettledQueuedWorkClaim", json!({"session_id": session_id, "claim_id": claim_id}))
            }
            StoreError::UnsettledTurnInputClaim { session_id, claim_id } => {
                ("UnsettledTurnInputClaim", json!({"session_id": session_id, "claim_id": claim_id}))
            }
            StoreError::PendingTurnInputSourceKeyConflict { session_id, source_key, existing_input_id } => (
                "PendingTurnInputSourceKeyConflict",
                json!({"session_id": session_id, "source_key": source_key, "existing_input_id": existing_input_id}),
            ),
            StoreError::SessionExecutionLeaseExpired { session_id } => {
                ("SessionExecutionLeaseExpired", json!({"session_id": session_id}))
            }
            StoreError::UnsupportedRecordSchemaVersion { record_kind, actual, expected } => (
                "UnsupportedRecordSchemaVersion",
                json!({"record_kind": record_kind, "actual": actual, "expected": expected}),
            ),
            StoreError::MissingRecordSchemaVersion { record_kind, expected } => {
                ("MissingRecordSchemaVersion", json!({"record_kind": record_kind, "expected": expected}))
            }
            StoreError::InvalidRecordSchemaVersion { record_kind, actual, expected } => (
                "InvalidRecordSchemaVersion",
                json!({"record_kind": record_kind, "actual": actual, "expected": expected}),
            ),
            StoreError::Backend(message) => ("Backend", json!({"message": message})),
        };
        Fault::refused(error, fields, text)
    }
}

impl From<AttachmentStoreError> for Fault {
    fn from(err: AttachmentStoreError) -> Self {
        let text = err.to_string();
        let (error, fields) = match err {
            AttachmentStoreError::NotFound(id) => ("AttachmentNotFound", json!({"attachment_id": id.as_str()})),
            AttachmentStoreError::Io { path, source } => {
                ("AttachmentIo", json!({"path": path.display().to_string(), "reason": source.to_string()}))
            }
            AttachmentStoreError::ManifestRecordFailed(reason) => ("ManifestRecordFailed", json!({"reason": reason})),
            AttachmentStoreError::Backend(message) => ("Backend", json!({"message": message})),
        };
        Fault::refused(error, fields, text)
    }
}

fn text(fields: &Value, name: &str) -> String {
    fields[name].as_str().unwrap_or_default().to_owned()
}

/// Refusals that lash has no variant for become its `Backend`.
impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        let fields = &fault.data["fields"];
        let (session_id, claim_id) = (text(fields, "session_id"), text(fields, "claim_id"));
        match fault.data["error"].as_str().unwrap_or_default() {
            "SessionBindingMismatch" => StoreError::SessionBindingMismatch {
                bound_session_id: text(fields, "bound_session_id"),
                attempted_session_id: text(fields, "attempted_session_id"),
            },
            "UnsupportedReadScope" => StoreError::UnsupportedReadScope(SessionReadScope::FullGraph),
            "HeadRevisionConflict" => StoreError::HeadRevisionConflict {
                expected: fields["expected"].as_u64(),
                actual: fields["actual"].as_u64().unwrap_or_default(),
            },
            "RuntimeTurnCommitConflict" => {
                StoreError::RuntimeTurnCommitConflict { session_id, turn_id: text(fields, "turn_id") }
            }
            "QueuedWorkClaimSuperseded" => StoreError::QueuedWorkClaimSuperseded { session_id, claim_id },
            "TurnInputClaimSuperseded" => StoreError::TurnInputClaimSuperseded { session_id, claim_id },
            "PendingTurnInputSourceKeyConflict" => StoreError::PendingTurnInputSourceKeyConflict {
                session_id,
                source_key: text(fields, "source_key"),
                existing_input_id: text(fields, "existing_input_id"),
            },
            "SessionExecutionLeaseExpired" => StoreError::SessionExecutionLeaseExpired { session_id },
            _ => StoreError::Backend(format!("{} {}", fault.message, fault.data)),
        }
    }
}

impl From<Fault> for AttachmentStoreError {
    fn from(fault: Fault) -> Self {
        match fault.data["error"].as_str() {
            Some("AttachmentNotFound") => {
                AttachmentStoreError::NotFound(AttachmentId::new(text(&fault.data["fields"], "attachment_id")))
            }
            _ => AttachmentStoreError::Backend(format!("{} {}", fault.message, fault.data)),
        }
    }
}
