//! Delivery of events to streams of NATS JetStream: at least once, in order, with what a stream
//! needs to know events again.

use serde_json::{Value, json};

use crate::world::{World, eventually};

const ROUTING: &str = "/muster/v1/hub/routing";
const HEALTH: &str = "/muster/v1/hub/routingEndpointsHealth";

fn document(stream: &Value) -> Value {
    json!({
        "endpoints": {"natsStreams": [stream]},
        "routes": [{"name": "all", "source": "DeviceMessages", "endpointNames": ["nats"]}],
        "enrichments": [{"key": "hub", "value": "$iothubname", "endpointNames": ["nats"]}],
    })
}

fn stream() -> Value {
    json!({"name": "nats", "url": "tls://nats.example:4223", "subject": "t.{iothub}.{deviceId}",
        "user": "muster", "password": "secret"})
}

async fn delivered(world: &World, count: u64) -> Value {
    eventually(async || {
        let health = world.get(HEALTH).await["value"][0].clone();
        (health["delivered"] == count).then_some(health)
    })
    .await
}

fn bodies(world: &World) -> Vec<String> {
    let messages = world.stream.messages().into_iter();
    messages
        .map(|message| String::from_utf8(message.body).unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn events_reach_a_stream_in_order_with_their_properties() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world.put(ROUTING, &document(&stream())).await;
    let mut device = world.device("d1", &key).await;
    for body in ["one", "two"] {
        device.send("k=v", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 2).await;
    assert_eq!(health["healthStatus"], "healthy");
    assert_eq!(bodies(&world), ["one", "two"]);
    let message = world.stream.messages().remove(0);
    assert_eq!(message.subject, "t.hub.d1");
    for (name, value) in [("iothub-app-k", "v"), ("iothub-app-hub", "hub")] {
        let header = (name.to_owned(), value.to_owned());
        assert!(message.headers.contains(&header), "{name}");
    }
    // One connection for all.
    let login = ("nats.example".to_owned(), Some("muster:secret".to_owned()));
    assert_eq!(world.stream.connected(), [login]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_down_gets_everything_when_it_is_up_again() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world.put(ROUTING, &document(&stream())).await;
    let mut device = world.device("d1", &key).await;
    device.send("", b"one").await.unwrap();
    delivered(&world, 1).await;
    // The open connection, and one more.
    world.stream.fail(2);
    for body in ["two", "three"] {
        device.send("", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 3).await;
    assert_eq!(health["healthStatus"], "healthy");
    let error = health["lastKnownError"].as_str().unwrap();
    assert!(error.contains("connection refused"), "{error}");
    assert_eq!(bodies(&world), ["one", "two", "three"]);
    assert_eq!(world.stream.connected().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn only_the_message_that_is_too_large_for_a_stream_is_given_up() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world.stream.refuse(b"two");
    world.stream.fail(1);
    world.put(ROUTING, &document(&stream())).await;
    let mut device = world.device("d1", &key).await;
    for body in ["one", "two", "three"] {
        device.send("", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 2).await;
    assert_eq!(health["deadLettered"], 1);
    assert_eq!(bodies(&world), ["one", "three"]);
}

/// A stream that is too slow for many messages gets them all the same, each once.
#[tokio::test]
async fn messages_that_a_stream_acknowledged_before_a_fault_are_not_sent_again() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    // In real time the pause after this is long enough for all to be sent.
    world.stream.fail(1);
    world.stream.break_after(1);
    world.put(ROUTING, &document(&stream())).await;
    let mut device = world.device("d1", &key).await;
    let sent = ["one", "two", "three", "four", "five"];
    for body in sent {
        device.send("", body.as_bytes()).await.unwrap();
    }
    let health = delivered(&world, 5).await;
    assert_eq!(health["lastKnownError"], "the connection broke");
    assert_eq!(health["deadLettered"], 0);
    assert_eq!(bodies(&world), sent);
    assert_eq!(world.stream.publications(), 5);
}

#[tokio::test]
async fn the_password_of_a_stream_is_kept_and_is_for_those_who_may_write() {
    let world = World::start().await;
    let written = world.put(ROUTING, &document(&stream())).await;
    assert_eq!(written["endpoints"]["natsStreams"], json!([stream()]));
    let reader = world.policy("registryRead");
    let read = world.ask("GET", ROUTING).token(&reader).send().await.ok();
    assert!(!read.to_string().contains("secret"), "{read}");
    assert_eq!(world.put(ROUTING, &read).await, written);
    for (member, value, part) in [
        ("user", json!("other"), "no password"),
        ("url", json!("nats://nats.example"), "loopback"),
        ("url", json!("tls://other.example"), "no password"),
        ("subject", json!("a.*"), "wildcard"),
        ("password", json!(""), "password"),
        ("name", json!("events"), "natsStreams[0] has a name"),
    ] {
        let mut changed = stream();
        changed.as_object_mut().unwrap().remove("password");
        changed[member] = value;
        let put = world.ask("PUT", ROUTING).json(&document(&changed));
        let text = put.send().await.refused(400, "ArgumentInvalid");
        assert!(text.contains(part), "{member}: {text}");
    }
}
