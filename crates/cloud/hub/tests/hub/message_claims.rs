//! Which cloud-to-device messages a session has, and which it has lost.

use std::time::Duration;

use crate::world::World;

const FILTER: &str = "devices/d1/messages/devicebound/#";
const BOUND: &str = "/devices/d1/messages/deviceBound";

#[tokio::test]
async fn what_a_session_claimed_and_did_not_send_is_claimed_again() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    let payload =
        |message: &transport::Outgoing| String::from_utf8(message.payload.to_vec()).unwrap();
    let complete_over_https = async |expected: &str| {
        let token = world.token("devices/d1", &key);
        let received = world.ask("GET", BOUND).token(&token).send().await;
        assert_eq!(received.text, expected);
        let lock = received.header("etag").trim_matches('"').to_owned();
        let done = world.ask("DELETE", &format!("{BOUND}/{lock}"));
        assert_eq!(done.token(&token).send().await.status, 204);
    };
    for body in ["1", "2", "3"] {
        world.send_message(body, "none", body).await.ok();
    }
    device.subscribe(FILTER).await;
    let first = device.message().await;
    assert_eq!(payload(&first), "1");
    // 2 and 3 are claimed. Their locks expire before they are sent, and another receiver has them.
    world.advance(Duration::from_secs(61));
    complete_over_https("1").await;
    complete_over_https("2").await;
    let third = device.message().await;
    assert_eq!(payload(&third), "3");

    for body in ["4", "5", "6"] {
        world.send_message(body, "none", body).await.ok();
    }
    let fourth = device.message().await;
    assert_eq!(payload(&fourth), "4");
    // 5 and 6 are claimed when the client unsubscribes; they are gone when it subscribes again.
    device.unsubscribe(FILTER).await;
    let purged = world.ask("DELETE", "/devices/d1/commands").send().await;
    assert_eq!(purged.ok()["totalMessagesPurged"], 4);
    world.send_message("7", "none", "7").await.ok();
    device.subscribe(FILTER).await;
    let seventh = device.message().await;
    assert_eq!(payload(&seventh), "7");
    device.acknowledge(&seventh);
    world.until_queued(0).await;
}

#[tokio::test]
async fn a_client_that_subscribes_again_may_acknowledge_what_it_got_before() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    for body in ["1", "2"] {
        world.send_message(body, "none", body).await.ok();
    }
    device.subscribe(FILTER).await;
    let first = device.message().await;
    device.unsubscribe(FILTER).await;
    device.subscribe(FILTER).await;
    let second = device.message().await;
    assert_eq!(second.payload, b"2"[..], "the client has the first one");
    device.acknowledge(&first);
    device.acknowledge(&second);
    world.until_queued(0).await;
}

#[tokio::test]
async fn a_message_id_is_answered_as_it_was_sent() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let sent = world.send_message("größe", "none", "1").await;
    let id = sent.headers.get("iothub-messageid").unwrap();
    assert_eq!(id.as_bytes(), "größe".as_bytes());
}
