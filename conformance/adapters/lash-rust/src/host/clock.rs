//! The judge's time, as lash asks for it.

use std::sync::Mutex;
use std::time::{Duration, Instant, UNIX_EPOCH};

use lash_core::Clock;
use tokio::sync::watch;

/// A pause this long has a deadline that somebody counts on, such as a lease, and goes by the judge's time;
/// a shorter one is the pause before something is tried again, and is real.
const COUNTED: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct JudgedClock {
    started: Instant,
    began_ms: u64,
    now_ms: Mutex<u64>,
    told: watch::Sender<u64>,
}

impl JudgedClock {
    pub fn new(now_ms: u64) -> Self {
        Self { started: Instant::now(), began_ms: now_ms, now_ms: Mutex::new(now_ms), told: watch::channel(now_ms).0 }
    }

    pub fn advance(&self, now_ms: u64) {
        *self.now_ms.lock().expect("the time") = now_ms;
        self.told.send_replace(now_ms);
    }

    async fn pass(&self, until_ms: u64) {
        let mut told = self.told.subscribe();
        let _ = told.wait_for(|now_ms| *now_ms >= until_ms).await;
    }
}

#[async_trait::async_trait]
impl Clock for JudgedClock {
    fn now(&self) -> Instant {
        self.started + Duration::from_millis(self.timestamp_ms().saturating_sub(self.began_ms))
    }
    fn timestamp_ms(&self) -> u64 {
        *self.now_ms.lock().expect("the time")
    }
    fn timestamp_rfc3339(&self) -> String {
        self.timestamp_datetime().to_rfc3339()
    }
    fn timestamp_datetime(&self) -> chrono::DateTime<chrono::Utc> {
        (UNIX_EPOCH + Duration::from_millis(self.timestamp_ms())).into()
    }
    async fn sleep(&self, duration: Duration) {
        if duration < COUNTED {
            tokio::time::sleep(duration).await;
        } else {
            self.pass(self.timestamp_ms() + u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 2)).await;
        }
    }
    async fn sleep_until(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(self.now());
        self.pass(self.timestamp_ms() + u64::try_from(left.as_millis()).unwrap_or(u64::MAX / 2)).await;
    }
}
