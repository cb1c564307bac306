//! A target's process, driven over the wire: any number of calls in flight, each answered by its id.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use crate::wire::Fault;

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// One running target; killed when dropped.
pub struct Client {
    process: Mutex<Child>,
    input: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
    pub hello: Value,
}

impl Client {
    pub fn start(command: &[String]) -> Arc<Self> {
        let mut process = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{} cannot be started: {err}", command.join(" ")));
        let waiting: Waiting = Arc::default();
        let output = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).expect("the target writes JSON lines");
                let id = answer["id"].as_u64().expect("an answer has its request's id");
                if let Some(caller) = answers.lock().expect("waiting").remove(&id) {
                    let _ = caller.send(answer);
                }
            }
            answers.lock().expect("waiting").clear();
        });
        let mut client = Self {
            input: Mutex::new(process.stdin.take().expect("stdin is piped")),
            process: Mutex::new(process),
            waiting,
            next: AtomicU64::new(1),
            hello: Value::Null,
        };
        let judge = json!({"name": "lash-upstream", "version": env!("CARGO_PKG_VERSION")});
        let words = json!({"protocols": [1], "edition": "2026.11", "judge": judge});
        client.hello = client.call("initialize", words).expect("the target initializes");
        Arc::new(client)
    }

    /// Whether the target declares a capability.
    pub fn offers(&self, capability: &str) -> bool {
        self.hello["capabilities"].as_array().is_some_and(|all| all.iter().any(|one| one == capability))
    }

    fn sent(&self, method: &str, params: Value) -> Receiver<Value> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let (answer, answered) = channel();
        self.waiting.lock().expect("waiting").insert(id, answer);
        let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        writeln!(self.input.lock().expect("stdin"), "{line}").expect("the target reads");
        answered
    }

    /// Call and wait, for callers that cannot suspend.
    pub fn call(&self, method: &str, params: Value) -> Result<Value, Fault> {
        let answer = self.sent(method, params).recv().expect("the target lives until it has answered");
        outcome(answer)
    }

    /// Call without holding up the other tasks of this thread.
    pub async fn called(self: &Arc<Self>, method: &str, params: Value) -> Result<Value, Fault> {
        let answered = self.sent(method, params);
        let answer = tokio::task::spawn_blocking(move || answered.recv()).await.expect("a thread waits");
        outcome(answer.expect("the target lives until it has answered"))
    }
}

fn outcome(mut answer: Value) -> Result<Value, Fault> {
    match answer.get("error") {
        Some(error) if !error.is_null() => Err(Fault {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error.get("data").cloned().unwrap_or_else(|| Value::Object(Map::new())),
        }),
        _ => Ok(answer["result"].take()),
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let process = self.process.get_mut().expect("process");
        let _ = process.kill();
        let _ = process.wait();
    }
}
