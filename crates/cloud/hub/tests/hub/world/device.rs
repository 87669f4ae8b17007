//! Devices and modules over MQTT.

use std::time::Duration;

use hub::HubSession;
use mqtt::{Delivery, Publish, QoS, SubscribeResult, Will};
use serde_json::Value;
use transport::{Close, DeviceSession, Outgoing};

/// A connected device or module.
pub struct Device {
    pub session: HubSession,
    id: String,
}

impl Device {
    pub fn new(session: HubSession, id: &str) -> Self {
        let id = id.to_owned();
        Self { session, id }
    }

    pub async fn subscribe(&mut self, filter: &str) -> SubscribeResult {
        self.session.subscribe(filter, QoS::AtLeastOnce).await
    }

    pub async fn subscribe_with(&mut self, filter: &str, qos: QoS) -> SubscribeResult {
        self.session.subscribe(filter, qos).await
    }

    pub fn session_present(&self) -> bool {
        self.session.session_present()
    }

    /// The next message of the hub as it is sent, within 5 s.
    pub async fn message(&mut self) -> Outgoing {
        let next = tokio::time::timeout(Duration::from_secs(5), self.session.next());
        next.await.expect("nothing was pushed")
    }

    /// Says that the client has a message.
    pub fn acknowledge(&mut self, message: &Outgoing) {
        self.session.delivered(message.receipt.unwrap().number);
    }

    pub async fn unsubscribe(&mut self, filter: &str) {
        self.session.unsubscribe(filter).await;
    }

    pub async fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<Vec<Outgoing>, Close> {
        self.publish_as(topic, payload, false).await
    }

    pub async fn publish_as(
        &mut self,
        topic: &str,
        payload: &[u8],
        retain: bool,
    ) -> Result<Vec<Outgoing>, Close> {
        let payload = payload.to_vec().into();
        let publish = Publish {
            topic: topic.to_owned(),
            payload,
            retain,
            delivery: Delivery::AtMostOnce,
        };
        let mut replies = Vec::new();
        self.session.publish(publish, &mut replies).await?;
        Ok(replies)
    }

    /// Publishes and expects exactly one answer.
    pub async fn request(&mut self, topic: &str, payload: &[u8]) -> (String, Value) {
        let replies = self.publish(topic, payload).await.unwrap();
        let [reply] = replies.as_slice() else {
            panic!("{replies:?}")
        };
        (reply.topic.clone(), parsed(&reply.payload))
    }

    pub async fn send(&mut self, bag: &str, payload: &[u8]) -> Result<Vec<Outgoing>, Close> {
        let path = self.id.replace('/', "/modules/");
        self.publish(&format!("devices/{path}/messages/events/{bag}"), payload)
            .await
    }

    /// What the hub pushes next, within 5 s.
    pub async fn pushed(&mut self) -> Result<(String, Value), Close> {
        let closed = self.session.closed();
        let pushed = async {
            tokio::select! {
                biased;
                close = closed => Err(close),
                push = self.session.next() => Ok((push.topic, parsed(&push.payload))),
            }
        };
        let pushed = tokio::time::timeout(Duration::from_secs(5), pushed).await;
        pushed.expect("nothing was pushed")
    }

    /// Why the hub ends the connection, within 5 s.
    pub async fn closed(&mut self) -> String {
        self.pushed()
            .await
            .expect_err("the session was to be closed")
            .reason
    }

    pub async fn end(self, will: Option<Will>) {
        let lost = Close::new("connection_lost", "the client is gone");
        self.session.ended(lost.into(), will).await;
    }
}

fn parsed(payload: &[u8]) -> Value {
    if payload.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(payload).unwrap()
    }
}
