//! Packets of the hub.

use bytes::Bytes;
use mqtt::{ClientEvent, Delivery, Publish};
use tokio::sync::mpsc;
use wire::service_api::device_view::VersionedProperties;
use wire::topic::HubTopic;

use super::{Driver, Lost};
use crate::hub::call::TwinAnswer;
use crate::hub::{Event, MethodCall};

impl Driver {
    pub(super) fn handle(&mut self, event: ClientEvent) -> Result<(), Lost> {
        match event {
            ClientEvent::Publish(publish) => self.publish(publish),
            ClientEvent::Delivered(id) => {
                if let Some(done) = self.sending.remove(&id) {
                    // The caller may have gone.
                    let _ = done.send(());
                }
                Ok(())
            }
            ClientEvent::Accepted { .. }
            | ClientEvent::Refused(_)
            | ClientEvent::Subscribed(..)
            | ClientEvent::Unsubscribed(_)
            | ClientEvent::Ignored => Ok(()),
        }
    }

    fn publish(&mut self, publish: Publish) -> Result<(), Lost> {
        let acknowledge = match publish.delivery {
            Delivery::AtLeastOnce { id, .. } => Some(self.session.acknowledge(id)),
            Delivery::AtMostOnce => None,
        };
        self.deliver(&publish.topic, publish.payload)?;
        match acknowledge {
            Some(packet) => self.send(&packet),
            None => Ok(()),
        }
    }

    fn deliver(&mut self, topic: &str, payload: Bytes) -> Result<(), Lost> {
        let event = match HubTopic::parse(topic) {
            Ok(HubTopic::TwinResponse {
                status,
                rid,
                version,
            }) => {
                if let Some(answer) = self.asked.remove(&rid) {
                    // The caller may have gone.
                    let _ = answer.send(TwinAnswer {
                        status,
                        version,
                        payload,
                    });
                }
                return Ok(());
            }
            Ok(HubTopic::DesiredPatch { .. }) => match VersionedProperties::parse(&payload) {
                Ok(change) => Event::Desired(change),
                Err(error) => {
                    return Err(Lost::Protocol(format!(
                        "a change of desired properties: {error}"
                    )));
                }
            },
            Ok(HubTopic::MethodRequest { name, rid }) => {
                Event::Method(MethodCall { name, rid, payload })
            }
            Ok(HubTopic::DeviceBound { .. } | HubTopic::CredentialResponse { .. }) | Err(_) => {
                tracing::debug!(topic, "a message that was not asked for");
                return Ok(());
            }
        };
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Lost::NotRead,
            mpsc::error::TrySendError::Closed(_) => Lost::Ended,
        })
    }
}
