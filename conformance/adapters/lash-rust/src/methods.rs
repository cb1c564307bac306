//! The store methods of the wire, listed once: the door in front of lash calls them, the bridge implements them,
//! and the judge's line to a host's stores passes them on.

use std::sync::Arc;

use lash_core::runtime::*;
use lash_core::store::*;
use lash_core::*;
use serde_json::{Map, Value};

use crate::bridge::Bridge;
use crate::host::Watched;
use crate::wire::{Fault, Members, Wire};

/// One argument taken from a call, as the method wants it.
macro_rules! taken {
    ($members:ident, $name:ident, & $($kind:tt)+) => {
        &$members.param::<<$($kind)+ as ToOwned>::Owned>(stringify!($name))?
    };
    ($members:ident, $name:ident, $kind:ty) => { $members.param::<$kind>(stringify!($name))? };
}

macro_rules! given {
    ($name:ident, & $($kind:tt)+) => { (stringify!($name), ToOwned::to_owned($name).write()?) };
    ($name:ident, $kind:ty) => { (stringify!($name), $name.write()?) };
}

macro_rules! methods {
    (sync { $($plain:ident($($parg:ident: [$($pkind:tt)+]),*) -> $panswer:ty;)* }
     $($segment:ident [$($own:tt)*] { $($method:ident($($arg:ident: [$($kind:tt)+]),*) -> $answer:ty;)* })*) => {
        /// Call a method of a store by its name on the wire.
        pub async fn call(store: &Arc<dyn RuntimePersistence>, method: &str, mut members: Members) -> Result<Value, Fault> {
            let _ = &mut members;
            match method {
                "durability_tier" => store.durability_tier().write(),
                $($(stringify!($method) => store.$method($(taken!(members, $arg, $($kind)+)),*).await?.write(),)*)*
                $(stringify!($plain) => store.$plain($(taken!(members, $parg, $($pkind)+)),*)?.write(),)*
                other => Err(Fault::protocol(-32601, format!("store.{other}"))),
            }
        }

        /// Whether a store has that method.
        pub fn known(method: &str) -> bool {
            let all = ["durability_tier", $($(stringify!($method),)*)* $(stringify!($plain),)*];
            all.contains(&method)
        }

        $(#[async_trait::async_trait]
        impl $segment for Bridge {
            $($own)*
            $(async fn $method(&self, $($arg: $($kind)+),*) -> Result<$answer, StoreError> {
                let written: Vec<(&str, Value)> = vec![$(given!($arg, $($kind)+)),*];
                Ok(Wire::read(self.call(stringify!($method), named(written)).await?)?)
            })*
        })*

        $(#[async_trait::async_trait]
        impl $segment for Watched {
            $($own)*
            $(async fn $method(&self, $($arg: $($kind)+),*) -> Result<$answer, StoreError> {
                let written = listed(vec![$(given!($arg, $($kind)+)),*]);
                self.passed(stringify!($method), written, self.inner.$method($($arg),*)).await
            })*
        })*

        impl AttachmentManifest for Watched {
            $(fn $plain(&self, $($parg: $($pkind)+),*) -> Result<$panswer, StoreError> {
                let written = listed(vec![$(given!($parg, $($pkind)+)),*]);
                self.passed_now(stringify!($plain), written, || self.inner.$plain($($parg),*))
            })*
        }

        impl AttachmentManifest for Bridge {
            $(fn $plain(&self, $($parg: $($pkind)+),*) -> Result<$panswer, StoreError> {
                let written: Vec<(&str, Value)> = vec![$(given!($parg, $($pkind)+)),*];
                Ok(Wire::read(self.call_now(stringify!($plain), named(written))?)?)
            })*
        }
    };
}

fn named(written: Vec<(&str, Value)>) -> Map<String, Value> {
    written.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn listed(written: Vec<(&str, Value)>) -> Vec<Value> {
    written.into_iter().map(|(_, value)| value).collect()
}

methods! {
    sync {
        record_intent(intent: [AttachmentIntent]) -> ();
        commit_refs(session_id: [&str], attachment_ids: [&[AttachmentId]]) -> ();
        list_uncommitted(older_than_epoch_ms: [u64]) -> Vec<AttachmentManifestEntry>;
        forget_aged_uncommitted_intents(intent_grace_cutoff_epoch_ms: [u64]) -> ();
        has_live_ref_for_id(attachment_id: [&AttachmentId], intent_grace_cutoff_epoch_ms: [u64]) -> bool;
        forget(session_id: [&str], attachment_id: [&AttachmentId]) -> ();
        holds_ref(session_id: [&str], attachment_id: [&AttachmentId]) -> bool;
        list_all_refs() -> Vec<AttachmentId>;
    }
    TurnInputStore [] {
        enqueue_pending_turn_input(input: [PendingTurnInputDraft]) -> PendingTurnInput;
        list_pending_turn_inputs(session_id: [&str]) -> Vec<PendingTurnInput>;
        list_turn_input_applications(session_id: [&str]) -> Vec<TurnInputApplication>;
        cancel_pending_turn_input(session_id: [&str], input_id: [&str]) -> PendingTurnInputCancelOutcome;
        cancel_pending_turn_inputs(session_id: [&str], targets: [&[PendingTurnInputCancelTarget]])
            -> Vec<PendingTurnInputCancelResult>;
        cancel_pending_turn_input_suffix(session_id: [&str], anchor: [&PendingTurnInputCancelTarget])
            -> PendingTurnInputSuffixCancelOutcome;
        claim_active_turn_inputs(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity],
            turn_id: [&str], checkpoint: [CheckpointKind], max_inputs: [usize]
        ) -> Option<TurnInputClaim>;
        claim_next_turn_inputs(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity],
            max_inputs: [usize]
        ) -> Option<TurnInputClaim>;
        abandon_turn_input_claim(claim: [&TurnInputClaim]) -> ();
        abandon_turn_input_claims(claims: [&[TurnInputClaim]]) -> ();
    }
    SessionExecutionLeaseStore [] {
        try_claim_session_execution_lease(session_id: [&str], owner: [&LeaseOwnerIdentity], lease_ttl_ms: [u64])
            -> SessionExecutionLeaseClaimOutcome;
        reclaim_session_execution_lease(
            session_id: [&str], owner: [&LeaseOwnerIdentity], observed_holder: [&SessionExecutionLeaseFence],
            lease_ttl_ms: [u64]
        ) -> SessionExecutionLeaseClaimOutcome;
        renew_session_execution_lease(fence: [&SessionExecutionLeaseFence], lease_ttl_ms: [u64])
            -> SessionExecutionLease;
        release_session_execution_lease(completion: [&SessionExecutionLeaseCompletion]) -> ();
    }
    QueuedWorkStore [] {
        enqueue_queued_work(batch: [QueuedWorkBatchDraft]) -> QueuedWorkBatch;
        claim_leading_ready_session_command(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity]
        ) -> Option<QueuedWorkClaim>;
        claim_ready_queued_work(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity],
            boundary: [QueuedWorkClaimBoundary], max_batches: [usize]
        ) -> Option<QueuedWorkClaim>;
        claim_checkpoint_work(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity],
            turn_id: [&str], checkpoint: [CheckpointKind], max_inputs: [usize], max_batches: [usize]
        ) -> (Option<TurnInputClaim>, Option<QueuedWorkClaim>);
        claim_ready_queued_work_by_batch_ids(
            session_id: [&str], session_execution_lease: [&SessionExecutionLeaseFence], owner: [&LeaseOwnerIdentity],
            boundary: [QueuedWorkClaimBoundary], batch_ids: [&[String]]
        ) -> Option<QueuedWorkClaim>;
        abandon_queued_work_claim(claim: [&QueuedWorkClaim]) -> ();
        abandon_queued_work_claims(claims: [&[QueuedWorkClaim]]) -> ();
        cancel_queued_work_batch(session_id: [&str], batch_id: [&str]) -> Option<QueuedWorkBatch>;
        list_queued_work(session_id: [&str]) -> Vec<QueuedWorkBatch>;
        list_pending_queued_work(session_id: [&str]) -> Vec<QueuedWorkBatch>;
    }
    StoreMaintenance [] {
        tombstone_nodes(ids: [&[String]]) -> ();
        vacuum() -> VacuumReport;
        gc_unreachable() -> GcReport;
    }
    SessionCommitStore [
        fn durability_tier(&self) -> DurabilityTier {
            self.tier()
        }
    ] {
        load_session(scope: [SessionReadScope]) -> Option<PersistedSessionRead>;
        load_node(node_id: [&str]) -> Option<SessionNodeRecord>;
        commit_runtime_state(commit: [RuntimeCommit]) -> RuntimeCommitResult;
        save_session_meta(meta: [SessionMeta]) -> ();
        load_session_meta() -> Option<SessionMeta>;
    }
}
