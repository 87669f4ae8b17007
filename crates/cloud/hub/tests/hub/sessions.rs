//! MQTT connections: which clients are accepted, what they may do, and when their sessions end.

use std::time::Duration;

use mqtt::{ConnectReturnCode, QoS, SubscribeResult, Will};
use pki::PresentedChain;
use serde_json::json;
use wire::sas::SharedAccessKey;

use crate::world::{HOST, World, connect, primary_key, self_signed, self_signed_ca};

#[tokio::test]
async fn certificates_with_a_registered_thumbprint_connect() {
    let world = World::start().await;
    let (first, second, other) = (
        self_signed("d1", 2100),
        self_signed("d1", 2100),
        self_signed("d1", 2100),
    );
    // SHA-1 and SHA-256 may both be registered.
    let body = json!({"authentication": {"x509Thumbprint": {
        "primaryThumbprint": first.leaf().sha1().to_string(),
            "secondaryThumbprint": second.leaf().sha256().to_string()}}});
    assert_eq!(
        world.put("/devices/d1", &body).await["authentication"]["type"],
        "selfSigned"
    );
    for chain in [&first, &second] {
        world.open(&connect("d1", None), Some(chain)).await.unwrap();
        // Some clients send an empty password.
        world
            .open(&connect("d1", Some("")), Some(chain))
            .await
            .unwrap();
    }
    let refused = world
        .open(&connect("d1", None), Some(&other))
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code, ConnectReturnCode::NotAuthorized);
    assert!(refused.reason.contains("thumbprints"), "{}", refused.reason);
}

// H5
#[tokio::test]
async fn a_pinned_certificate_is_enough_also_when_it_is_a_cas() {
    let world = World::start().await;
    let (chain, other) = (self_signed_ca("d1", 2100), self_signed_ca("d1", 2100));
    let pin = |chain: &PresentedChain| {
        let thumbprint = chain.leaf().sha256().to_string();
        json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": thumbprint}}})
    };
    world.put("/devices/d1", &pin(&chain)).await;
    world
        .open(&connect("d1", None), Some(&chain))
        .await
        .unwrap();
    let events = || world.ask("POST", "/devices/d1/messages/events").anonymous();
    let sent = events().certificate(&chain).bytes(b"{}").send().await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    let refused = world.open(&connect("d1", None), Some(&other)).await.err();
    assert!(refused.unwrap().reason.contains("thumbprints"));
    events()
        .certificate(&other)
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
    let old = self_signed_ca("d2", 2027);
    world.put("/devices/d2", &pin(&old)).await;
    let refused = world.open(&connect("d2", None), Some(&old)).await.err();
    assert!(refused.unwrap().reason.contains("expired"));
}

#[tokio::test]
async fn an_expired_certificate_does_not_connect() {
    let world = World::start().await;
    let chain = self_signed("d1", 2027);
    let thumbprint = chain.leaf().sha256().to_string();
    let body = json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": thumbprint}}});
    world.put("/devices/d1", &body).await;
    let refused = world
        .open(&connect("d1", None), Some(&chain))
        .await
        .err()
        .unwrap();
    assert!(refused.reason.contains("expired"), "{}", refused.reason);
}

#[tokio::test]
async fn a_client_without_a_proof_is_refused_with_a_reason_for_the_log() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world
        .put(
            "/devices/ca",
            &json!({"authentication": {"type": "certificateAuthority"}}),
        )
        .await;
    world
        .put("/devices/off", &json!({"status": "disabled"}))
        .await;
    world.edge_device("edge").await;
    let off_key = primary_key(&world.get("/devices/off").await);
    let token = world.token("devices/d1", &key);
    let stranger = SharedAccessKey::from_bytes(vec![9; 32]).unwrap();
    let chain = self_signed("d1", 2100);
    for (connect, chain, reason) in [
        (connect("d1", None), None, "neither"),
        (
            connect("d1", Some(&world.token("devices/d1", &stranger))),
            None,
            "signature",
        ),
        (
            connect("d1", Some(&world.token("devices/d2", &key))),
            None,
            "does not contain",
        ),
        (connect("none", Some(&token)), None, "does not exist"),
        (
            connect("off", Some(&world.token("devices/off", &off_key))),
            None,
            "disabled",
        ),
        (
            connect("d1", None),
            Some(&chain),
            "a certificate was presented",
        ),
        (connect("ca", None), Some(&chain), "no CA certificates"),
        (
            connect(
                "edge/$edgeAgent",
                Some(&world.token("devices/edge/modules/$edgeAgent", &key)),
            ),
            None,
            "no key",
        ),
    ] {
        let refused = world.open(&connect, chain).await.err().unwrap();
        assert_eq!(
            refused.code,
            ConnectReturnCode::NotAuthorized,
            "{}",
            refused.reason
        );
        assert!(refused.reason.contains(reason), "{}", refused.reason);
    }
}

#[tokio::test]
async fn user_name_and_client_id_must_fit() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let good = connect("d1", Some(&world.token("devices/d1", &key)));
    let with = |username: &str, client_id: &str| {
        let mut connect = good.clone();
        connect.username = Some(username.to_owned());
        connect.client_id = client_id.to_owned();
        connect
    };
    for (username, client_id, code) in [
        ("", "d1", ConnectReturnCode::BadUserNameOrPassword),
        (
            "hub.example/d1/?api-version=1",
            "d2",
            ConnectReturnCode::IdentifierRejected,
        ),
        (
            "other.example/d1/?api-version=1",
            "d1",
            ConnectReturnCode::NotAuthorized,
        ),
    ] {
        let refused = world
            .open(&with(username, client_id), None)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code, code, "{}", refused.reason);
    }
    for username in [
        "HUB.example:8883/d1/?api-version=2021-04-12",
        "hub.example/d1/api-version=2016-11-14",
        "hub.example/d1",
    ] {
        world.open(&with(username, "d1"), None).await.unwrap();
    }
}

#[tokio::test]
async fn a_policy_with_device_connect_acts_as_any_device() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world
        .open(&connect("d1", Some(&world.policy("device"))), None)
        .await
        .unwrap();
    let refused = world
        .open(&connect("d1", Some(&world.policy("service"))), None)
        .await
        .err()
        .unwrap();
    assert!(
        refused.reason.contains("DeviceConnect"),
        "{}",
        refused.reason
    );
}

#[tokio::test]
async fn a_new_connection_replaces_the_old_one() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut older = world.device("d1", &key).await;
    let mut newer = world.device("d1", &key).await;
    assert!(older.closed().await.contains("400027"));
    older.end(None).await;
    newer.request("$iothub/twin/GET/?$rid=1", b"").await;
    assert_eq!(
        world.get("/devices/d1").await["connectionState"],
        "Connected"
    );
}

#[tokio::test]
async fn disabling_deleting_and_new_keys_end_sessions() {
    let world = World::start().await;
    for (id, method, body, reason) in [
        ("d1", "PUT", json!({"status": "disabled"}), "disabled"),
        ("d2", "DELETE", json!(null), "deleted"),
        (
            "d3",
            "PUT",
            json!({"authentication": {"type": "certificateAuthority"}}),
            "credentials",
        ),
    ] {
        let key = world.sas_device(id).await;
        let mut device = world.device(id, &key).await;
        let ask = world.ask(method, &format!("/devices/{id}")).if_match("*");
        let ask = if body.is_null() { ask } else { ask.json(&body) };
        ask.send().await.ok();
        let closed = device.closed().await;
        assert!(closed.contains(reason), "{closed}");
    }
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let token = wire::sas::build(
        &format!("{HOST}/devices/d1"),
        None,
        world.now().plus(Duration::from_secs(2)),
        &key,
    );
    let mut device = world
        .open(&connect("d1", Some(&token)), None)
        .await
        .unwrap();
    device.request("$iothub/twin/GET/?$rid=1", b"").await;
    world.advance(Duration::from_secs(2));
    assert!(device.closed().await.contains("expired"));
}

#[tokio::test]
async fn only_known_topics_are_served() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for filter in [
        "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#",
        "$iothub/methods/POST/#",
        "devices/d1/messages/devicebound/#",
    ] {
        assert_eq!(
            device.subscribe(filter).await,
            SubscribeResult::Granted(QoS::AtLeastOnce),
            "{filter}"
        );
    }
    for filter in [
        "#",
        "devices/d2/messages/devicebound/#",
        "$SYS/#",
        "devices/d1/inputs/#",
    ] {
        assert_eq!(
            device.subscribe(filter).await,
            SubscribeResult::Refused,
            "{filter}"
        );
    }
    for topic in [
        "devices/d2/messages/events/",
        "somewhere",
        "$iothub/twin/PATCH/properties/desired/?$version=1",
    ] {
        assert!(device.publish(topic, b"x").await.is_err(), "{topic}");
    }
}

#[tokio::test]
async fn a_will_must_be_the_clients_own_and_arrives_as_telemetry() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let will = |topic: &str| Will {
        topic: topic.to_owned(),
        payload: b"gone".to_vec().into(),
        qos: QoS::AtLeastOnce,
        retain: false,
    };
    let mut connect = connect("d1", Some(&world.token("devices/d1", &key)));
    connect.will = Some(will("devices/d2/messages/events/"));
    assert!(
        world
            .open(&connect, None)
            .await
            .err()
            .unwrap()
            .reason
            .contains("will")
    );

    connect.will = Some(will("devices/d1/messages/events/why=lost"));
    let device = world.open(&connect, None).await.unwrap();
    device.end(connect.will.clone()).await;
    let events = world.get("/muster/v1/events").await;
    assert_eq!(events[0]["properties"], json!({"why": "lost"}));
    assert_eq!(events[0]["systemProperties"]["iothub-MessageType"], "Will");
    assert_eq!(events[0]["body"], "Z29uZQ==");
}

#[tokio::test]
async fn draining_closes_everybody() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    world.hub.drain();
    assert!(device.closed().await.contains("shutting down"));
    let token = world.token("devices/d1", &key);
    let refused = world
        .open(&connect("d1", Some(&token)), None)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code, ConnectReturnCode::ServerUnavailable);
}

// H8, H12
#[tokio::test]
async fn models_and_times_outlive_the_session_and_the_process() {
    let mut world = World::start().await;
    let key = world.sas_device("d1").await;
    let plain = connect("d1", Some(&world.token("devices/d1", &key)));
    let mut connect = plain.clone();
    let username = connect.username.take().unwrap_or_default();
    connect.username = Some(format!(
        "{username}&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1"
    ));
    let session = world.open(&connect, None).await.unwrap();
    let twin = world.get("/twins/d1").await;
    assert_eq!(twin["modelId"], "dtmi:com:example:Thermostat;1");
    world.advance(Duration::from_secs(60));
    session.end(None).await;
    let device = world.get("/devices/d1").await;
    let identity = ids::Identity::device(
        ids::HubName::parse("hub").unwrap(),
        ids::DeviceId::parse("d1").unwrap(),
    );
    let written = crate::world::eventually(async || {
        let seen = world
            .registry
            .last_seen(std::slice::from_ref(&identity))
            .await;
        let seen = seen.unwrap().remove(0);
        (seen.active == world.now()).then_some(seen)
    });
    let written = written.await;
    assert_eq!(
        written.model_id.as_deref(),
        Some("dtmi:com:example:Thermostat;1")
    );
    assert_eq!(device["lastActivityTime"], json!(written.active));
    assert_eq!(device["connectionStateUpdatedTime"], json!(written.changed));

    // Another process over the same registry: nothing of it is in memory.
    world.begin_again();
    assert_eq!(world.get("/devices/d1").await, device);
    let twin = world.get("/twins/d1").await;
    assert_eq!(twin["modelId"], "dtmi:com:example:Thermostat;1");
    assert_eq!(twin["lastActivityTime"], device["lastActivityTime"]);
    // One that announces none keeps it.
    world.open(&plain, None).await.unwrap();
    assert_eq!(world.get("/twins/d1").await["modelId"], twin["modelId"]);
}
