//! The stores of real lash behind the wire.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use lash_core::*;
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

use crate::lines::{Answers, speak};
use crate::methods;
use crate::targets::{Kind, Place, VERSION};
use crate::wire::{Blob, Fault, Members, Wire};

const FACTORY: [&str; 6] = [
    "durability_tier", "create_store", "open_existing_store", "delete_session", "live_attachment_refs",
    "has_live_attachment_ref",
];
const ATTACHMENTS: [&str; 6] = ["persistence", "put", "get", "delete", "list", "head"];

/// Stores by handle, each with the place that it is of.
type Stores = HashMap<String, (String, Arc<dyn RuntimePersistence>)>;

/// Everything that is open in this process.
struct Door {
    kind: Kind,
    places: Mutex<HashMap<String, Place>>,
    in_memory: AsyncMutex<HashMap<PathBuf, Place>>,
    stores: Mutex<Stores>,
    handles: std::sync::atomic::AtomicU64,
}

pub fn serve(kind: Kind) {
    speak(Door {
        kind,
        places: Mutex::default(),
        in_memory: AsyncMutex::default(),
        stores: Mutex::default(),
        handles: std::sync::atomic::AtomicU64::new(1),
    });
}

impl Answers for Door {
    async fn answer(&self, method: &str, params: Value) -> Result<Value, Fault> {
        let mut members = Members::of(params)?;
        if let Some(name) = method.strip_prefix("store.") {
            if !methods::known(name) {
                return Err(Fault::protocol(-32601, method));
            }
            let handle: String = members.param("store")?;
            let store = self.stores.lock().expect("stores").get(&handle).map(|(_, store)| Arc::clone(store));
            return methods::call(&store.ok_or_else(|| unknown(&handle))?, name, members).await;
        }
        if let Some(name) = method.strip_prefix("factory.") {
            if !FACTORY.contains(&name) {
                return Err(Fault::protocol(-32601, method));
            }
            let (handle, place) = self.place(&mut members)?;
            return self.factory(name, &handle, &place.sessions, members).await;
        }
        if let Some(name) = method.strip_prefix("attachments.") {
            if !ATTACHMENTS.contains(&name) {
                return Err(Fault::protocol(-32601, method));
            }
            let (_, place) = self.place(&mut members)?;
            return attachments(name, &place.attachments, members).await;
        }
        match method {
            "initialize" if !members.param::<Vec<u64>>("protocols").map_err(asked)?.contains(&1) => {
                Err(Fault::protocol(-32602, "this target speaks protocol 1"))
            }
            "initialize" => Ok(json!({
                "protocol": 1,
                "edition": "2026.11",
                "target": {"name": self.kind.name(), "version": VERSION},
                "capabilities": self.kind.capabilities(),
                "limits": {"in_flight": 32, "processes": if self.kind == Kind::Memory { 1 } else { 8 }},
            })),
            "smoke" => members.0.remove("value").ok_or_else(|| Fault::protocol(-32602, "the parameter value is missing")),
            "open" => self.open(members).await,
            "close" => {
                let (place, _) = self.place(&mut members)?;
                self.places.lock().expect("places").remove(&place);
                self.stores.lock().expect("stores").retain(|_, (on, _)| *on != place);
                Ok(Value::Null)
            }
            "clock.advance" => {
                let now_ms: u64 = members.param("now_ms").map_err(asked)?;
                let (_, place) = self.place(&mut members)?;
                place.clock.0.store(now_ms, Ordering::SeqCst);
                Ok(Value::Null)
            }
            _ => Err(Fault::protocol(-32601, method)),
        }
    }
}

impl Door {
    async fn open(&self, mut members: Members) -> Result<Value, Fault> {
        let directory = PathBuf::from(members.param::<String>("directory").map_err(asked)?);
        let now_ms: u64 = members.param("now_ms").map_err(asked)?;
        let place = if self.kind == Kind::Memory {
            let mut kept = self.in_memory.lock().await;
            if !kept.contains_key(&directory) {
                kept.insert(directory.clone(), Place::open(self.kind, &directory, now_ms).await?);
            }
            let place = kept[&directory].clone();
            place.clock.0.store(now_ms, Ordering::SeqCst);
            place
        } else {
            Place::open(self.kind, &directory, now_ms).await?
        };
        let handle = self.handle("place");
        self.places.lock().expect("places").insert(handle.clone(), place);
        Ok(json!({"place": handle}))
    }

    fn handle(&self, kind: &str) -> String {
        format!("{kind}-{}", self.handles.fetch_add(1, Ordering::SeqCst))
    }

    fn place(&self, members: &mut Members) -> Result<(String, Place), Fault> {
        let handle: String = members.param("place")?;
        let place = self.places.lock().expect("places").get(&handle).cloned();
        place.map(|place| (handle.clone(), place)).ok_or_else(|| unknown(&handle))
    }

    fn handed(&self, place: &str, store: Arc<dyn RuntimePersistence>) -> Value {
        let handle = self.handle("store");
        self.stores.lock().expect("stores").insert(handle.clone(), (place.to_owned(), store));
        json!({"store": handle})
    }

    async fn factory(
        &self,
        method: &str,
        place: &str,
        factory: &Arc<dyn SessionStoreFactory>,
        mut members: Members,
    ) -> Result<Value, Fault> {
        let cutoff = "intent_grace_cutoff_epoch_ms";
        match method {
            "durability_tier" => factory.durability_tier().write(),
            "create_store" => {
                let made = factory.create_store(&members.param("request")?).await.map_err(Fault::backend)?;
                Ok(self.handed(place, made))
            }
            "open_existing_store" => {
                let found = factory.open_existing_store(&members.param("request")?).await.map_err(Fault::backend)?;
                Ok(found.map_or(Value::Null, |store| self.handed(place, store)))
            }
            "delete_session" => {
                factory.delete_session(&members.param::<String>("session_id")?).await.map_err(Fault::backend)?.write()
            }
            "live_attachment_refs" => factory.live_attachment_refs(members.param(cutoff)?).await?.write(),
            "has_live_attachment_ref" => {
                let id = members.param("attachment_id")?;
                factory.has_live_attachment_ref(&id, members.param(cutoff)?).await?.write()
            }
            other => Err(Fault::protocol(-32601, other)),
        }
    }
}

async fn attachments(method: &str, store: &Arc<dyn AttachmentStore>, mut members: Members) -> Result<Value, Fault> {
    match method {
        "persistence" => store.persistence().write(),
        "put" => store.put(members.param::<Blob>("data")?.0, members.param("meta")?).await?.write(),
        "get" => Blob(store.get(&members.param("attachment_id")?).await?.bytes).write(),
        "delete" => store.delete(&members.param("attachment_id")?).await?.write(),
        "list" => store.list().await?.write(),
        "head" => store.head(&members.param("attachment_id")?).await?.write(),
        other => Err(Fault::protocol(-32601, other)),
    }
}

fn unknown(handle: &str) -> Fault {
    Fault::protocol(-32602, format!("{handle:?} is not open"))
}

/// A parameter of the wire itself that is not of its type.
fn asked(fault: Fault) -> Fault {
    Fault::protocol(-32602, fault.message)
}
