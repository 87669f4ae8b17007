//! Limits of a hub and of its devices: who is refused, how, and who is not.

use hub::{DeviceLimits, HubLimits};
use mqtt::{ConnectReturnCode, Delivery, Publish};
use serde_json::json;
use std::time::{Duration, Instant};
use transport::{Close, DeviceSession};

use crate::world::{Device, World, connect};

impl Device {
    /// Sends messages at once, to these bags of properties. When they are not kept, none is.
    async fn send_together(&mut self, bags: &[&str]) -> Result<(), Close> {
        let message = |bag: &&str| Publish {
            topic: format!("devices/d1/messages/events/{bag}"),
            payload: b"x".to_vec().into(),
            retain: false,
            delivery: Delivery::AtMostOnce,
        };
        let kept = self.session.keep(bags.iter().map(message).collect()).await;
        kept.map_err(|not_kept| {
            assert_eq!(not_kept.before, 0);
            not_kept.close
        })
    }
}

const TWIN_GET: &str = "$iothub/twin/GET/?$rid=1";
const REPORT: &str = "$iothub/twin/PATCH/properties/reported/?$rid=2";

/// Limits of a hub that only some quantities have.
fn unlimited() -> (HubLimits, DeviceLimits) {
    let device = DeviceLimits {
        connects_per_second: 0,
        sends_per_second: 0,
        twin_reads_per_second: 0,
        twin_updates_per_second: 0,
        certificate_requests_per_minute: 0,
    };
    (HubLimits::of_units(0), device)
}

#[tokio::test]
async fn operators_are_told_429_with_the_time_after_which_to_try_again() {
    let (mut hub, device) = unlimited();
    hub.queries_per_minute = 2;
    hub.registry_operations_per_minute = 3;
    hub.configuration_operations_per_minute = 1;
    hub.jobs_per_minute = 1;
    hub.method_kib_per_second = 1;
    hub.c2d_sends_per_minute = 2;
    let world = World::with_limits(hub, device).await;
    world.sas_device("d1").await;
    let query = json!({"query": "SELECT * FROM devices"});
    let call = json!({"methodName": "m", "payload": "x".repeat(5000)});
    let large = "/twins/d1/methods";
    for (method, path, body, admitted, wait) in [
        ("POST", "/devices/query", query, 2, "30"),
        ("GET", "/devices/d1", json!(null), 3, "20"),
        ("GET", "/configurations", json!(null), 1, "60"),
        ("GET", "/jobs/v2/query", json!(null), 1, "60"),
        (
            "POST",
            "/devices/d1/messages/devicebound",
            json!("m"),
            2,
            "30",
        ),
        // 16 s' worth at once is 4 pieces of 4 KiB: two calls of two.
        ("POST", large, call, 2, "8"),
    ] {
        let ask = || match body.is_null() {
            true => world.ask(method, path),
            false => world.ask(method, path).json(&body),
        };
        for _ in 0..admitted {
            let reply = ask().send().await;
            assert_ne!(reply.status, 429, "{path}: {}", reply.body);
        }
        let refused = ask().send().await;
        assert_eq!(refused.header("retry-after"), wait, "{path}");
        let message = refused.refused(429, "ThrottlingException");
        assert!(
            message.contains("429001") || message.contains("too many"),
            "{message}"
        );
        world.advance(Duration::from_secs(wait.parse().unwrap()));
        assert_ne!(
            ask().send().await.status,
            429,
            "{path}: the wait was enough"
        );
    }
}

#[tokio::test]
async fn a_device_in_a_loop_is_told_429_and_its_neighbour_is_served() {
    let (hub, mut limits) = unlimited();
    limits.twin_reads_per_second = 1;
    limits.twin_updates_per_second = 1;
    let world = World::with_limits(hub, limits).await;
    let (loud, quiet) = (
        world.sas_device("loud").await,
        world.sas_device("quiet").await,
    );
    let mut loud = world.device("loud", &loud).await;
    let mut quiet = world.device("quiet", &quiet).await;
    for (topic, body, ok) in [(TWIN_GET, &b""[..], "200"), (REPORT, b"{\"a\":1}", "204")] {
        let answer = |status: &str| format!("$iothub/twin/res/{status}/?$rid=");
        for _ in 0..16 {
            let (topic, _) = loud.request(topic, body).await;
            assert!(topic.starts_with(&answer(ok)), "{topic}");
        }
        let (answered, error) = loud.request(topic, body).await;
        assert!(answered.starts_with(&answer("429")), "{answered}");
        assert_eq!(error["errorCode"], 429_001);
        let (answered, _) = quiet.request(topic, body).await;
        assert!(answered.starts_with(&answer(ok)), "{answered}");
        world.advance(Duration::from_secs(1));
        let (answered, _) = loud.request(topic, body).await;
        assert!(answered.starts_with(&answer(ok)), "{answered}");
    }
    // What operators do to its twin is no matter of the device.
    world.patch_twin("loud", &json!({"tags": {"a": 1}})).await;
}

#[tokio::test]
async fn messages_wait_for_their_turn_until_that_is_too_far_away() {
    let (mut hub, device) = unlimited();
    hub.sends_per_second = 1;
    let world = World::with_limits(hub, device).await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let token = world.token("devices/d1", &key);
    let post = |count| {
        let ask = world
            .ask("POST", "/devices/d1/messages/events")
            .token(&token);
        let batch = vec![json!({"body": "eA=="}); count];
        ask.header("content-type", "application/vnd.microsoft.iothub.json")
            .json(&json!(batch))
            .send()
    };
    // The hub's clock stands still.
    let begun = Instant::now();
    assert_eq!(post(16).await.status, 204);
    device.send("", b"x").await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    let delayed = tokio::time::timeout(Duration::from_millis(50), post(9)).await;
    assert!(delayed.is_err(), "nine more wait for 10 s");
    let close = device.send("", b"x").await.unwrap_err();
    assert_eq!(close.code, "throttled", "{close}");
    // A message before one that cannot be read is not acknowledged either.
    let close = device.send_together(&["", "%ff"]).await.unwrap_err();
    assert_eq!(close.code, "throttled", "{close}");
    let refused = post(1).await;
    assert_eq!(refused.header("retry-after"), "11");
    refused.refused(429, "ThrottlingException");
    world.advance(Duration::from_secs(11));
    assert_eq!(post(1).await.status, 204);
}

#[tokio::test]
async fn each_message_of_a_batch_counts() {
    let (mut hub, device) = unlimited();
    hub.sends_per_second = 6;
    let world = World::with_limits(hub, device).await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let token = world.token("devices/d1", &key);
    // 96 may come at once; the hub's clock stands still.
    let begun = Instant::now();
    device.send_together(&[""; 102]).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
    world.advance(Duration::from_secs(60));
    let begun = Instant::now();
    let batch = vec![json!({"body": "eA=="}); 102];
    let ask = world
        .ask("POST", "/devices/d1/messages/events")
        .token(&token);
    let posted = ask
        .header("content-type", "application/vnd.microsoft.iothub.json")
        .json(&json!(batch))
        .send()
        .await;
    assert_eq!(posted.status, 204, "{}", posted.body);
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test]
async fn a_batch_waits_where_its_messages_one_by_one_would() {
    let (mut hub, device) = unlimited();
    hub.sends_per_second = 1;
    let world = World::with_limits(hub, device).await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.send_together(&[""; 16]).await.unwrap();
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    // The first of twelve has its turn within 10 s, and the others after it.
    let time_passes = async {
        for _ in 0..12 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.advance(Duration::from_secs(1));
        }
    };
    let (sent, ()) = tokio::join!(device.send_together(&[""; 12]), time_passes);
    sent.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(12));
    tokio::time::resume();
}

#[tokio::test]
async fn a_device_that_connects_in_a_loop_is_refused_for_now() {
    let (hub, mut limits) = unlimited();
    limits.connects_per_second = 1;
    let world = World::with_limits(hub, limits).await;
    let key = world.sas_device("d1").await;
    let other = world.sas_device("d2").await;
    let connect = connect("d1", Some(&world.token("devices/d1", &key)));
    for _ in 0..16 {
        world.open(&connect, None).await.unwrap();
    }
    let refused = world.open(&connect, None).await.err().unwrap();
    assert_eq!(refused.code, ConnectReturnCode::ServerUnavailable);
    assert!(refused.reason.contains("connects"), "{}", refused.reason);
    world.device("d2", &other).await;
    // One that proves nothing uses up nothing.
    world.advance(Duration::from_secs(1));
    let mut stranger = connect.clone();
    stranger.password = None;
    world.open(&stranger, None).await.err().unwrap();
    world.open(&connect, None).await.unwrap();
}
