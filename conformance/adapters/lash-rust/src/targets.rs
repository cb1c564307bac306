//! Real lash at a place: its three session-store factories with the attachment bytes that go with them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use lash_core::*;
use lash_postgres_store::PostgresStorage;
use lash_sqlite_store::SqliteSessionStoreFactory;
use sqlx::Executor;

use crate::wire::Fault;

/// The version of lash that is judged.
pub const VERSION: &str = "0.1.0-alpha.113";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Memory,
    Sqlite,
    Postgres,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "memory" => Some(Self::Memory),
            "sqlite" => Some(Self::Sqlite),
            "postgres" => Some(Self::Postgres),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "lash-memory",
            Self::Sqlite => "lash-sqlite",
            Self::Postgres => "lash-postgres",
        }
    }

    /// What lash promises of this store; PostgreSQL's leases go by the database's clock.
    pub fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["clock", "manifest", "active_path", "shared", "process_liveness"],
            Self::Sqlite => &["durable", "clock", "manifest", "gc", "active_path", "shared", "process_liveness"],
            Self::Postgres => &["durable", "manifest", "gc", "active_path", "shared", "process_liveness"],
        }
    }
}

/// The judge's time.
#[derive(Debug)]
pub struct SetClock(pub AtomicU64);

#[async_trait::async_trait]
impl Clock for SetClock {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn timestamp_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn timestamp_rfc3339(&self) -> String {
        self.timestamp_datetime().to_rfc3339()
    }
    fn timestamp_datetime(&self) -> chrono::DateTime<chrono::Utc> {
        (UNIX_EPOCH + Duration::from_millis(self.timestamp_ms())).into()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
    async fn sleep_until(&self, deadline: Instant) {
        tokio::time::sleep_until(deadline.into()).await;
    }
}

/// What is kept in one directory.
#[derive(Clone)]
pub struct Place {
    pub clock: Arc<SetClock>,
    pub sessions: Arc<dyn SessionStoreFactory>,
    pub attachments: Arc<dyn AttachmentStore>,
}

impl Place {
    pub async fn open(kind: Kind, directory: &Path, now_ms: u64) -> Result<Self, Fault> {
        let clock = Arc::new(SetClock(AtomicU64::new(now_ms)));
        let time = || Arc::clone(&clock) as Arc<dyn Clock>;
        let sessions: Arc<dyn SessionStoreFactory> = match kind {
            Kind::Memory => Arc::new(InMemorySessionStoreFactory::with_clock(time())),
            Kind::Sqlite => {
                Arc::new(SqliteSessionStoreFactory::new(directory.join("sessions")).with_clock(time()))
            }
            Kind::Postgres => Arc::new(storage(directory).await?.session_store_factory()),
        };
        let attachments: Arc<dyn AttachmentStore> = match kind {
            Kind::Memory => Arc::new(InMemoryAttachmentStore::new()),
            Kind::Sqlite | Kind::Postgres => Arc::new(FileAttachmentStore::new(directory.join("attachments"))),
        };
        Ok(Self { clock, sessions, attachments })
    }
}

/// The PostgreSQL schema that belongs to the directory, on the server that `LASH_POSTGRES` names.
async fn storage(directory: &Path) -> Result<PostgresStorage, Fault> {
    let server = std::env::var("LASH_POSTGRES").map_err(|_| Fault::backend("LASH_POSTGRES names no server"))?;
    let plain: String = directory.display().to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let schema = format!("p{}", &plain[plain.len().saturating_sub(55)..]).to_lowercase();
    let failed = |err: sqlx::Error| Fault::backend(err.to_string());
    let pool = sqlx::PgPool::connect(&server).await.map_err(failed)?;
    pool.execute(format!("CREATE SCHEMA IF NOT EXISTS {schema}").as_str()).await.map_err(failed)?;
    pool.close().await;
    let joint = if server.contains('?') { '&' } else { '?' };
    Ok(PostgresStorage::connect(&format!("{server}{joint}options=-csearch_path%3D{schema}")).await?)
}
