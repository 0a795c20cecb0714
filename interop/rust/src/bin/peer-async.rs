//! The peer of the crate's async half, on tokio.

#[path = "../common.rs"]
mod common;
mod gen {
    #![allow(clippy::all)]
    include!(concat!(env!("OUT_DIR"), "/async/mod.rs"));
}

use async_trait::async_trait;
use common::{report, saw};
use gen::calls::Item;
use gen::calls_ttrpc::{create_calls, Calls, CallsClient};
use gen::streams_ttrpc::{create_streams, Streams, StreamsClient};
use std::{sync::Arc, time::Duration};
use tokio::io::AsyncReadExt;
use ttrpc::r#async::{
    Client, Server, ServerStream, ServerStreamReceiver, ServerStreamSender, TtrpcContext,
};
use ttrpc::{context, Result};

struct Handlers;

#[async_trait]
impl Calls for Handlers {
    async fn echo(&self, _: &TtrpcContext, req: Item) -> Result<Item> {
        Ok(req)
    }
    async fn look(&self, ctx: &TtrpcContext, _: Item) -> Result<Item> {
        Ok(text(common::look(ctx.timeout_nano, &ctx.metadata)))
    }
    async fn fail(&self, _: &TtrpcContext, req: Item) -> Result<Item> {
        Err(common::not_found(req.text))
    }
    async fn wait(&self, _: &TtrpcContext, req: Item) -> Result<Item> {
        tokio::time::sleep(Duration::from_millis(req.number as u64)).await;
        Ok(req)
    }
}

#[async_trait]
impl Streams for Handlers {
    async fn join(&self, _: &TtrpcContext, mut s: ServerStreamReceiver<Item>) -> Result<Item> {
        let mut sum = Item::new();
        while let Some(i) = s.recv().await? {
            sum.number += 1;
            sum.data.extend(i.data);
        }
        Ok(sum)
    }
    async fn list(&self, _: &TtrpcContext, req: Item, s: ServerStreamSender<Item>) -> Result<()> {
        for number in 0..req.number {
            s.send(&Item { number, ..Default::default() }).await?;
        }
        Ok(())
    }
    async fn chat(&self, _: &TtrpcContext, mut s: ServerStream<Item, Item>) -> Result<()> {
        while let Some(i) = s.recv().await? {
            s.send(&i).await?;
        }
        Ok(())
    }
}

fn text(text: String) -> Item {
    Item { text, ..Default::default() }
}

async fn serve(addr: &str) {
    let handlers = Arc::new(Handlers);
    let mut server = Server::new()
        .bind(addr)
        .unwrap()
        .register_service(create_calls(handlers.clone()))
        .register_service(create_streams(handlers));
    server.start().await.unwrap();
    println!("ready rust");
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    server.shutdown().await.unwrap();
}

fn shown(r: Result<Item>) -> String {
    r.map_or_else(|e| saw(&e), |i| i.text)
}

fn none() -> context::Context {
    context::with_timeout(0)
}

async fn large(c: &CallsClient) -> String {
    let data = vec![7; 3 << 20];
    match c.echo(none(), &Item { data: data.clone(), ..Default::default() }).await {
        Ok(i) => (i.data == data).to_string(),
        Err(e) => saw(&e),
    }
}

/// A call whose handler never answers in time, and one after it.
async fn timeout(c: &CallsClient) -> String {
    let first = c.wait(context::with_duration(Duration::from_millis(50)), &Item::new()).await;
    let kind = if first.is_err() { "ended" } else { "answered" };
    format!("{kind}, {}", shown(c.echo(none(), &text("next".to_string())).await))
}

/// Calls from many threads at once: this client puts their ids on the wire in any order.
async fn concurrent(c: &CallsClient) -> String {
    let mut all = Vec::new();
    for number in 0..500 {
        let c = c.clone();
        all.push(tokio::spawn(async move {
            let got = c.echo(none(), &Item { number, ..Default::default() }).await;
            got.is_ok_and(|i| i.number == number)
        }));
    }
    let mut right = 0;
    for t in all {
        right += t.await.unwrap() as usize;
    }
    format!("{right} right")
}

async fn join(c: &StreamsClient) -> Result<String> {
    let mut s = c.join(none()).await?;
    for _ in 0..3 {
        s.send(&Item { data: vec![1; 10], ..Default::default() }).await?;
    }
    let sum = s.close_and_recv().await?;
    Ok(format!("{} messages, {} bytes", sum.number, sum.data.len()))
}

async fn list(c: &StreamsClient) -> Result<String> {
    let mut s = c.list(none(), &Item { number: 2000, ..Default::default() }).await?;
    let mut n = 0;
    while let Some(i) = s.recv().await? {
        if i.number != n {
            return Ok(format!("{} after {n}", i.number));
        }
        n += 1;
    }
    Ok(format!("{n} in order"))
}

async fn chat(c: &StreamsClient) -> Result<String> {
    let mut s = c.chat(none()).await?;
    for number in 0..100 {
        s.send(&Item { number, ..Default::default() }).await?;
        if s.recv().await?.number != number {
            return Ok(format!("{number} is lost"));
        }
    }
    s.close_send().await?;
    Ok(match s.recv().await {
        Err(ttrpc::Error::Eof) | Err(ttrpc::Error::RemoteClosed) => "100, then the end".to_string(),
        other => format!("{other:?}"),
    })
}

/// The server shuts down: calls end, each in an answer or an error, and the last in an error.
async fn stop(c: &CallsClient) -> String {
    let mut last = c.stop(none(), &Item::new()).await;
    while last.is_ok() {
        last = c.echo(context::with_duration(Duration::from_secs(60)), &Item::new()).await;
    }
    "ended".to_string()
}

macro_rules! scenario {
    ($name:literal, $want:expr, $run:expr) => {
        report($name, $want, None);
        let got: String = $run;
        report($name, $want, Some(&got));
    };
}

async fn run(addr: &str) {
    let client = Client::connect(addr).await.unwrap();
    let c = &CallsClient::new(client.clone());
    let s = &StreamsClient::new(client);
    let or = |r: Result<String>| r.unwrap_or_else(|e| saw(&e));
    scenario!("call", "hello", shown(c.echo(none(), &text("hello".to_string())).await));
    scenario!("large", "true", large(c).await);
    scenario!("look", common::LOOK, shown(c.look(common::context(), &Item::new()).await));
    scenario!("status", "NOT_FOUND: gone", shown(c.fail(none(), &text("gone".to_string())).await));
    scenario!("unknown", "UNIMPLEMENTED: method None", shown(c.none(none(), &Item::new()).await));
    scenario!("timeout", "ended, next", timeout(c).await);
    scenario!("concurrent", "500 right", concurrent(c).await);
    scenario!("stream/join", "3 messages, 30 bytes", or(join(s).await));
    scenario!("stream/list", "2000 in order", or(list(s).await));
    scenario!("stream/chat", "100, then the end", or(chat(s).await));
    scenario!("stop", "ended", stop(c).await);
}

/// A server has one thread: with several, this release of the crate hands a stream's messages to its
/// handler in any order, and may lose those before the end. A client has one for each processor.
fn main() {
    let (mode, addr) = common::arguments();
    if mode == "server" {
        let mut one = tokio::runtime::Builder::new_current_thread();
        one.enable_all().build().unwrap().block_on(serve(&addr))
    } else {
        tokio::runtime::Runtime::new().unwrap().block_on(run(&addr))
    }
}
