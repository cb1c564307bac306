//! Stores behind the wire as lash's own traits: what lash's suite is run against.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lash_core::*;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::wire::{Blob, Fault, Wire};

/// How a commit's lease is presented to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// As the caller gave it.
    Strict,
    /// As 0.1.0-alpha.113 has it: the commit is made under whatever lease is live, or a fresh one, and an
    /// absent expected revision is 0.
    Advisory,
}

/// An opened place of a target, with the machine's time.
pub struct Place {
    client: Arc<Client>,
    handle: String,
    ahead_ms: AtomicU64,
    lease: Lease,
}

impl Place {
    pub fn open(client: &Arc<Client>, directory: &Path, lease: Lease) -> Arc<Self> {
        let words = json!({"directory": directory, "now_ms": current_epoch_ms(), "gone": []});
        let opened = client.call("open", words).expect("the place opens");
        Arc::new(Self {
            client: Arc::clone(client),
            handle: opened["place"].as_str().expect("a place").to_owned(),
            ahead_ms: AtomicU64::new(0),
            lease,
        })
    }

    /// Let time go by at once.
    pub fn advance(&self, ms: u64) {
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    fn tier(&self) -> DurabilityTier {
        if self.client.offers("durable") { DurabilityTier::Durable } else { DurabilityTier::Inline }
    }

    fn now(&self) -> Option<Value> {
        let now_ms = current_epoch_ms() + self.ahead_ms.load(Ordering::SeqCst);
        self.client.offers("clock").then(|| json!({"place": self.handle, "now_ms": now_ms}))
    }

    fn call_now(&self, method: &str, params: Map<String, Value>) -> Result<Value, Fault> {
        if let Some(now) = self.now() {
            self.client.call("clock.advance", now)?;
        }
        self.client.call(method, Value::Object(params))
    }

    async fn call(&self, method: &str, params: Map<String, Value>) -> Result<Value, Fault> {
        if let Some(now) = self.now() {
            self.client.called("clock.advance", now).await?;
        }
        self.client.called(method, Value::Object(params)).await
    }

    fn on_place(&self, mut params: Map<String, Value>) -> Map<String, Value> {
        params.insert("place".to_owned(), json!(self.handle));
        params
    }

    async fn created(&self, session_id: &str) -> Result<String, Fault> {
        let model = json!({"id": "m", "limits": {"context_window_tokens": 1}});
        let request = json!({"session_id": session_id, "relation": {"kind": "root"}, "policy": {"model": model}});
        let params = self.on_place(object(json!({"request": request})));
        Ok(store_of(&self.call("factory.create_store", params).await?))
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn store_of(handed: &Value) -> String {
    handed["store"].as_str().unwrap_or_default().to_owned()
}

/// A session's store. One that no factory made is bound by its first commit or meta, as lash's are.
pub struct Bridge {
    place: Arc<Place>,
    bound: Mutex<Option<(String, String)>>,
}

impl Bridge {
    pub fn unbound(place: &Arc<Place>) -> Arc<dyn RuntimePersistence> {
        Arc::new(Self { place: Arc::clone(place), bound: Mutex::default() })
    }

    pub fn tier(&self) -> DurabilityTier {
        self.place.tier()
    }

    fn handle(&self) -> Option<String> {
        self.bound.lock().expect("binding").as_ref().map(|(_, handle)| handle.clone())
    }

    /// The handle a call goes to, and the session it binds to if it succeeds.
    async fn addressed(&self, params: &Map<String, Value>) -> Result<(String, Option<String>), Fault> {
        if let Some(handle) = self.handle() {
            return Ok((handle, None));
        }
        let named = params.get("commit").or_else(|| params.get("meta")).and_then(|given| given["session_id"].as_str());
        let handle = self.place.created(named.unwrap_or("root")).await?;
        Ok((handle, named.map(str::to_owned)))
    }

    pub async fn call(&self, method: &str, mut params: Map<String, Value>) -> Result<Value, Fault> {
        let (handle, binds) = self.addressed(&params).await?;
        if let Some(commit) = params.get_mut("commit").filter(|_| self.place.lease == Lease::Advisory) {
            self.lend(commit, &handle).await?;
        }
        params.insert("store".to_owned(), json!(handle));
        let answer = self.place.call(&format!("store.{method}"), params).await?;
        if let Some(session_id) = binds {
            self.bound.lock().expect("binding").get_or_insert((session_id, handle));
        }
        Ok(answer)
    }

    pub fn call_now(&self, method: &str, mut params: Map<String, Value>) -> Result<Value, Fault> {
        let handle = match self.handle() {
            Some(handle) => handle,
            None => tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(self.place.created("root"))
            })?,
        };
        params.insert("store".to_owned(), json!(handle));
        self.place.call_now(&format!("store.{method}"), params)
    }

    /// Present whatever lease is live, or one taken for this commit alone.
    async fn lend(&self, commit: &mut Value, handle: &str) -> Result<(), Fault> {
        let owner = json!({"owner_id": "advisory", "incarnation_id": "advisory"});
        let session_id = &commit["session_id"];
        let words = json!({"store": handle, "session_id": session_id, "owner": owner, "lease_ttl_ms": 60_000});
        let outcome = self.place.call("store.try_claim_session_execution_lease", object(words)).await?;
        if let Some(taken) = outcome.get("Acquired") {
            commit["session_execution_lease"] = fence(taken);
            commit["release_session_execution_lease"] = fence(taken);
        } else {
            commit["session_execution_lease"] = fence(&outcome["Busy"]["holder"]);
        }
        if commit["expected_head_revision"].is_null() {
            commit["expected_head_revision"] = json!(0);
        }
        Ok(())
    }
}

fn fence(lease: &Value) -> Value {
    let mut members = object(lease.clone());
    members.remove("claimed_at_epoch_ms");
    members.remove("expires_at_epoch_ms");
    Value::Object(members)
}

/// A place's factory.
pub struct Factory(pub Arc<Place>);

impl Factory {
    async fn call(&self, method: &str, params: Value) -> Result<Value, Fault> {
        let params = self.0.on_place(object(params));
        self.0.call(&format!("factory.{method}"), params).await
    }

    fn made(&self, session_id: &str, handed: &Value) -> Arc<dyn RuntimePersistence> {
        let bound = Some((session_id.to_owned(), store_of(handed)));
        Arc::new(Bridge { place: Arc::clone(&self.0), bound: Mutex::new(bound) })
    }
}

#[async_trait::async_trait]
impl SessionStoreFactory for Factory {
    fn durability_tier(&self) -> DurabilityTier {
        self.0.tier()
    }

    async fn create_store(&self, request: &SessionStoreCreateRequest) -> Result<Arc<dyn RuntimePersistence>, String> {
        let handed = self.call("create_store", json!({"request": written(request)?})).await.map_err(|err| err.message)?;
        Ok(self.made(&request.session_id, &handed))
    }

    async fn open_existing_store(
        &self,
        request: &SessionStoreCreateRequest,
    ) -> Result<Option<Arc<dyn RuntimePersistence>>, String> {
        let words = json!({"request": written(request)?});
        let handed = self.call("open_existing_store", words).await.map_err(|err| err.message)?;
        Ok((!handed.is_null()).then(|| self.made(&request.session_id, &handed)))
    }

    async fn delete_session(&self, session_id: &str) -> Result<(), String> {
        let words = json!({"session_id": session_id});
        self.call("delete_session", words).await.map(|_| ()).map_err(|err| err.message)
    }

    async fn live_attachment_refs(&self, cutoff: u64) -> Result<std::collections::BTreeSet<AttachmentId>, StoreError> {
        let words = json!({"intent_grace_cutoff_epoch_ms": cutoff});
        Ok(Wire::read(self.call("live_attachment_refs", words).await?)?)
    }

    async fn has_live_attachment_ref(&self, id: &AttachmentId, cutoff: u64) -> Result<bool, StoreError> {
        let words = json!({"attachment_id": id.as_str(), "intent_grace_cutoff_epoch_ms": cutoff});
        Ok(Wire::read(self.call("has_live_attachment_ref", words).await?)?)
    }
}

fn written(request: &SessionStoreCreateRequest) -> Result<Value, String> {
    request.write().map_err(|err| err.message)
}

/// A place's attachment bytes.
pub struct Attachments(pub Arc<Place>);

impl Attachments {
    pub fn at(client: &Arc<Client>, directory: PathBuf) -> Arc<dyn AttachmentStore> {
        Arc::new(Self(Place::open(client, &directory, Lease::Strict)))
    }

    async fn call<T: Wire>(&self, method: &str, params: Value) -> Result<T, AttachmentStoreError> {
        let params = self.0.on_place(object(params));
        Ok(T::read(self.0.call(&format!("attachments.{method}"), params).await?)?)
    }
}

#[async_trait::async_trait]
impl AttachmentStore for Attachments {
    fn persistence(&self) -> AttachmentStorePersistence {
        let params = self.0.on_place(Map::new());
        let answer = self.0.call_now("attachments.persistence", params).expect("the store answers");
        AttachmentStorePersistence::read(answer).expect("a tier")
    }

    async fn put(&self, bytes: Vec<u8>, meta: AttachmentCreateMeta) -> Result<AttachmentRef, AttachmentStoreError> {
        self.call("put", json!({"data": Blob(bytes).write()?, "meta": meta.write()?})).await
    }

    async fn get(&self, id: &AttachmentId) -> Result<StoredAttachment, AttachmentStoreError> {
        let Blob(bytes) = self.call("get", json!({"attachment_id": id.as_str()})).await?;
        Ok(StoredAttachment { bytes })
    }

    async fn delete(&self, id: &AttachmentId) -> Result<(), AttachmentStoreError> {
        self.call("delete", json!({"attachment_id": id.as_str()})).await
    }

    async fn list(&self) -> Result<Vec<StoredBlobRef>, AttachmentStoreError> {
        self.call("list", json!({})).await
    }

    async fn head(&self, id: &AttachmentId) -> Result<Option<StoredBlobRef>, AttachmentStoreError> {
        self.call("head", json!({"attachment_id": id.as_str()})).await
    }
}
