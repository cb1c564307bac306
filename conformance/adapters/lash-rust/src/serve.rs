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
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Ok(request) = serde_json::from_str::<Value>(&line) else {
            let fault = Fault { code: -32700, message: "no JSON".to_owned(), data: Value::Null };
            say(Value::Null, Err(fault));
            continue;
        };
        let (id, method) = (request["id"].clone(), request["method"].as_str().unwrap_or_default().to_owned());
        if method == "shutdown" {
            say(id, Ok(Value::Null));
            break;
        }
        let door = Arc::clone(&door);
        runtime.spawn(async move {
            let answered = tokio::spawn(async move { door.answer(&method, request["params"].clone()).await });
            let outcome = answered.await.unwrap_or_else(|panic| {
                Err(Fault { code: -32603, message: format!("lash panicked: {panic}"), data: Value::Null })
            });
            say(id, outcome);
        });
    }
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
            let handle: String = members.take("store")?;
            let store = self.stores.lock().expect("stores").get(&handle).map(|(_, store)| Arc::clone(store));
            return methods::call(&store.ok_or_else(|| unknown(&handle))?, name, members).await;
        }
        if let Some(name) = method.strip_prefix("factory.") {
            let (handle, place) = self.place(&mut members)?;
            return self.factory(name, &handle, &place.sessions, members).await;
        }
        if let Some(name) = method.strip_prefix("attachments.") {
            let (_, place) = self.place(&mut members)?;
            return attachments(name, &place.attachments, members).await;
        }
        match method {
            "initialize" => Ok(json!({
                "protocol": 1,
                "edition": "2026.11",
                "target": {"name": self.kind.name(), "version": VERSION},
                "capabilities": self.kind.capabilities(),
                "limits": {"in_flight": 32, "processes": if self.kind == Kind::Memory { 1 } else { 8 }},
            })),
            "smoke" => Ok(members.0.remove("value").unwrap_or(Value::Null)),
            "open" => self.open(members).await,
            "close" => {
                let place: String = members.take("place")?;
                self.places.lock().expect("places").remove(&place);
                self.stores.lock().expect("stores").retain(|_, (on, _)| *on != place);
                Ok(Value::Null)
            }
            "clock.advance" => {
                let now_ms: u64 = members.take("now_ms")?;
                let (_, place) = self.place(&mut members)?;
                place.clock.0.store(now_ms, Ordering::SeqCst);
                Ok(Value::Null)
            }
            _ => Err(Fault { code: -32601, message: method.to_owned(), data: Value::Null }),
        }
    }

    async fn open(&self, mut members: Members) -> Result<Value, Fault> {
        let directory = PathBuf::from(members.take::<String>("directory")?);
        let now_ms: u64 = members.take("now_ms")?;
        let place = if self.kind == Kind::Memory {
            let mut kept = self.in_memory.lock().await;
            if !kept.contains_key(&directory) {
                kept.insert(directory.clone(), Place::open(self.kind, &directory, now_ms).await?);
            }
            kept[&directory].clone()
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
        let handle: String = members.take("place")?;
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
                let made = factory.create_store(&members.take("request")?).await.map_err(Fault::backend)?;
                Ok(self.handed(place, made))
            }
            "open_existing_store" => {
                let found = factory.open_existing_store(&members.take("request")?).await.map_err(Fault::backend)?;
                Ok(found.map_or(Value::Null, |store| self.handed(place, store)))
            }
            "delete_session" => {
                factory.delete_session(&members.take::<String>("session_id")?).await.map_err(Fault::backend)?.write()
            }
            "live_attachment_refs" => factory.live_attachment_refs(members.take(cutoff)?).await?.write(),
            "has_live_attachment_ref" => {
                let id = members.take("attachment_id")?;
                factory.has_live_attachment_ref(&id, members.take(cutoff)?).await?.write()
            }
            other => Err(Fault { code: -32601, message: format!("factory.{other}"), data: Value::Null }),
        }
    }
}

async fn attachments(method: &str, store: &Arc<dyn AttachmentStore>, mut members: Members) -> Result<Value, Fault> {
    match method {
        "persistence" => store.persistence().write(),
        "put" => store.put(members.take::<Blob>("data")?.0, members.take("meta")?).await?.write(),
        "get" => Blob(store.get(&members.take("attachment_id")?).await?.bytes).write(),
        "delete" => store.delete(&members.take("attachment_id")?).await?.write(),
        "list" => store.list().await?.write(),
        "head" => store.head(&members.take("attachment_id")?).await?.write(),
        other => Err(Fault { code: -32601, message: format!("attachments.{other}"), data: Value::Null }),
    }
}

fn unknown(handle: &str) -> Fault {
    Fault { code: -32602, message: format!("{handle:?} is not open"), data: Value::Null }
}
