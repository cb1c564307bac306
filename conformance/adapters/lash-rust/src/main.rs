//! `serve memory|sqlite|postgres`: real lash as a target of lash-conformance.
//! `host`: the runtime of real lash as a host of lash-conformance, its effects in memory, or with `durable` in SQLite.
//! `suite DIRECTORY COMMAND...`: lash's own suite against the target that the command starts.
//! `vectors`: the wire's records through lash's types.

mod bridge;
mod client;
mod host;
mod lines;
mod methods;
mod refusals;
mod serve;
mod suite;
mod targets;
mod vectors;
mod wire;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", name] if targets::Kind::named(name).is_some() => serve::serve(targets::Kind::named(name).unwrap()),
        ["host"] => host::serve(host::Effects::Inline),
        ["host", "durable"] => host::serve(host::Effects::Durable),
        ["suite", root, command @ ..] if !command.is_empty() => {
            let command: Vec<String> = command.iter().map(ToString::to_string).collect();
            suite::run(&command, root.into());
        }
        ["vectors"] => vectors::run(),
        _ => {
            eprintln!("lash-upstream serve memory|sqlite|postgres · host [durable] · suite DIRECTORY COMMAND... · vectors");
            std::process::exit(2);
        }
    }
}
