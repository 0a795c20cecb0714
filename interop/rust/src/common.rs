//! What both peers have in common: the command line, and the results as lines of JSON.

use std::collections::HashMap;
use ttrpc::{Code, Error};

/// The mode and the socket's address: `MODE -addr PATH`, and flags that are not for these peers.
pub fn arguments() -> (String, String) {
    let all: Vec<String> = std::env::args().collect();
    let at = all.iter().position(|a| a == "-addr").expect("-addr is missing");
    (all[1].clone(), format!("unix://{}", all[at + 1]))
}

/// Prints a line before and after a scenario, as the Go peers do: a crash is known by what is missing.
pub fn report(scenario: &str, want: &str, got: Option<&str>) {
    let got = got.unwrap_or("");
    println!("{{\"Scenario\":{scenario:?},\"Want\":{want:?},\"Got\":{got:?}}}");
}

/// What a user's code can tell of an error.
pub fn saw(e: &Error) -> String {
    match e {
        Error::RpcStatus(s) => format!("{:?}: {}", s.code(), s.message),
        Error::RemoteClosed | Error::Socket(_) | Error::Eof => "closed".to_string(),
        other => other.to_string(),
    }
}

pub fn not_found(text: String) -> Error {
    Error::RpcStatus(ttrpc::get_status(Code::NOT_FOUND, text))
}

/// What a handler has of a call: whether it has a deadline, and its metadata.
pub fn look(timeout_nano: i64, metadata: &HashMap<String, Vec<String>>) -> String {
    let mut all: Vec<String> = metadata.iter().map(|(k, v)| format!("{k}={}", v.join("+"))).collect();
    all.sort();
    let bounded = timeout_nano > 0 && timeout_nano <= 60_000_000_000;
    format!("deadline {bounded}, metadata {}", all.join(" "))
}

/// The context of the call to Look, and what its handler should see.
pub fn context() -> ttrpc::context::Context {
    let mut ctx = ttrpc::context::with_duration(std::time::Duration::from_secs(60));
    ctx.add("k".to_string(), "a".to_string());
    ctx.add("k".to_string(), "b".to_string());
    ctx
}

pub const LOOK: &str = "deadline true, metadata k=a+b";
