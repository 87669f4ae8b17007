//! Telemetry from devices over MQTT and HTTPS, read by operators.

use serde_json::{Value, json};

use crate::world::{World, eventually};

pub async fn events(world: &World, query: &str) -> Vec<Value> {
    world
        .get(&format!("/muster/v1/events?{query}"))
        .await
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn what_a_device_publishes_is_read_in_order() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let replies = device
        .send("%24.mid=m1&%24.ct=application%2Fjson&k=v%201", b"{\"t\":1}")
        .await
        .unwrap();
    assert!(replies.is_empty());
    device.send("", b"second").await.unwrap();
    device
        .publish_as("devices/d1/messages/events/", b"kept", true)
        .await
        .unwrap();

    let all = events(&world, "after=0&max=10").await;
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&all[0]["deviceId"], &all[0]["moduleId"]),
        (&json!("d1"), &Value::Null)
    );
    assert_eq!(all[0]["properties"], json!({"k": "v 1"}));
    assert_eq!(all[0]["systemProperties"]["message-id"], "m1");
    assert_eq!(
        all[0]["systemProperties"]["content-type"],
        "application/json"
    );
    assert_eq!(
        all[0]["systemProperties"]["iothub-connection-device-id"],
        "d1"
    );
    assert_eq!(all[0]["body"], "eyJ0IjoxfQ==");
    assert_eq!(all[2]["properties"], json!({"mqtt-retain": "true"}));

    let rest = events(&world, &format!("after={}", all[0]["offset"])).await;
    assert_eq!(rest, all[1..]);
    assert_eq!(events(&world, "max=1").await.len(), 1);
}

#[tokio::test]
async fn readers_may_wait() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let (waited, sent) = tokio::join!(events(&world, "wait=30"), device.send("", b"now"));
    sent.unwrap();
    assert_eq!(waited[0]["body"], "bm93");
    let message = world
        .ask("GET", "/muster/v1/events?after=soon")
        .send()
        .await
        .refused(400, "ArgumentInvalid");
    assert!(message.contains("after"), "{message}");
}

#[tokio::test]
async fn devices_post_single_messages_and_batches() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let token = world.token("devices/d1", &key);
    let post = |content_type: &str| {
        world
            .ask("POST", "/devices/d1/messages/events")
            .token(&token)
            .header("content-type", content_type)
    };
    let single = post("application/octet-stream")
        .header("iothub-messageid", "mid1")
        .header("iothub-app-k", "v");
    assert_eq!(single.bytes(b"one").send().await.status, 204);
    let batch = json!([{"body": "eyJ0IjoxfQ==", "properties": {"iothub-app-k": "w"}},
        {"body": "raw", "base64Encoded": false}]);
    assert_eq!(
        post("application/vnd.microsoft.iothub.json")
            .json(&batch)
            .send()
            .await
            .status,
        204
    );

    let all = events(&world, "").await;
    let bodies: Vec<_> = all
        .iter()
        .map(|event| event["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies, ["b25l", "eyJ0IjoxfQ==", "cmF3"]);
    assert_eq!(all[0]["properties"], json!({"k": "v"}));
    assert_eq!(all[0]["systemProperties"]["message-id"], "mid1");
    assert_eq!(all[1]["properties"], json!({"k": "w"}));

    // A batch is kept whole or not at all.
    let too_large =
        json!([{"body": "Yg=="}, {"body": "x".repeat(256 * 1024 + 1), "base64Encoded": false}]);
    let refused = post("application/vnd.microsoft.iothub.json")
        .json(&too_large)
        .send()
        .await;
    refused.refused(413, "MessageTooLarge");
    assert_eq!(events(&world, "").await.len(), 3);
    let huge = vec![0; 256 * 1024 + 1];
    post("x")
        .bytes(&huge)
        .send()
        .await
        .refused(413, "MessageTooLarge");
    world
        .ask("POST", "/devices/d1/messages/events")
        .anonymous()
        .send()
        .await
        .refused(401, "IotHubUnauthorized");
}

#[tokio::test]
async fn a_message_that_cannot_be_kept_ends_the_session() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for (bag, body) in [
        ("", vec![0; 256 * 1024 + 1]),
        ("=noname", vec![]),
        ("a=%ff", vec![]),
    ] {
        assert!(device.send(bag, &body).await.is_err(), "{bag}");
    }
    assert!(events(&world, "").await.is_empty());
}

// H13.
#[tokio::test]
async fn properties_count_with_the_body_and_may_be_long() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    // As long as the topic of MQTT lets them be.
    let long = "v".repeat(60_000);
    let room = 256 * 1024 - 1 - long.len();
    let bag = format!("k={long}");
    device.send(&bag, b"short").await.unwrap();
    device.send(&bag, &vec![0; room]).await.unwrap();
    let refused = device.send(&bag, &vec![0; room + 1]).await.unwrap_err();
    assert!(refused.reason.contains("262145 bytes"), "{refused}");
    // Over HTTPS, where characters that JSON writes long are one byte each.
    let token = world.token("devices/d1", &key);
    let control = "\u{1}".repeat(80_000);
    let batch = json!([{"body": "Yg==", "properties": {"c": control}}]);
    let posted = world
        .ask("POST", "/devices/d1/messages/events")
        .token(&token)
        .header("content-type", "application/vnd.microsoft.iothub.json")
        .bytes(batch.to_string().as_bytes());
    let all = match posted.send().await.status {
        204 => events(&world, "").await,
        other => panic!("{other}"),
    };
    assert_eq!(all.len(), 3);
    assert_eq!(all[0]["properties"]["k"], long);
    assert_eq!(all[2]["properties"]["c"], control);
}

// B3, C9.
#[tokio::test]
async fn readers_are_told_what_is_damaged_and_where_to_go_on() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for body in [b"one", b"two", b"end"] {
        device.send("", body).await.unwrap();
    }
    let folder = world.directory.path().join("events/hub");
    let mut files = std::fs::read_dir(folder).unwrap();
    let file = files.next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    for damaged in [b"two", b"end"] {
        let place = bytes.windows(3).position(|window| window == damaged);
        bytes[place.unwrap()] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    let read = async |query: &str| {
        let path = format!("/muster/v1/events?{query}");
        let reply = world.ask("GET", &path).send().await;
        let header = |name: &str| reply.header(name).to_owned();
        let next = header("x-muster-events-next");
        let missing = header("x-muster-events-missing");
        (reply.ok().as_array().unwrap().len(), next, missing)
    };
    let text = |next: &str, missing: &str| (next.to_owned(), missing.to_owned());
    let (events, next, missing) = read("after=0&max=2").await;
    assert_eq!((events, (next, missing)), (1, text("3", "2-3")));
    // A page without events that gets further.
    let (events, next, missing) = read("after=1").await;
    assert_eq!((events, (next, missing)), (0, text("3", "2-3")));
    let (events, next, missing) = read("after=3&wait=0").await;
    assert_eq!((events, (next, missing)), (0, text("3", "")));
}

/// Puts something where the folder of the hub's events is to be, so that none can be kept.
fn break_storage(world: &World) -> std::path::PathBuf {
    let in_the_way = world.directory.path().join("events/hub");
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "").unwrap();
    in_the_way
}

// B2.
#[tokio::test]
async fn https_clients_are_told_to_come_again_while_nothing_can_be_kept() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let token = world.token("devices/d1", &key);
    let post = || {
        let ask = world.ask("POST", "/devices/d1/messages/events");
        ask.token(&token).bytes(b"kept").send()
    };
    let in_the_way = break_storage(&world);
    post().await.refused(503, "ServiceUnavailable");
    std::fs::remove_file(in_the_way).unwrap();
    assert_eq!(post().await.status, 204);
    assert_eq!(events(&world, "").await.len(), 1);
}

// B2.
#[tokio::test]
async fn a_message_is_acknowledged_once_it_can_be_kept_and_its_session_goes_on() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let in_the_way = break_storage(&world);
    let mut sending = Box::pin(device.send("", b"kept"));
    let failing = async || {
        let states = world.registry.telemetry_state().await;
        states.iter().any(|state| state.failing).then_some(())
    };
    tokio::select! {
        done = &mut sending => panic!("{done:?}"),
        () = eventually(failing) => {}
    }
    std::fs::remove_file(in_the_way).unwrap();
    sending.await.unwrap();
    device.send("", b"more").await.unwrap();
    assert_eq!(events(&world, "").await.len(), 2);
}

// B2: nor does a session outlive what ends it meanwhile.
#[tokio::test]
async fn a_session_whose_message_waits_ends_when_it_has_to() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let in_the_way = break_storage(&world);
    let disable = async {
        let body = json!({"deviceId": "d1", "status": "disabled"});
        let ask = world.ask("PUT", "/devices/d1").if_match("*");
        ask.json(&body).send().await.ok()
    };
    let (sent, _) = tokio::join!(device.send("", b"late"), disable);
    assert!(sent.is_err(), "{sent:?}");
    std::fs::remove_file(in_the_way).unwrap();
    assert!(events(&world, "").await.is_empty());
}
