//! One request for another certificate, on a connection that serves nothing else.

use bytes::Bytes;
use mqtt::{ClientEvent, Delivery, Packet, QoS};
use wire::topic::{DeviceTopic, HubTopic};

use super::{Driver, FLUSH_WITHIN, Lost, pump};

impl Driver {
    /// Sends the request and waits for the answer that ends it. The caller limits the time.
    pub(in crate::hub) async fn request_certificate(
        &mut self,
        rid: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), Lost> {
        let rid = rid.to_owned();
        let topic = DeviceTopic::IssueCertificate { rid: rid.clone() };
        self.say(topic, body, QoS::AtLeastOnce)?;
        loop {
            let publish = match self.next().await? {
                ClientEvent::Publish(publish) => publish,
                other => {
                    self.handle(other)?;
                    continue;
                }
            };
            if let Delivery::AtLeastOnce { id, .. } = publish.delivery {
                let acknowledged = self.session.acknowledge(id);
                self.send(&acknowledged)?;
            }
            match HubTopic::parse(&publish.topic) {
                // The first answer says that it is pending.
                Ok(HubTopic::CredentialResponse {
                    status,
                    rid: answered,
                }) if answered == rid && status != 202 => return Ok((status, publish.payload)),
                _ => {}
            }
        }
    }

    /// Says goodbye, as far as the peer reads.
    pub(in crate::hub) async fn close(mut self) {
        if self.send(&Packet::Disconnect).is_ok() {
            let last = pump(&mut self.writer, &mut self.unsent);
            let _ = tokio::time::timeout(FLUSH_WITHIN, last).await;
        }
    }
}
