//! Real lash as a host behind the wire: its facade, with the kit's plugins, tools and scripted model.

mod answers;
mod claims;
mod clock;
mod core;
mod counter;
mod hooks;
mod line;
mod model;
mod observe;
mod open;
mod operations;
mod plugins;
mod probe;
mod refusals;
mod session;
mod spec;
mod stage;
mod tiers;
mod tools;
mod written;

pub use core::Effects;
pub use line::Watched;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lash::LashSession;
use serde_json::{Value, json};

use self::core::Core;
use self::observe::Subscription;
use self::session::Session;
use self::spec::{CoreSpec, Data, OpenSpec, TurnSpec};
use crate::lines::{Answers, speak};
use crate::targets::VERSION;
use crate::wire::{Fault, Wire};

const CAPABILITIES: [&str; 8] = ["durable", "clock", "line", "plugins", "queue", "frames", "waits", "observation"];

/// A name for as long as the process lives: lash asks for ids that never end.
fn eternal(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashMap<String, &'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().expect("the names");
    let kept = names.get_or_insert_default();
    if let Some(known) = kept.get(name) {
        return known;
    }
    let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
    kept.insert(name.to_owned(), leaked);
    leaked
}

/// The cores and sessions that this process has.
struct Door {
    effects: Effects,
    cores: Mutex<HashMap<String, Arc<Core>>>,
    sessions: Mutex<HashMap<String, (String, Arc<Session>)>>,
    following: Mutex<HashMap<String, Arc<Subscription>>>,
    handles: AtomicU64,
}

pub fn serve(effects: Effects) {
    speak(Door {
        effects,
        cores: Mutex::default(),
        sessions: Mutex::default(),
        following: Mutex::default(),
        handles: AtomicU64::new(1),
    });
}

fn asked<T: serde::de::DeserializeOwned>(given: &mut Data, name: &str) -> Result<T, Fault> {
    let value = given.remove(name).unwrap_or_default();
    serde_json::from_value(value).map_err(|err| Fault::protocol(-32602, format!("{name}: {err}")))
}

impl Answers for Door {
    async fn answer(&self, method: &str, params: Value) -> Result<Value, Fault> {
        let Value::Object(mut given) = params else { return Err(Fault::protocol(-32602, "parameters by name")) };
        match method {
            "initialize" if !asked::<Vec<u64>>(&mut given, "protocols")?.contains(&1) => {
                Err(Fault::protocol(-32602, "this host speaks protocol 1"))
            }
            "initialize" => Ok(introduced(self.effects)),
            "smoke" => Ok(given.remove("value").unwrap_or_default()),
            "pure" => Err(refusals::unsupported("helpers")),
            "core.build" => {
                let directory: PathBuf = asked(&mut given, "directory")?;
                let now_ms = asked(&mut given, "now_ms")?;
                let spec: CoreSpec = asked(&mut given, "spec")?;
                capable(&spec)?;
                let core = Core::build(&directory, now_ms, spec, self.effects).await?;
                let handle = self.handle("c");
                self.cores.lock().expect("cores").insert(handle.clone(), Arc::new(core));
                Ok(json!({"core": handle}))
            }
            _ => match method.split_once('.') {
                Some(("core", name)) => {
                    let handle: String = asked(&mut given, "core")?;
                    self.of_core(&handle, name, given).await
                }
                Some(("subscription", name)) => {
                    let handle: String = asked(&mut given, "subscription")?;
                    self.of_subscription(&handle, name).await
                }
                Some(("session", name)) => {
                    let handle: String = asked(&mut given, "session")?;
                    self.of_session(&handle, name, given).await
                }
                _ => Err(Fault::protocol(-32601, method)),
            },
        }
    }
}

fn introduced(effects: Effects) -> Value {
    let own = std::env::current_exe().expect("the program").display().to_string();
    json!({
        "protocol": 1, "edition": "2026.11", "target": {"name": effects.name(), "version": VERSION}, "capabilities": CAPABILITIES,
        "limits": {"in_flight": 64}, "own_tools": ["batch"], "store": format!("stdio:'{own}' serve sqlite"),
    })
}

/// What a description asks for and this host does not offer.
fn capable(spec: &CoreSpec) -> Result<(), Fault> {
    match spec {
        CoreSpec { journal: true, .. } => Err(refusals::unsupported("recording")),
        CoreSpec { protocol, .. } if protocol != "standard" => Err(refusals::unsupported("rlm")),
        CoreSpec { registry, .. } if registry != "none" => Err(refusals::unsupported("processes")),
        CoreSpec { route: Some(_), .. } => Err(refusals::unsupported("providers")),
        _ => Ok(()),
    }
}

impl Door {
    fn handle(&self, kind: &str) -> String {
        format!("{kind}{}", self.handles.fetch_add(1, Ordering::SeqCst))
    }

    fn core(&self, handle: &str) -> Result<Arc<Core>, Fault> {
        let found = self.cores.lock().expect("cores").get(handle).cloned();
        found.ok_or_else(|| Fault::protocol(-32602, format!("no core {handle:?}")))
    }

    async fn of_subscription(&self, handle: &str, method: &str) -> Result<Value, Fault> {
        let found = self.following.lock().expect("subscriptions").get(handle).cloned();
        let found = found.ok_or_else(|| Fault::protocol(-32602, format!("no subscription {handle:?}")))?;
        if method == "close" {
            found.close();
            return Ok(Value::Null);
        }
        Ok(found.next().await)
    }

    fn opened(&self, core: &str, session: Session) -> Value {
        let handle = self.handle("s");
        self.sessions.lock().expect("sessions").insert(handle.clone(), (core.to_owned(), Arc::new(session)));
        json!({"session": handle})
    }

    async fn of_core(&self, handle: &str, method: &str, mut given: Data) -> Result<Value, Fault> {
        let core = self.core(handle)?;
        match method {
            "advance" => core.advance(asked(&mut given, "now_ms")?),
            "breathe" => tokio::time::sleep(Duration::from_millis(20)).await,
            "open" => {
                let (id, spec): (String, OpenSpec) = (asked(&mut given, "session_id")?, asked(&mut given, "spec")?);
                return Ok(self.opened(handle, core.open(&id, spec).await?));
            }
            "resume" => {
                let lash = core.resume(&asked::<Value>(&mut given, "parked")?).await?;
                return Ok(self.opened(handle, Session::new(lash)));
            }
            "delete" => return core.delete(&asked::<String>(&mut given, "session_id")?).await,
            "call" => {
                let (name, arguments): (String, Data) = (asked(&mut given, "method")?, asked(&mut given, "arguments")?);
                return core.call(&name, &arguments).await;
            }
            "script" => core.stage.script(asked(&mut given, "replies")?),
            "requests" => return Ok(json!(core.stage.requests())),
            "journal" => return Ok(json!(core.stage.journal())),
            "reached" => core.stage.gate(&asked::<String>(&mut given, "gate")?).reached.cancelled().await,
            "release" => core.stage.gate(&asked::<String>(&mut given, "gate")?).opened.cancel(),
            "fail" => core.line.fail(asked(&mut given, "methods")?),
            "halt" => core.line.halt(&asked::<Value>(&mut given, "halt")?)?,
            "halted" => core.line.halted().await,
            "go_on" => core.line.go_on(),
            "sent" => return Ok(json!(core.line.sent())),
            "close" => {
                self.sessions.lock().expect("sessions").retain(|_, (of, _)| of != handle);
                self.cores.lock().expect("cores").remove(handle);
            }
            _ => return Err(Fault::protocol(-32601, format!("core.{method}"))),
        }
        Ok(Value::Null)
    }

    async fn of_session(&self, handle: &str, method: &str, mut given: Data) -> Result<Value, Fault> {
        let found = self.sessions.lock().expect("sessions").get(handle).cloned();
        let (of, session) = found.ok_or_else(|| Fault::protocol(-32602, format!("no session {handle:?}")))?;
        let core = self.core(&of)?;
        match method {
            "turn" => {
                let spec: TurnSpec = asked(&mut given, "spec")?;
                session.turn(&core, spec).await
            }
            "queued_turn" => session.queued_turn(&core, asked(&mut given, "batch_ids").unwrap_or_default(), asked(&mut given, "drain_id")?).await,
            "fire" => {
                session.fire(&asked::<String>(&mut given, "token")?);
                Ok(Value::Null)
            }
            "cancel_running_turns" => Ok(json!(session.live()?.cancel_running_turns_with_origin(asked(&mut given, "origin")?))),
            "request_turn_cancel" => session.request_turn_cancel(&given).await,
            "clone" => Ok(self.opened(&of, session.clone_handle()?)),
            "drop" => session.let_go().map(|_| Value::Null),
            "park" => Ok(core.keep(session.end(LashSession::park).await?)),
            "close" => session.end(LashSession::close).await?.write(),
            "configure" => session.configure(&core, &asked::<Data>(&mut given, "patch")?).await?.write(),
            "read" => answers::read(&session.live()?, &asked::<String>(&mut given, "what")?).await,
            "call" => {
                let (name, arguments): (String, Data) = (asked(&mut given, "method")?, asked(&mut given, "arguments")?);
                session.call(&core, &name, &arguments).await
            }
            "observe" => Ok(observe::observe(&session.live()?)),
            "resume_from" => observe::resume_from(&session.live()?, &asked::<String>(&mut given, "cursor")?),
            "subscribe" => {
                let (cursor, recover): (String, bool) = (asked(&mut given, "cursor")?, asked(&mut given, "recover").unwrap_or(false));
                let made = Subscription::open(&session.live()?, &cursor, recover)?;
                let handle = self.handle("f");
                self.following.lock().expect("subscriptions").insert(handle.clone(), Arc::new(made));
                Ok(json!({"subscription": handle}))
            }
            _ => Err(Fault::protocol(-32601, format!("session.{method}"))),
        }
    }
}
