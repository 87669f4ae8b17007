//! Telemetry in, by both doors, and out to operators.

use serde_json::{Value, json};

use crate::world::World;

async fn events(world: &World, query: &str) -> Vec<Value> {
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
    let batch = json!([{"body": "eyJ0IjoxfQ==", "properties": {"iothub-app-k": "w"}}, {"body": "raw", "base64Encoded": false}]);
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
