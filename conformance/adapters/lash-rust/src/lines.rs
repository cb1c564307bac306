//! The envelope of both wires: one request a line in, one answer a line out, several in flight.

use std::future::Future;
use std::io::{BufRead, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::wire::Fault;

/// What stands behind the lines.
pub trait Answers: Send + Sync + 'static {
    fn answer(&self, method: &str, params: Value) -> impl Future<Output = Result<Value, Fault>> + Send;
}

/// Read requests from standard input until `shutdown` or its end; each is answered as soon as it can be.
pub fn speak(door: impl Answers) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let door = Arc::new(door);
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
