//! Direct methods, called through the service API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::{Device, Reply, World};

const METHODS: &str = "$iothub/methods/POST/#";

async fn invoke(world: &World, path: &str, body: &Value) -> Reply {
    world.ask("POST", path).json(body).send().await
}

/// Answers one call with `status` and `payload`; returns what the device was asked.
pub(crate) async fn answer(device: &mut Device, status: i32, payload: &[u8]) -> (String, Value) {
    let (topic, request) = device.pushed().await.unwrap();
    let (name, rid) = topic
        .strip_prefix("$iothub/methods/POST/")
        .unwrap()
        .split_once("/?$rid=")
        .unwrap();
    let topic = format!("$iothub/methods/res/{status}/?$rid={rid}");
    device.publish(&topic, payload).await.unwrap();
    (name.to_owned(), request)
}

#[tokio::test]
async fn the_device_answers_whatever_it_likes() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    // The timeouts are strings, as az sends them.
    let body = json!({"methodName": "ping", "payload": {"a": 1}, "responseTimeoutInSeconds": "30",
        "connectTimeoutInSeconds": "30"});
    let (reply, asked) = tokio::join!(
        invoke(&world, "/twins/d1/methods", &body),
        answer(&mut device, 418, b"{\"ok\":true}")
    );
    assert_eq!(asked, ("ping".to_owned(), json!({"a": 1})));
    assert_eq!(reply.ok(), json!({"status": 418, "payload": {"ok": true}}));

    let body = json!({"methodName": "quiet"});
    let (reply, asked) = tokio::join!(
        invoke(&world, "/twins/d1/methods", &body),
        answer(&mut device, 200, b"")
    );
    assert_eq!(asked, ("quiet".to_owned(), Value::Null));
    assert_eq!(reply.ok(), json!({"status": 200}));

    let (reply, _) = tokio::join!(
        invoke(&world, "/twins/d1/methods", &body),
        answer(&mut device, 200, b"hello")
    );
    reply.refused(400, "DeserializationError");
}

// H2, H22
#[tokio::test]
async fn names_and_digits_pass_as_they_are() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    let body = json!({"methodName": "thermostat1*getMaxMinReport"});
    let digits = b"{\"n\": [18446744073709551616, 123456789012345678901234567890]}";
    let (reply, asked) = tokio::join!(
        invoke(&world, "/twins/d1/methods", &body),
        answer(&mut device, 200, digits)
    );
    assert_eq!(asked.0, "thermostat1*getMaxMinReport");
    let digits = std::str::from_utf8(digits).unwrap();
    assert_eq!(
        reply.text,
        format!("{{\"status\":200,\"payload\":{digits}}}")
    );
}

#[tokio::test]
async fn who_does_not_listen_is_not_online() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let body = json!({"methodName": "ping"});
    invoke(&world, "/twins/none/methods", &body)
        .await
        .refused(404, "DeviceNotFound");
    invoke(&world, "/twins/d1/methods", &body)
        .await
        .refused(404, "DeviceNotOnline");
    let device = world.device("d1", &key).await;
    invoke(&world, "/twins/d1/methods", &body)
        .await
        .refused(404, "DeviceNotOnline");
    device.end(None).await;
}

#[tokio::test]
async fn a_caller_may_wait_for_the_device_to_come() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let body = json!({"methodName": "ping", "connectTimeoutInSeconds": 60});
    let coming = async {
        let mut device = world.device("d1", &key).await;
        device.subscribe(METHODS).await;
        answer(&mut device, 200, b"1").await
    };
    let (reply, _) = tokio::join!(invoke(&world, "/twins/d1/methods", &body), coming);
    assert_eq!(reply.ok(), json!({"status": 200, "payload": 1}));
}

#[tokio::test]
async fn silence_ends_after_the_response_timeout() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    // From here on time jumps to the next timer.
    tokio::time::pause();
    let body = json!({"methodName": "ping", "responseTimeoutInSeconds": 5});
    let started = tokio::time::Instant::now();
    invoke(&world, "/twins/d1/methods", &body)
        .await
        .refused(504, "GatewayTimeout");
    assert!(started.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn a_connection_that_ends_is_told_at_once() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(METHODS).await;
    let body = json!({"methodName": "ping", "responseTimeoutInSeconds": 300});
    let leaving = async {
        device.pushed().await.unwrap();
        device.end(None).await;
    };
    let (reply, ()) = tokio::join!(invoke(&world, "/twins/d1/methods", &body), leaving);
    reply.refused(404, "DeviceConnectionClosedRemotely");
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let world = World::start().await;
    world.sas_device("d1").await;
    for (body, code) in [
        (json!({}), "methodName"),
        (
            json!({"methodName": "a", "responseTimeoutInSeconds": 1}),
            "responseTimeoutInSeconds",
        ),
        (
            json!({"methodName": "a", "connectTimeoutInSeconds": "soon"}),
            "connectTimeoutInSeconds",
        ),
    ] {
        let message = invoke(&world, "/twins/d1/methods", &body)
            .await
            .refused(400, "ArgumentInvalid");
        assert!(message.contains(code), "{message}");
    }
    let huge = json!({"methodName": "a", "payload": "x".repeat(128 * 1024)});
    invoke(&world, "/twins/d1/methods", &huge)
        .await
        .refused(413, "MessageTooLarge");
}
