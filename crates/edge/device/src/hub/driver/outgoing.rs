//! Calls of the application.

use bytes::Bytes;
use mqtt::{Delivery, Packet, PacketId, Publish, QoS};
use tokio::sync::oneshot;
use wire::topic::DeviceTopic;

use super::{Driver, Lost};
use crate::hub::call::{Call, TwinAnswer};

impl Driver {
    pub(super) fn call(&mut self, call: Call) -> Result<(), Lost> {
        match call {
            Call::TwinGet(answer) => {
                let rid = self.rid(answer);
                self.say(DeviceTopic::TwinGet { rid }, Bytes::new(), QoS::AtMostOnce)?;
            }
            Call::Report {
                patch,
                expected,
                answer,
            } => {
                let rid = self.rid(answer);
                self.say(
                    DeviceTopic::ReportedPatch { rid, expected },
                    patch,
                    QoS::AtMostOnce,
                )?;
            }
            Call::Telemetry { bag, payload, done } => {
                let id = self.say(DeviceTopic::Events { bag }, payload, QoS::AtLeastOnce)?;
                self.sending.extend(id.map(|id| (id, done)));
            }
            Call::Respond { rid, status, body } => {
                self.say(
                    DeviceTopic::MethodResponse { status, rid },
                    body,
                    QoS::AtMostOnce,
                )?;
            }
            Call::Close => return Err(Lost::Ended),
        }
        Ok(())
    }

    fn rid(&mut self, answer: oneshot::Sender<TwinAnswer>) -> String {
        self.last_rid += 1;
        let rid = self.last_rid.to_string();
        self.asked.insert(rid.clone(), answer);
        rid
    }

    pub(super) fn say(
        &mut self,
        topic: DeviceTopic,
        payload: Bytes,
        qos: QoS,
    ) -> Result<Option<PacketId>, Lost> {
        let (device, module) = &self.identity;
        let topic = topic.format(device, module.as_ref());
        let packet = self.session.publish(topic, payload, qos);
        // Calls are accepted only while the session has room.
        let packet = packet.map_err(|full| Lost::Protocol(full.to_string()))?;
        self.send(&packet)?;
        Ok(match packet {
            Packet::Publish(Publish {
                delivery: Delivery::AtLeastOnce { id, .. },
                ..
            }) => Some(id),
            _ => None,
        })
    }
}
