//! The line between a core and its stores: the judge counts the calls, makes them fail, or stops a commit.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};

use lash::CancellationToken;
use lash::persistence::{SessionStoreCreateRequest, SessionStoreFactory};
use lash_core::{AttachmentId, DurabilityTier, RuntimePersistence, StoreError};
use serde_json::{Value, json};

use crate::wire::{Fault, Wire};

const COMMIT: &str = "commit_runtime_state";

#[derive(Default)]
struct Judged {
    calls: Vec<Value>,
    failing: HashSet<String>,
    halt: Option<(bool, u64)>,
    standing: CancellationToken,
    free: CancellationToken,
}

#[derive(Default)]
pub struct Line(Mutex<Judged>);

impl Line {
    pub fn fail(&self, methods: Vec<String>) {
        self.0.lock().expect("the line").failing = methods.into_iter().collect();
    }

    /// Stop the commit of that number, counted from now on.
    pub fn halt(&self, halt: &Value) -> Result<(), Fault> {
        let number = halt["number"].as_u64().ok_or_else(|| Fault::protocol(-32602, "a halt has a number"))?;
        let mut judged = self.0.lock().expect("the line");
        judged.halt = Some((halt["side"] == "before", number));
        judged.standing = CancellationToken::new();
        judged.free = CancellationToken::new();
        Ok(())
    }

    pub async fn halted(&self) {
        let standing = self.0.lock().expect("the line").standing.clone();
        standing.cancelled().await;
    }

    pub fn go_on(&self) {
        self.0.lock().expect("the line").free.cancel();
    }

    pub fn sent(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().expect("the line").calls)
    }

    /// Write a call down; whether it is to stand still before or after it was made, or to fail.
    fn said(&self, on: &str, method: &str, arguments: Vec<Value>) -> (Option<bool>, bool) {
        let mut judged = self.0.lock().expect("the line");
        judged.calls.push(json!({"on": on, "method": method, "arguments": arguments}));
        let mut struck = None;
        if let Some((before, left)) = judged.halt.filter(|_| method == COMMIT) {
            struck = (left == 1).then_some(before);
            judged.halt = (left > 1).then_some((before, left - 1));
        }
        (struck, judged.failing.contains(method))
    }

    async fn stand(&self) {
        let (standing, free) = {
            let judged = self.0.lock().expect("the line");
            (judged.standing.clone(), judged.free.clone())
        };
        standing.cancel();
        free.cancelled().await;
    }

    /// Pass one call on, unless it is to fail or to stop.
    pub async fn pass<T, E: From<String>>(
        &self,
        on: &str,
        method: &str,
        arguments: Vec<Value>,
        made: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let (struck, failing) = self.said(on, method, arguments);
        if struck == Some(true) {
            self.stand().await;
        }
        if failing {
            return Err(E::from("the judge cut the store off".to_owned()));
        }
        let answer = made.await;
        if struck == Some(false) {
            self.stand().await;
        }
        answer
    }
}

/// A store's failure as text, since not every method of the contract fails with the same type.
pub struct Cut(pub StoreError);

impl From<String> for Cut {
    fn from(message: String) -> Self {
        Self(StoreError::Backend(message))
    }
}

/// A session store as a core sees it.
pub struct Watched {
    pub inner: Arc<dyn RuntimePersistence>,
    pub line: Arc<Line>,
    pub on: String,
    pub durable: bool,
}

impl Watched {
    pub fn tier(&self) -> DurabilityTier {
        if self.durable { DurabilityTier::Durable } else { DurabilityTier::Inline }
    }

    pub async fn passed<T>(
        &self,
        method: &str,
        arguments: Vec<Value>,
        made: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let made = async { made.await.map_err(Cut) };
        self.line.pass(&self.on, method, arguments, made).await.map_err(|cut| cut.0)
    }

    /// A call of a method that cannot wait.
    pub fn passed_now<T>(
        &self,
        method: &str,
        arguments: Vec<Value>,
        made: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.line.said(&self.on, method, arguments).1 {
            return Err(StoreError::Backend("the judge cut the store off".to_owned()));
        }
        made()
    }
}

/// The factory that a core is given.
pub struct Factory {
    pub inner: Arc<dyn SessionStoreFactory>,
    pub line: Arc<Line>,
    pub durable: bool,
}

impl Factory {
    pub fn watch(&self, session_id: &str, inner: Arc<dyn RuntimePersistence>) -> Arc<dyn RuntimePersistence> {
        let on = format!("store[{session_id}]");
        Arc::new(Watched { inner, line: Arc::clone(&self.line), on, durable: self.durable })
    }

    async fn passed<T>(
        &self,
        method: &str,
        argument: Result<Value, Fault>,
        made: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        self.line.pass("factory", method, vec![argument.unwrap_or_default()], made).await
    }
}

#[async_trait::async_trait]
impl SessionStoreFactory for Factory {
    fn durability_tier(&self) -> DurabilityTier {
        if self.durable { DurabilityTier::Durable } else { DurabilityTier::Inline }
    }
    async fn create_store(&self, request: &SessionStoreCreateRequest) -> Result<Arc<dyn RuntimePersistence>, String> {
        let made = self.passed("create_store", request.write(), self.inner.create_store(request)).await?;
        Ok(self.watch(&request.session_id, made))
    }
    async fn open_existing_store(&self, request: &SessionStoreCreateRequest) -> Result<Option<Arc<dyn RuntimePersistence>>, String> {
        let found = self.passed("open_existing_store", request.write(), self.inner.open_existing_store(request)).await?;
        Ok(found.map(|store| self.watch(&request.session_id, store)))
    }
    async fn delete_session(&self, session_id: &str) -> Result<(), String> {
        self.passed("delete_session", Ok(json!(session_id)), self.inner.delete_session(session_id)).await
    }
    async fn live_attachment_refs(&self, cutoff: u64) -> Result<BTreeSet<AttachmentId>, StoreError> {
        self.inner.live_attachment_refs(cutoff).await
    }
    async fn has_live_attachment_ref(&self, id: &AttachmentId, cutoff: u64) -> Result<bool, StoreError> {
        self.inner.has_live_attachment_ref(id, cutoff).await
    }
}
