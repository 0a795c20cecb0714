//! The peer of the crate's blocking half, on threads.

#[path = "../common.rs"]
mod common;
mod gen {
    #![allow(clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/sync/mod.rs"));
}

use common::{report, saw};
use gen::calls::Item;
use gen::calls_ttrpc::{create_calls, Calls, CallsClient};
use std::{io::Read, sync::Arc, thread, time::Duration};
use ttrpc::{context, Client, Result, Server, TtrpcContext};

struct Handlers;

impl Calls for Handlers {
    fn echo(&self, _: &TtrpcContext, req: Item) -> Result<Item> {
        Ok(req)
    }
    fn look(&self, ctx: &TtrpcContext, _: Item) -> Result<Item> {
        Ok(text(common::look(ctx.timeout_nano, &ctx.metadata)))
    }
    fn fail(&self, _: &TtrpcContext, req: Item) -> Result<Item> {
        Err(common::not_found(req.text))
    }
    fn wait(&self, ctx: &TtrpcContext, req: Item) -> Result<Item> {
        let _ = ctx.cancel_rx.recv_timeout(Duration::from_millis(req.number as u64));
        Ok(req)
    }
}

fn text(text: String) -> Item {
    Item { text, ..Default::default() }
}

fn serve(addr: &str) {
    let mut server = Server::new().bind(addr).unwrap().register_service(create_calls(Arc::new(Handlers)));
    server.start().unwrap();
    println!("ready rust");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    server.shutdown();
}

fn shown(r: Result<Item>) -> String {
    r.map_or_else(|e| saw(&e), |i| i.text)
}

fn none() -> context::Context {
    context::with_timeout(0)
}

fn large(c: &CallsClient) -> String {
    let data = vec![7; 3 << 20];
    match c.echo(none(), &Item { data: data.clone(), ..Default::default() }) {
        Ok(i) => (i.data == data).to_string(),
        Err(e) => saw(&e),
    }
}

/// A call whose handler never answers in time, and one after it.
fn timeout(c: &CallsClient) -> String {
    let first = c.wait(context::with_duration(Duration::from_millis(50)), &Item::new());
    let kind = if first.is_err() { "ended" } else { "answered" };
    format!("{kind}, {}", shown(c.echo(none(), &text("next".to_string()))))
}

fn concurrent(c: &CallsClient) -> String {
    let all: Vec<_> = (0..50i64)
        .map(|t| {
            let c = c.clone();
            thread::spawn(move || {
                let right = |n: &i64| {
                    let got = c.echo(none(), &Item { number: *n, ..Default::default() });
                    got.is_ok_and(|i| i.number == *n)
                };
                (t * 10..t * 10 + 10).filter(right).count()
            })
        })
        .collect();
    let right: usize = all.into_iter().map(|t| t.join().unwrap()).sum();
    format!("{right} right")
}

/// The server shuts down: calls end, each in an answer or an error, and the last in an error.
fn stop(c: &CallsClient) -> String {
    let mut last = c.stop(none(), &Item::new());
    while last.is_ok() {
        last = c.echo(context::with_duration(Duration::from_secs(60)), &Item::new());
    }
    "ended".to_string()
}

type Scenario = (&'static str, &'static str, fn(&CallsClient) -> String);

const SCENARIOS: &[Scenario] = &[
    ("call", "hello", |c| shown(c.echo(none(), &text("hello".to_string())))),
    ("large", "true", large),
    ("look", common::LOOK, |c| shown(c.look(common::context(), &Item::new()))),
    ("status", "NOT_FOUND: gone", |c| shown(c.fail(none(), &text("gone".to_string())))),
    ("unknown", "UNIMPLEMENTED: method None", |c| shown(c.none(none(), &Item::new()))),
    ("timeout", "ended, next", timeout),
    ("concurrent", "500 right", concurrent),
    ("stop", "ended", stop),
];

fn main() {
    let (mode, addr) = common::arguments();
    if mode == "server" {
        return serve(&addr);
    }
    let client = CallsClient::new(Client::connect(&addr).unwrap());
    for (name, want, run) in SCENARIOS {
        report(name, want, None);
        report(name, want, Some(&run(&client)));
    }
}
