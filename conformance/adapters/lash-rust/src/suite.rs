//! lash's own store suite, run against stores behind the wire.

use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lash_core::testing::conformance::*;
use lash_core::*;
use serde_json::{Value, json};

use crate::bridge::{Attachments, Bridge, Factory, Lease, Place};
use crate::client::Client;

/// The cases of `runtime_persistence`, in the order in which lash runs them.
const STORE: [&str; 36] = [
    "runtime_persistence_reports_declared_durability",
    "commit_increments_head_and_round_trips_agent_frames",
    "concurrent_head_revision_cas_applies_exactly_once",
    "commit_rejects_a_different_session_id",
    "load_hydrates_checkpoint_and_usage",
    "active_path_read_scope_selects_only_requested_ancestry",
    "session_metadata_round_trips",
    "attachment_manifest_records_intent_and_commit_stamps",
    "attachment_manifest_keeps_same_content_ownership_per_session",
    "attachment_manifest_reference_tracking_and_gc_root_set",
    "final_commit_stamp_is_idempotent_and_conflicts_on_changed_hash",
    "session_execution_lease_contract",
    "session_execution_lease_reclaim_contract",
    "queued_work_source_keys_are_idempotent_and_list_ordered",
    "concurrent_queue_and_turn_input_claims_have_one_owner",
    "checkpoint_work_claims_both_families_once",
    "queued_work_cancel_removes_only_unclaimed_batches",
    "queued_work_exact_claim_uses_selected_batch_ids",
    "queued_work_classes_gate_command_and_turn_claims",
    "queued_work_claims_respect_boundaries_abandon_and_stale_completion",
    "queued_work_claims_supersede_across_session_lease_generations",
    "claim_liveness_for_lease_less_paths_tracks_session_generations",
    "same_generation_claim_scans_reach_rows_beyond_the_scan_surplus",
    "queued_work_respects_membership_limits_exclusivity_reclaim_and_sessions",
    "queued_work_join_groups_by_delivery_policy_and_merge_key",
    "queued_work_completion_is_lease_guarded",
    "queued_wake_delivery_is_source_key_idempotent_and_claimed_once",
    "queue_completion_and_turn_commit_stamp_are_atomic",
    "pending_turn_inputs_source_keys_order_cancel_and_cross_session",
    "pending_turn_input_bulk_and_suffix_cancellation",
    "pending_turn_input_claims_reclaim_complete_and_fence",
    "turn_input_application_identity_survives_pending_tombstone_vacuum",
    "turn_input_claims_supersede_across_session_lease_generations",
    "pending_turn_input_cancel_covers_active_and_deferred_states",
    "pending_active_turn_inputs_defer_unaccepted_once_on_interrupt",
    "tombstone_vacuum_and_gc_are_minimally_consistent",
];
const BLOBS: &str = "gc_reclaims_unreachable_checkpoint_blobs_and_preserves_live";
const REOPEN: &str = "runtime_persistence_survives_reopen";
const FACTORY: [&str; 6] = [
    "session_store_factory_reports_declared_tier",
    "session_store_factory_open_missing_returns_none",
    "session_store_factory_create_seeds_and_reopens_meta",
    "session_store_factory_create_is_idempotent",
    "attachment_ownership_isolation",
    "session_store_factory_delete_removes_store_and_is_idempotent",
];
const BYTES: [&str; 6] = [
    "attachment_put_get_round_trips_bytes_and_meta",
    "attachment_is_content_addressed",
    "attachment_get_unknown_is_not_found",
    "attachment_delete_removes_content_and_is_idempotent",
    "attachment_list_enumerates_stored_blobs",
    "attachment_reports_declared_persistence",
];

/// Fresh places of one target, counted: lash's suite takes one a case, in order.
#[derive(Clone)]
struct Places {
    client: Arc<Client>,
    root: PathBuf,
    name: String,
    lease: Lease,
    taken: Arc<AtomicUsize>,
}

impl Places {
    fn directory(&self) -> PathBuf {
        let number = self.taken.fetch_add(1, Ordering::SeqCst);
        let directory = self.root.join(format!("{}-{number}", self.name));
        std::fs::create_dir_all(&directory).expect("a directory");
        directory
    }

    fn fresh(&self) -> Arc<Place> {
        Place::open(&self.client, &self.directory(), self.lease)
    }

    fn pair(&self) -> (Arc<Place>, Arc<Place>) {
        let directory = self.directory();
        let open = |_| Place::open(&self.client, &directory, self.lease);
        (open(0), open(1))
    }
}

/// Run lash's suites against the target that `command` starts; one line of JSON tells it all.
pub fn run(command: &[String], root: PathBuf) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    let client = Client::start(command);
    let durable = client.offers("durable");
    let tier = if durable { DurabilityTier::Durable } else { DurabilityTier::Inline };
    let kept = if durable { AttachmentStorePersistence::Durable } else { AttachmentStorePersistence::Ephemeral };
    let place = |name: &str, lease| Places {
        client: Arc::clone(&client),
        root: root.clone(),
        name: name.to_owned(),
        lease,
        taken: Arc::default(),
    };
    let mut cases: Vec<&str> = STORE.to_vec();
    if client.offers("gc") {
        cases.push(BLOBS);
    }
    if durable {
        cases.push(REOPEN);
    }
    let mut suites = Vec::new();
    for (name, lease) in [("strict", Lease::Strict), ("advisory", Lease::Advisory)] {
        let places = place(&format!("store-{name}"), lease);
        suites.push(judged(&runtime, "runtime_persistence", name, &cases, &places, store_suite(places.clone(), durable)));
        if client.offers("clock") {
            let places = place(&format!("clock-{name}"), lease);
            let one = ["runtime_persistence_clock_expiry"];
            suites.push(judged(&runtime, one[0], name, &one, &places, clock_suite(places.clone())));
        }
    }
    let places = place("factory", Lease::Strict);
    let made = places.clone();
    let suite = async move {
        session_store_factory(|| Arc::new(Factory(made.fresh())) as Arc<dyn SessionStoreFactory>, tier).await;
    };
    suites.push(judged(&runtime, "session_store_factory", "strict", &FACTORY, &places, suite));
    let places = place("bytes", Lease::Strict);
    let made = places.clone();
    let suite = async move {
        attachment_store(|| Attachments::at(&made.client, made.directory()), kept).await;
    };
    suites.push(judged(&runtime, "attachment_store", "strict", &BYTES, &places, suite));
    println!("{}", json!({"target": client.hello["target"], "suites": suites}));
}

async fn store_suite(places: Places, durable: bool) {
    let options = if durable {
        RuntimePersistenceConformance::persistent_attachment_manifest(DurabilityTier::Durable)
    } else {
        RuntimePersistenceConformance::persistent_attachment_manifest(DurabilityTier::Inline)
    };
    let pair = || {
        let (open, reopen) = places.pair();
        ReopenableRuntimePersistence { open: Bridge::unbound(&open), reopen: Bridge::unbound(&reopen) }
    };
    if durable {
        runtime_persistence_reopenable(pair).await;
    } else if places.client.offers("gc") {
        runtime_persistence_with_options(|| pair().open, options.reclaiming_unreachable_blobs()).await;
    } else {
        runtime_persistence_with_options(|| pair().open, options).await;
    }
}

async fn clock_suite(places: Places) {
    let place = places.fresh();
    runtime_persistence_clock_expiry(Bridge::unbound(&place), |ms| place.advance(ms)).await;
}

/// A suite ends at its first failure: what came before passed, what comes after was not run.
fn judged(
    runtime: &tokio::runtime::Runtime,
    suite: &str,
    lease: &str,
    cases: &[&str],
    places: &Places,
    running: impl Future<Output = ()> + Send + 'static,
) -> Value {
    let said: Arc<Mutex<String>> = Arc::default();
    let heard = Arc::clone(&said);
    std::panic::set_hook(Box::new(move |panic| {
        let mut first = heard.lock().expect("panic");
        if first.is_empty() {
            let line = panic.location().map(|at| format!(" (line {})", at.line())).unwrap_or_default();
            *first = format!("{}{line}", panic.payload_as_str().unwrap_or("a panic without text"));
        }
    }));
    let ended = runtime.block_on(async { tokio::spawn(running).await });
    let _ = std::panic::take_hook();
    let taken = places.taken.load(Ordering::SeqCst);
    let told = |failed: Option<usize>| -> Vec<Value> {
        let verdict = |number| match failed {
            Some(at) if number == at => "fail",
            Some(at) if number > at => "not-run",
            _ => "pass",
        };
        cases.iter().enumerate().map(|(number, case)| json!({"case": case, "verdict": verdict(number)})).collect()
    };
    match ended {
        Ok(()) => {
            assert_eq!(taken, cases.len(), "{suite} runs other cases than are named here");
            json!({"suite": suite, "lease": lease, "cases": told(None)})
        }
        Err(_) => {
            let reason = said.lock().expect("panic").clone();
            json!({"suite": suite, "lease": lease, "cases": told(Some(taken.max(1) - 1)), "reason": reason})
        }
    }
}
