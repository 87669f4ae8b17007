//! What the hub stamps on telemetry, and that nobody else does.

use serde_json::{Value, json};

use wire::sas::SharedAccessKey;

use crate::events::events;
use crate::world::{World, connect, primary_key};

#[tokio::test]
async fn what_the_hub_knows_of_the_sender_is_stamped() {
    let world = World::start().await;
    let created = world.put("/devices/d1", &json!({"deviceId": "d1"})).await;
    let mut connect = connect("d1", None);
    connect.username = connect
        .username
        .map(|name| format!("{name}&model-id=dtmi:com:example:Thermostat;1"));
    let token = world.token("devices/d1", &primary_key(&created));
    connect.password = Some(mqtt::Password::new(token.clone().into_bytes()));
    let mut device = world.open(&connect, None).await.unwrap();
    device
        .send("%24.sub=thermostat1", b"over MQTT")
        .await
        .unwrap();
    let post = |token: &str| {
        world
            .ask("POST", "/devices/d1/messages/events")
            .token(token)
    };
    post(&token).bytes(b"over HTTPS").send().await;
    post(&world.policy("device"))
        .bytes(b"by policy")
        .send()
        .await;
    let stamps: Vec<Value> = events(&world, "")
        .await
        .iter()
        .map(|event| event["systemProperties"].clone())
        .collect();
    let auth = |scope: &str| {
        let auth = json!({"scope": scope, "type": "sas", "issuer": "iothub",
            "acceptingIpFilterRule": null});
        Value::from(auth.to_string())
    };
    for (stamp, scope) in stamps.iter().zip(["device", "device", "hub"]) {
        assert_eq!(stamp["iothub-connection-auth-method"], auth(scope));
        let generation = &stamp["iothub-connection-auth-generation-id"];
        assert_eq!(generation, &created["generationId"]);
        assert_eq!(stamp["iothub-message-source"], "Telemetry");
        assert_eq!(stamp["iothub-enqueuedtime"], world.now().to_string());
    }
    assert_eq!(stamps.len(), 3);
    assert_eq!(stamps[0]["dt-dataschema"], "dtmi:com:example:Thermostat;1");
    assert_eq!(stamps[0]["dt-subject"], "thermostat1");
    assert_eq!(stamps[1].get("dt-dataschema"), None);
}

/// A message that the sender may send: on every way in, with one property of any name.
async fn send_every_way(world: &World, key: &SharedAccessKey, name: &str, value: &str) {
    let mut device = world.device("d1", key).await;
    let encoded = wire::device_api::message::PropertyBag::new()
        .with(name, value)
        .encode();
    device.send(&encoded, b"by topic").await.unwrap();
    let plain = format!("{name}={value}");
    device.send(&plain, b"by plain topic").await.unwrap();
    let topic = format!("devices/d1/messages/events/{encoded}");
    device.publish_as(&topic, b"retained", true).await.unwrap();
    device.end(Some(will(&topic))).await;
    let token = world.token("devices/d1", key);
    let post = |content_type: &str| {
        world
            .ask("POST", "/devices/d1/messages/events")
            .token(&token)
            .header("content-type", content_type)
    };
    for header in [format!("iothub-app-{name}"), name.to_owned()] {
        let single = post("application/octet-stream").header(header.leak(), value);
        assert_eq!(single.bytes(b"by header").send().await.status, 204);
    }
    let batch = json!([
        {"body": "", "properties": {name: value}},
        {"body": "", "properties": {(format!("iothub-app-{name}")): value}},
    ]);
    let batch = post("application/vnd.microsoft.iothub.json").json(&batch);
    assert_eq!(batch.send().await.status, 204);
}

fn will(topic: &str) -> mqtt::Will {
    mqtt::Will {
        topic: topic.to_owned(),
        payload: b"will".to_vec().into(),
        qos: mqtt::QoS::AtLeastOnce,
        retain: false,
    }
}

/// All that an event says in names and values, but for where it is and when it came.
fn properties_of(event: &Value) -> Vec<(String, Value)> {
    ["properties", "systemProperties"]
        .iter()
        .flat_map(|part| event[part].as_object().unwrap())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

// A4, H1.
#[tokio::test]
async fn what_the_hub_stamps_is_forged_on_no_way_in() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let spellings = |name: &str| [name.to_owned(), name.to_uppercase(), name.to_lowercase()];
    let mut names: Vec<String> = wire::device_api::message::STAMPED
        .iter()
        .flat_map(|name| spellings(name))
        .collect();
    names.push("iothub-connection-next".to_owned());
    // A property that the hub sets on a message of any sender has one of these names.
    send_every_way(&world, &key, "own", "0").await;
    for event in events(&world, "").await {
        for (name, _) in properties_of(&event) {
            assert!(
                name == "own" || names.contains(&name),
                "the hub stamps {name}, and no list says that it is its own"
            );
        }
    }
    let hub = "hub".parse().unwrap();
    let mut after = world.registry.last_event(&hub);
    for name in &names {
        send_every_way(&world, &key, name, "forged").await;
        let sent = events(&world, &format!("after={after}")).await;
        assert_eq!(sent.len(), 8, "{name}: every way in is open");
        for event in &sent {
            assert_eq!(
                event["systemProperties"]["iothub-connection-device-id"], "d1",
                "{name}: {event}"
            );
            assert!(!event.to_string().contains("forged"), "{name}: {event}");
        }
        after = sent[7]["offset"].as_u64().unwrap();
    }
    // What is near to them is the sender's own.
    send_every_way(&world, &key, "iothub-connect", "kept").await;
    for event in events(&world, &format!("after={after}"))
        .await
        .iter()
        .take(3)
    {
        assert_eq!(event["properties"]["iothub-connect"], "kept", "{event}");
    }
}
