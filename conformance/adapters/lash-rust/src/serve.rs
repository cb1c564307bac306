//! Real lash behind the wire: one request a line in, one answer a line out, several in flight.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use lash_core::*;
use serde_json::{Value, json};
use tokio::sync::Mutex as AsyncMutex;

use crate::methods;
use crate::targets::{Kind, Place, VERSION};
use crate::wire::{Blob, Fault, Members, Wire};

const FACTORY: [&str; 6] = [
    "durability_tier", "create_store", "open_existing_store", "delete_session", "live_attachment_refs",
    "has_live_attachment_ref",
];
const ATTACHMENTS: [&str; 6] = ["persistence", "put", "get", "delete", "list", "head"];

/// Everything that is open in this process.
struct Door {
    kind: Kind,
    places: Mutex<HashMap<String, Place>>,
    in_memory: AsyncMutex<HashMap<PathBuf, Place>>,
    stores: Mutex<HashMap<String, (String, Arc<dyn RuntimePersistence>)>>,
    handles: std::sync::atomic::AtomicU64,
}

pub fn serve(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let door = Arc::new(Door {
        kind,
        places: Mutex::default(),
        in_memory: AsyncMutex::default(),
        stores: Mutex::default(),
        handles: std::sync::atomic::AtomicU64::new(1),
    });
    for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
        let (id, asked) = match read(&line) {
            Ok(request) => (request["id"].clone(), request),
            Err((id, fault)) => {
                say(id, Err(fault));
                continue;
            }
        };
        let method = asked["method"].as_str().unwrap_or_default().to_owned();
        if method == "shutdown" {
            say(id, Ok(Value::Null));
            break;
        }
        let door = Arc::clone(&door);
        runtime.spawn(async move {
            let params = asked.get("params").cloned().unwrap_or_else(|| json!({}));
            let answered = tokio::spawn(async move { door.answer(&method, params).await });
            let outcome = answered.await.unwrap_or_else(|panic| Err(Fault::protocol(-32603, panic.to_string())));
            say(id, outcome);
        });
    }
}

/// A line as a request, or the id and the fault to answer it with.
fn read(line: &[u8]) -> Result<Value, (Value, Fault)> {
    let value: Value = serde_json::from_slice(line)
        .map_err(|err| (Value::Null, Fault::protocol(-32700, err.to_string())))?;
    let id = value.get("id").filter(|id| id.is_i64() || id.is_u64()).cloned().unwrap_or(Value::Null);
    let named = value.get("params").is_none_or(Value::is_object);
    if value["jsonrpc"] != "2.0" || id.is_null() || !value["method"].is_string() || !named {
        return Err((id, Fault::protocol(-32600, "no request")));
    }
    Ok(value)
}

fn say(id: Value, outcome: Result<Value, Fault>) {
    let answer = match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Fault { code, message, data }) => {
            let error = json!({"code": code, "message": message, "data": data});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    };
    let mut output = std::io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("the judge reads");
}

impl Door {
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
