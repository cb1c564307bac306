//! Observation: cursors, what came after them, and live streams.

use futures_util::StreamExt;
use lash::observe::{
    LiveReplayGap, LiveReplayGapReason, SessionCursor, SessionObservation, SessionObservationEvent, SessionObservationEventPayload,
    SessionObservationStream, SessionObservationStreamItem, SessionObservationSubscription, SessionResume,
};
use lash::{CancellationToken, EmbedError, LashSession};
use lash_core::LiveReplaySubscription;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::answers::{activity, revision};
use super::refusals;
use crate::wire::Fault;

/// A refusal of a cursor; every other is told as it is.
fn refused(err: EmbedError) -> Fault {
    match err {
        EmbedError::Runtime(told) if told.code.as_str() == "live_replay" => Fault::refused("ObservationError", json!({}), told.to_string()),
        other => other.into(),
    }
}

fn cursor_of(text: &str) -> Result<SessionCursor, Fault> {
    serde_json::from_value(json!(text)).map_err(refusals::invalid)
}

fn observation(seen: &SessionObservation) -> Value {
    let cursor = seen.cursor.as_str();
    json!({"cursor": cursor, "revision": revision(cursor)})
}

fn gap(gap: &LiveReplayGap, seen: &SessionObservation) -> Value {
    let reason = match gap.reason {
        LiveReplayGapReason::Trimmed => "trimmed",
        LiveReplayGapReason::Unavailable => "unavailable",
    };
    json!({
        "session_id": gap.session_id, "requested_cursor": gap.requested_cursor.as_str(), "latest_cursor": gap.latest_cursor.as_str(),
        "latest_revision": gap.latest_revision.as_u64(), "reason": reason, "observation": observation(seen),
    })
}

fn event(seen: &SessionObservationEvent) -> Value {
    let mut told = match &seen.payload {
        SessionObservationEventPayload::TurnActivity(one) => activity(one),
        SessionObservationEventPayload::Committed { .. } => json!({"type": "committed"}),
        SessionObservationEventPayload::AgentFrameSwitched { frame_id } => json!({"type": "agent_frame_switched", "frame_id": frame_id}),
        SessionObservationEventPayload::QueueChanged { kind, batch_ids } => {
            json!({"type": "queue_changed", "change": kind, "ids": batch_ids})
        }
        SessionObservationEventPayload::ProcessChanged { kind, process_ids } => {
            json!({"type": "process_changed", "change": kind, "ids": process_ids})
        }
    };
    told["cursor"] = json!(seen.cursor.as_str());
    told
}

pub fn observe(live: &LashSession) -> Value {
    observation(&live.observe().current_observation())
}

pub fn resume_from(live: &LashSession, cursor: &str) -> Result<Value, Fault> {
    Ok(match live.observe().resume_from_cursor(&cursor_of(cursor)?).map_err(refused)? {
        SessionResume::Replayed { events } => json!({"events": events.iter().map(|one| event(one)).collect::<Vec<Value>>()}),
        SessionResume::Gap { observation, gap: told } => json!({"gap": gap(&told, &observation)}),
    })
}

/// What a subscription reads from.
enum Following {
    Recovering(Box<SessionObservationStream>),
    Strict(Box<LiveReplaySubscription>),
    Missed(Value),
    Over,
}

pub struct Subscription {
    following: Mutex<Following>,
    closed: CancellationToken,
}

impl Subscription {
    pub fn open(live: &LashSession, cursor: &str, recover: bool) -> Result<Self, Fault> {
        let (observed, cursor) = (live.observe(), cursor_of(cursor)?);
        let following = if recover {
            observed.resume_from_cursor(&cursor).map_err(refused)?;
            Following::Recovering(Box::new(observed.subscribe_and_recover(cursor)))
        } else {
            match observed.subscribe_from_cursor(&cursor).map_err(refused)? {
                SessionObservationSubscription::Subscribed(stream) => Following::Strict(Box::new(stream)),
                SessionObservationSubscription::Gap { observation, gap: told } => Following::Missed(gap(&told, &observation)),
            }
        };
        Ok(Self { following: Mutex::new(following), closed: CancellationToken::new() })
    }

    pub fn close(&self) {
        self.closed.cancel();
    }

    /// The next event or gap; null when the stream has ended.
    pub async fn next(&self) -> Value {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Value::Null,
            told = self.told() => told,
        }
    }

    async fn told(&self) -> Value {
        let mut following = self.following.lock().await;
        match &mut *following {
            Following::Recovering(stream) => match stream.next().await {
                Some(Ok(SessionObservationStreamItem::Event(seen))) => event(&seen),
                Some(Ok(SessionObservationStreamItem::Gap { observation, gap: told })) => {
                    json!({"type": "gap", "gap": gap(&told, &observation)})
                }
                Some(Err(_)) | None => Value::Null,
            },
            Following::Strict(stream) => stream.next_event().await.map_or(Value::Null, |seen| event(&seen)),
            Following::Missed(told) => {
                let told = json!({"type": "gap", "gap": told});
                *following = Following::Over;
                told
            }
            Following::Over => Value::Null,
        }
    }
}
