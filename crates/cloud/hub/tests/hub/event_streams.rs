//! Events as server-sent events: read while they arrive, resumed where a reader was.

use std::time::Duration;

use serde_json::{Value, json};

use crate::events::events;
use crate::world::World;

/// The `id`, `event` and `data` of a block of text; nothing of a comment.
fn fields(block: &str) -> (Option<u64>, String, Value) {
    let field = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data = field("data").map(|data| serde_json::from_str(data).unwrap());
    (
        field("id").map(|id| id.parse().unwrap()),
        field("event").unwrap_or_default().to_owned(),
        data.unwrap_or_default(),
    )
}

#[tokio::test(start_paused = true)]
async fn events_are_streamed_as_they_arrive_and_the_stream_ends_with_the_server() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.send("k=v", b"one").await.unwrap();
    let mut stream = world.stream_of("/muster/v1/events", "").await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    let page = events(&world, "").await;
    let one = (Some(1), "Telemetry".to_owned(), page[0].clone());
    assert_eq!(fields(&stream.block().await.unwrap()), one);
    // Nothing for a while.
    assert_eq!(stream.block().await.unwrap(), ":");
    device.send("", b"two").await.unwrap();
    let two = fields(&stream.block().await.unwrap());
    assert_eq!((two.0, &two.2["body"]), (Some(2), &json!("dHdv")));
    world.hub.drain();
    assert_eq!(stream.block().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_back_goes_on_behind_what_it_has_seen() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for body in ["one", "two", "three"] {
        device.send("", body.as_bytes()).await.unwrap();
    }
    let first = async |path: &str, last_seen: &str| {
        let mut stream = world.stream_of(path, last_seen).await;
        fields(&stream.block().await.unwrap()).0
    };
    assert_eq!(first("/muster/v1/events?after=0", "2").await, Some(3));
    assert_eq!(first("/muster/v1/events?after=1", "").await, Some(2));
    let path = "/muster/v1/hub/consumerGroups/$Default/checkpoint";
    world.put(path, &json!({"offset": 2})).await;
    let group = "/muster/v1/events?consumerGroup=$Default";
    assert_eq!(first(group, "").await, Some(3));
    let bad = world.ask("GET", "/muster/v1/events");
    let bad = bad
        .header("accept", "text/event-stream")
        .header("last-event-id", "x");
    bad.send().await.refused(400, "ArgumentInvalid");
    for name in ["max", "wait"] {
        let bad = world.ask("GET", &format!("/muster/v1/events?{name}=1"));
        let bad = bad.header("accept", "text/event-stream").send().await;
        let text = bad.refused(400, "ArgumentInvalid");
        assert!(text.contains(name), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_has_so_many_streams_and_each_ends_after_a_while() {
    let world = World::start().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(world.stream_of("/muster/v1/events", "").await);
    }
    let refused = world.ask("GET", "/muster/v1/events");
    let refused = refused.header("accept", "text/event-stream").send().await;
    assert_eq!(refused.header("retry-after"), "10");
    refused.refused(429, "ThrottlingException");
    drop(open.pop());
    let mut last = world.stream_of("/muster/v1/events", "").await;
    let began = tokio::time::Instant::now();
    while last.block().await.is_some() {}
    assert_eq!(
        began.elapsed().as_secs(),
        Duration::from_secs(600).as_secs()
    );
}
