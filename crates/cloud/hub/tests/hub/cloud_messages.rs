//! Cloud-to-device messages: sent over HTTPS, received over MQTT and HTTPS, and their feedback.

use std::time::Duration;

use mqtt::{QoS, SubscribeResult};
use serde_json::{Value, json};

use crate::world::{Reply, World, connect, eventually};

const FILTER: &str = "devices/d1/messages/devicebound/#";
const BOUND: &str = "/devices/d1/messages/deviceBound";
const FEEDBACK: &str = "/messages/serviceBound/feedback";

impl World {
    pub async fn send_message(&self, id: &str, ack: &str, body: &str) -> Reply {
        self.ask("POST", "/messages/devicebound")
            .header("iothub-to", "/devices/d1/messages/devicebound")
            .header("iothub-messageid", id)
            .header("iothub-ack", ack)
            .bytes(body.as_bytes())
            .send()
            .await
    }

    async fn queued(&self) -> u64 {
        let device = self.get("/devices/d1").await;
        let twin = self.get("/twins/d1").await;
        let count = &device["cloudToDeviceMessageCount"];
        assert_eq!(count, &twin["cloudToDeviceMessageCount"]);
        count.as_u64().unwrap()
    }

    pub async fn until_queued(&self, count: u64) {
        eventually(async || (self.queued().await == count).then_some(())).await;
    }

    /// The feedback that waits, read and completed.
    async fn feedback(&self) -> Value {
        self.advance(Duration::from_secs(15));
        let batch = self.ask("GET", FEEDBACK).send().await;
        if batch.status == 204 {
            return json!([]);
        }
        let kind = "application/vnd.microsoft.iothub.feedback.json";
        assert_eq!(batch.header("content-type"), kind);
        assert_eq!(batch.header("iothub-userid"), "hub");
        let token = batch.header("etag").trim_matches('"').to_owned();
        let done = self.ask("DELETE", &format!("{FEEDBACK}/{token}"));
        assert_eq!(done.send().await.status, 204);
        serde_json::from_str(&batch.text).unwrap()
    }
}

#[tokio::test]
async fn a_message_reaches_a_device_over_mqtt_with_its_properties() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    assert!(!device.session_present());
    let granted = device.subscribe(FILTER).await;
    assert_eq!(granted, SubscribeResult::Granted(QoS::AtLeastOnce));
    let sent = world
        .ask("POST", "/messages/devicebound")
        .header("iothub-to", "/devices/d1/messages/deviceBound")
        .header("iothub-messageid", "m1")
        .header("iothub-correlationid", "c1")
        .header("iothub-ack", "full")
        .header("contenttype", "application/json")
        .header("iothub-app-room", "a b&c")
        .bytes(b"{\"on\":true}")
        .send()
        .await;
    assert_eq!((sent.status, sent.header("iothub-messageid")), (204, "m1"));
    let message = device.message().await;
    assert_eq!(message.payload, b"{\"on\":true}"[..]);
    assert_eq!(message.qos, QoS::AtLeastOnce);
    let bag = message
        .topic
        .strip_prefix("devices/d1/messages/devicebound/");
    let bag = bag.unwrap();
    for property in [
        "%24.mid=m1",
        "%24.cid=c1",
        "%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound",
        "%24.ct=application%2Fjson",
        "room=a%20b%26c",
        "iothub-ack=full",
    ] {
        assert!(bag.split('&').any(|pair| pair == property), "{bag}");
    }
    assert_eq!(world.queued().await, 1, "it is not completed yet");
    device.acknowledge(&message);
    world.until_queued(0).await;
    let feedback = world.feedback().await;
    assert_eq!(feedback[0]["originalMessageId"], "m1");
    assert_eq!(feedback[0]["statusCode"], "Success");
    assert_eq!(feedback[0]["deviceId"], "d1");
    let generation = world.get("/devices/d1").await["generationId"].clone();
    assert_eq!(feedback[0]["deviceGenerationId"], generation);
    assert_eq!(world.feedback().await, json!([]));
}

#[tokio::test]
async fn the_subscription_and_the_queue_outlive_the_session_unless_it_is_clean() {
    let mut world = World::start().await;
    let key = world.sas_device("d1").await;
    let mut device = world.device("d1", &key).await;
    device.subscribe(FILTER).await;
    world.send_message("m1", "none", "1").await.ok();
    let first = device.message().await;
    device.end(None).await;
    world.send_message("m2", "none", "2").await.ok();

    // Another process: nothing of the session is in memory.
    world.begin_again();
    let mut device = world.device("d1", &key).await;
    assert!(device.session_present());
    let again = device.message().await;
    assert_eq!(
        (&again.payload, &again.topic),
        (&first.payload, &first.topic)
    );
    assert!(again.receipt.unwrap().duplicate);
    device.acknowledge(&again);
    let second = device.message().await;
    assert_eq!(second.payload, b"2"[..]);
    assert!(!second.receipt.unwrap().duplicate);
    device.acknowledge(&second);
    device.end(None).await;
    assert_eq!(world.queued().await, 0);

    // A clean session forgets the subscription; the queue stays.
    let mut clean = connect("d1", Some(&world.token("devices/d1", &key)));
    clean.clean_session = true;
    let device = world.open(&clean, None).await.unwrap();
    assert!(!device.session_present());
    device.end(None).await;
    world.send_message("m3", "none", "3").await.ok();
    let mut device = world.device("d1", &key).await;
    assert!(!device.session_present());
    // Nothing comes before the client subscribes.
    let (topic, _) = device.request("$iothub/twin/GET/?$rid=1", b"").await;
    assert!(topic.starts_with("$iothub/twin/res/200/"));
    device.subscribe_with(FILTER, QoS::AtMostOnce).await;
    let third = device.message().await;
    assert_eq!(
        (&third.payload[..], third.qos),
        (&b"3"[..], QoS::AtMostOnce)
    );
    device.acknowledge(&third);
    world.until_queued(0).await;
    device.unsubscribe(FILTER).await;
    device.end(None).await;
    let device = world.device("d1", &key).await;
    assert!(
        !device.session_present(),
        "UNSUBSCRIBE ends the subscription"
    );
}

#[tokio::test]
async fn a_session_has_so_many_messages_unacknowledged() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    for number in 0..50 {
        let (id, body) = (format!("m{number}"), number.to_string());
        world.send_message(&id, "none", &body).await.ok();
    }
    let full = world.send_message("m50", "none", "50").await;
    full.refused(403, "DeviceMaximumQueueDepthExceeded");
    let mut device = world.device("d1", &key).await;
    device.subscribe(FILTER).await;
    let mut unacknowledged = std::collections::VecDeque::new();
    for number in 0..16 {
        let message = device.message().await;
        assert_eq!(message.payload, number.to_string().as_bytes());
        unacknowledged.push_back(message);
    }
    // Other things still pass: the window is that of messages only.
    device
        .subscribe("$iothub/twin/PATCH/properties/desired/#")
        .await;
    let desired = json!({"properties": {"desired": {"n": 1}}});
    world.patch_twin("d1", &desired).await;
    let patch = device.message().await;
    assert!(
        patch.topic.starts_with("$iothub/twin/PATCH/"),
        "{}",
        patch.topic
    );
    for number in 16..50 {
        let oldest = unacknowledged.pop_front().unwrap();
        device.acknowledge(&oldest);
        let message = device.message().await;
        assert_eq!(message.payload, number.to_string().as_bytes());
        unacknowledged.push_back(message);
    }
    for message in unacknowledged {
        device.acknowledge(&message);
    }
    world.until_queued(0).await;
}

#[tokio::test]
async fn a_device_receives_and_settles_over_https() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    let token = world.token("devices/d1", &key);
    let device = |method: &str, path: &str| world.ask(method, path).token(&token);
    assert_eq!(device("GET", BOUND).send().await.status, 204);
    // A batch of one keeps the case of names, which headers do not.
    let batch = json!([{"body": "aGk=", "properties": {
        "iothub-messageid": "m1", "iothub-ack": "full", "iothub-app-Room": "7"}}]);
    let sent = world
        .ask("POST", BOUND)
        .header("content-type", "application/vnd.microsoft.iothub.json")
        .json(&batch)
        .send()
        .await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    let timeout = device("GET", BOUND).header("iothub-messagelocktimeout", "60");
    let received = timeout.send().await;
    assert_eq!((received.status, received.text.as_str()), (200, "hi"));
    for (name, value) in [
        ("iothub-messageid", "m1"),
        ("iothub-to", BOUND),
        ("iothub-ack", "full"),
        ("iothub-deliverycount", "0"),
        ("iothub-app-room", "7"),
    ] {
        assert_eq!(received.header(name), value, "{name}");
    }
    assert!(!received.header("iothub-sequencenumber").is_empty());
    let lock = received.header("etag").trim_matches('"').to_owned();
    assert_eq!(
        device("GET", BOUND).send().await.status,
        204,
        "it is locked"
    );
    let lock_call =
        |method, lock: &str, rest: &str| device(method, &format!("{BOUND}/{lock}{rest}"));
    let abandoned = lock_call("POST", &lock, "/abandon").send().await;
    assert_eq!(abandoned.status, 204);
    let lost = lock_call("DELETE", &lock, "").send().await;
    lost.refused(412, "DeviceMessageLockLost");
    let again = device("GET", BOUND).send().await;
    assert_eq!(again.header("iothub-deliverycount"), "1");
    let lock = again.header("etag").trim_matches('"').to_owned();
    let rejected = lock_call("DELETE", &lock, "?reject=").send().await;
    assert_eq!(rejected.status, 204);
    assert_eq!(world.feedback().await[0]["statusCode"], "Rejected");
    let wrong = device("GET", BOUND).header("iothub-messagelocktimeout", "0");
    wrong.send().await.refused(400, "ArgumentInvalid");
}

#[tokio::test]
async fn a_module_has_a_queue_of_its_own() {
    let world = World::start().await;
    world.sas_device("d1").await;
    let module = world.put("/devices/d1/modules/m1", &json!({})).await;
    let key = crate::world::primary_key(&module);
    let sent = world
        .ask("POST", "/messages/devicebound")
        .header("iothub-to", "/devices/d1/modules/m1/messages/devicebound")
        .bytes(b"go")
        .send()
        .await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    assert_eq!(sent.header("iothub-messageid").len(), 36, "a fresh id");
    assert_eq!(world.queued().await, 0);
    let module = world.get("/devices/d1/modules/m1").await;
    assert_eq!(module["cloudToDeviceMessageCount"], 1);
    let token = world.token("devices/d1/modules/m1", &key);
    let connect = connect("d1/m1", Some(&token));
    let mut session = world.open(&connect, None).await.unwrap();
    session
        .subscribe("devices/d1/modules/m1/messages/devicebound/#")
        .await;
    let message = session.message().await;
    let prefix = "devices/d1/modules/m1/messages/devicebound/%24.mid=";
    assert!(message.topic.starts_with(prefix), "{}", message.topic);
    let purged = world.ask("DELETE", "/devices/d1/modules/m1/commands");
    assert_eq!(
        purged.send().await.ok(),
        json!({"deviceId": "d1", "moduleId": "m1", "totalMessagesPurged": 1})
    );
}

// H9
#[tokio::test]
async fn a_queue_is_purged() {
    let world = World::start().await;
    let purge = || world.ask("DELETE", "/devices/d1/commands");
    purge().send().await.refused(404, "DeviceNotFound");
    world.sas_device("d1").await;
    let purged =
        |count: u64| json!({"deviceId": "d1", "moduleId": null, "totalMessagesPurged": count});
    assert_eq!(purge().send().await.ok(), purged(0));
    world.send_message("m1", "negative", "1").await.ok();
    world.send_message("m2", "positive", "2").await.ok();
    assert_eq!(purge().send().await.ok(), purged(2));
    let feedback = world.feedback().await;
    assert_eq!(feedback.as_array().unwrap().len(), 1);
    assert_eq!(feedback[0]["originalMessageId"], "m1");
    assert_eq!(feedback[0]["statusCode"], "Purged");
    assert_eq!(world.queued().await, 0);
}

#[tokio::test]
async fn feedback_may_be_abandoned_and_comes_again() {
    let world = World::start().await;
    world.sas_device("d1").await;
    world.send_message("m1", "full", "1").await.ok();
    world
        .ask("DELETE", "/devices/d1/commands")
        .send()
        .await
        .ok();
    assert_eq!(
        world.ask("GET", FEEDBACK).send().await.status,
        204,
        "too early"
    );
    world.advance(Duration::from_secs(15));
    for deliveries in ["0", "1"] {
        let batch = world.ask("GET", FEEDBACK).send().await;
        assert_eq!(batch.header("iothub-deliverycount"), deliveries);
        assert_eq!(world.ask("GET", FEEDBACK).send().await.status, 204);
        let token = batch.header("etag").trim_matches('"').to_owned();
        let abandon = format!("{FEEDBACK}/{token}/abandon");
        assert_eq!(world.ask("POST", &abandon).send().await.status, 204);
        let lost = world.ask("DELETE", &format!("{FEEDBACK}/{token}")).send();
        lost.await.refused(412, "DeviceMessageLockLost");
    }
}

#[tokio::test]
async fn bad_messages_are_refused() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world
        .send_message("m1", "some", "1")
        .await
        .refused(400, "ArgumentInvalid");
    let path = "/messages/devicebound";
    let ask = || world.ask("POST", path).header("iothub-to", BOUND);
    let none = world.ask("POST", path).send().await;
    assert!(none.refused(400, "ArgumentInvalid").contains("iothub-to"));
    for (name, value, problem) in [
        ("iothub-expiry", "2001-01-01T00:00:00Z", "expired"),
        ("iothub-expiry", "2100-01-01T00:00:00Z", "two days"),
        ("iothub-expiry", "soon", "$.exp"),
        ("iothub-app-iothub-ack", "full", "iothub-ack"),
    ] {
        let text = ask().header(name, value).send().await;
        let text = text.refused(400, "ArgumentInvalid");
        assert!(text.contains(problem), "{text}");
    }
    let large = ask().bytes(&vec![b'x'; 64 * 1024 + 1]).send().await;
    large.refused(413, "MessageTooLarge");
    let other = ask().header("iothub-to", "/devices/none/messages/devicebound");
    other.send().await.refused(404, "DeviceNotFound");
    let differs = world.ask("POST", "/devices/d2/messages/devicebound");
    let differs = differs.header("iothub-to", BOUND).send().await;
    differs.refused(400, "ArgumentInvalid");
    // A device sends none, and reads its own ones only.
    world.sas_device("d2").await;
    let token = world.token("devices/d1", &key);
    let sent = world.ask("POST", BOUND).token(&token).send().await;
    assert_eq!(sent.status, 401, "{}", sent.body);
    let read = world
        .ask("GET", "/devices/d2/messages/deviceBound")
        .token(&token);
    assert_eq!(read.send().await.status, 401);
    assert_eq!(world.queued().await, 0);
}

#[tokio::test]
async fn a_message_expires() {
    let world = World::start().await;
    let key = world.sas_device("d1").await;
    world.send_message("m1", "full", "1").await.ok();
    world.advance(Duration::from_secs(3600));
    let mut device = world.device("d1", &key).await;
    device.subscribe(FILTER).await;
    world.send_message("m2", "none", "2").await.ok();
    let message = device.message().await;
    assert_eq!(message.payload, b"2"[..], "the first one has expired");
    let feedback = eventually(async || {
        let feedback = world.feedback().await;
        (feedback != json!([])).then_some(feedback)
    });
    assert_eq!(feedback.await[0]["statusCode"], "Expired");
}
