//! What MQTT 3.1.1 leaves to the server, or the hub does otherwise. `docs/divergences.md` lists it.

use mqtt::{ConnectReturnCode, QoS, SubscribeResult, Will};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::methods::answer;
use crate::world::{Device, World, connect};

const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const TWIN_GET: &str = "$iothub/twin/GET/?$rid=1";

// 3.1.3-6 to -9
#[tokio::test]
async fn a_client_without_an_id_is_rejected_whatever_its_session() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    for clean_session in [false, true] {
        let mut connect = connect("d1", Some(&world.token("devices/d1", &key)));
        connect.client_id = String::new();
        connect.clean_session = clean_session;
        let refused = world.open(&connect, None).await.err().unwrap();
        assert_eq!(refused.code, ConnectReturnCode::IdentifierRejected);
    }
}

// H23; 3.3.2-2
#[tokio::test]
async fn a_topic_with_a_wildcard_ends_the_connection() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    for topic in [
        "devices/d1/messages/events/+",
        "devices/d1/messages/events/#",
        "devices/+/messages/events/",
        "$iothub/twin/GET/#",
        "#",
    ] {
        let mut device = world.device("d1", &key).await;
        let close = device.publish(topic, b"x").await.unwrap_err();
        assert_eq!(close.code, "topic", "{topic}");
    }
}

// 3.1.4-2, 3.1.2-8: another connection ends the first, whose will counts.
#[tokio::test]
async fn a_connection_that_is_taken_over_leaves_its_will() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut connect = connect("d1", Some(&world.token("devices/d1", &key)));
    connect.will = Some(Will {
        topic: "devices/d1/messages/events/".to_owned(),
        payload: b"gone".to_vec().into(),
        qos: QoS::AtMostOnce,
        retain: true,
    });
    let mut older = world.open(&connect, None).await.unwrap();
    let mut newer = world.device("d1", &key).await;
    assert!(older.closed().await.contains("another connection"));
    older.end(connect.will).await;
    newer.request(TWIN_GET, b"").await;
    let events = world.get("/muster/v1/events").await;
    assert_eq!(events[0]["systemProperties"]["iothub-MessageType"], "Will");
}

#[tokio::test]
async fn desired_patches_come_as_long_as_they_are_subscribed_to() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let patch = |n: u32| json!({"properties": {"desired": {"n": n}}});
    world.patch_twin("d1", &patch(1)).await;
    let granted = device.subscribe(DESIRED).await;
    assert_eq!(granted, SubscribeResult::Granted(QoS::AtLeastOnce));
    world.patch_twin("d1", &patch(2)).await;
    assert_eq!(device.pushed().await.unwrap().1["n"], 2);
    device.unsubscribe(DESIRED).await;
    world.patch_twin("d1", &patch(3)).await;
    // 3.8.4-3: a filter may be subscribed to again.
    device.subscribe(DESIRED).await;
    device.subscribe(DESIRED).await;
    world.patch_twin("d1", &patch(4)).await;
    assert_eq!(device.pushed().await.unwrap().1["n"], 4);
}

// Azure's Python SDK does not subscribe again when it connects again.
#[tokio::test]
async fn subscriptions_to_patches_and_methods_outlive_the_session_unless_it_is_clean() {
    let mut world = World::start().await;
    let key = world.sas_device("d1").await;
    let patch = |n: u32| json!({"properties": {"desired": {"n": n}}});
    let call = json!({"methodName": "ping"});
    let mut device = world.device("d1", &key).await;
    assert!(!device.session_present());
    device.subscribe(DESIRED).await;
    device.subscribe("$iothub/methods/POST/#").await;
    device.end(None).await;

    // Another process: nothing of the session is in memory.
    world.begin_again();
    let mut device = world.device("d1", &key).await;
    assert!(device.session_present());
    world.patch_twin("d1", &patch(1)).await;
    assert_eq!(device.pushed().await.unwrap().1["n"], 1);
    let (reply, _) = tokio::join!(
        world.ask("POST", "/twins/d1/methods").json(&call).send(),
        answer(&mut device, 200, b"1")
    );
    assert_eq!(reply.ok(), json!({"status": 200, "payload": 1}));
    device.unsubscribe("$iothub/methods/POST/#").await;
    device.end(None).await;
    let device = world.device("d1", &key).await;
    assert!(device.session_present());
    let reply = world.ask("POST", "/twins/d1/methods").json(&call).send();
    reply.await.refused(404, "DeviceNotOnline");
    device.end(None).await;

    let mut clean = connect("d1", Some(&world.token("devices/d1", &key)));
    clean.clean_session = true;
    let device = world.open(&clean, None).await.unwrap();
    assert!(!device.session_present());
    device.end(None).await;
    let mut device = world.device("d1", &key).await;
    assert!(!device.session_present());
    world.patch_twin("d1", &patch(2)).await;
    device.subscribe(DESIRED).await;
    world.patch_twin("d1", &patch(3)).await;
    assert_eq!(device.pushed().await.unwrap().1["n"], 3);
}

/// A client as the documents want it: it subscribes, reads its twin, and applies what is newer.
struct Client {
    device: Device,
    version: u64,
    desired: Map<String, Value>,
}

impl Client {
    async fn connect(world: &World, key: &wire::sas::SharedAccessKey) -> Self {
        let mut device = world.device("d1", key).await;
        device.subscribe(DESIRED).await;
        let (_, twin) = device.request(TWIN_GET, b"").await;
        let mut desired = twin["desired"].as_object().unwrap().clone();
        let version = desired.remove("$version").unwrap().as_u64().unwrap();
        Self {
            device,
            version,
            desired,
        }
    }

    /// Takes patches until it has this version. One that is missing is a failure.
    async fn catch_up(&mut self, version: u64) {
        while self.version < version {
            let (_, patch) = self.device.pushed().await.unwrap();
            let Value::Object(mut patch) = patch else {
                panic!("{patch}")
            };
            let number = patch.remove("$version").unwrap().as_u64().unwrap();
            if number <= self.version {
                continue;
            }
            assert_eq!(number, self.version + 1, "no version is left out");
            self.version = number;
            for (key, value) in patch {
                match value {
                    Value::Null => self.desired.remove(&key),
                    value => self.desired.insert(key, value),
                };
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Write { key: u8, value: Option<u8> },
    Replace { key: u8 },
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..3, any::<Option<u8>>()).prop_map(|(key, value)| Step::Write { key, value }),
        1 => (0u8..3).prop_map(|key| Step::Replace { key }),
        2 => Just(Step::Reconnect),
    ]
}

/// Writes twins while a device reconnects, and compares what both have in the end.
async fn no_version_is_missed(steps: Vec<Step>) {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut client = Client::connect(&world, &key).await;
    let mut version = client.version;
    for step in steps {
        let (method, desired) = match step {
            Step::Write { key, value } => ("PATCH", json!({key.to_string(): value})),
            Step::Replace { key } => ("PUT", json!({key.to_string(): 300})),
            Step::Reconnect => {
                // A write and the connection at the same time.
                let body = json!({"properties": {"desired": {"during": version}}});
                let write = world.patch_twin("d1", &body);
                let (connected, written) = tokio::join!(Client::connect(&world, &key), write);
                client = connected;
                version = written["properties"]["desired"]["$version"]
                    .as_u64()
                    .unwrap();
                continue;
            }
        };
        let body = json!({"properties": {"desired": desired}});
        let ask = world.ask(method, "/twins/d1").if_match("*").json(&body);
        let twin = ask.send().await.ok();
        version = twin["properties"]["desired"]["$version"].as_u64().unwrap();
    }
    client.catch_up(version).await;
    let twin = world.get("/twins/d1").await;
    let mut stored = twin["properties"]["desired"].as_object().unwrap().clone();
    stored.retain(|key, _| !key.starts_with('$'));
    assert_eq!(client.desired, stored);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_reconnects_while_twins_are_written_misses_no_version(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(no_version_is_missed(steps));
    }
}
