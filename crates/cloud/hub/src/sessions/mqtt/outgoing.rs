//! What the hub sends to a session without being asked.

use mqtt::QoS;
use transport::Outgoing;
use transport::sessions::Push;
use wire::topic::HubTopic;

/// `None` for a push that is no message itself.
pub(super) fn encode(push: Push, desired_qos: QoS) -> Option<Outgoing> {
    let outgoing = match push {
        Push::MessagesWaiting => return None,
        Push::Desired { patch, version } => {
            let topic = HubTopic::DesiredPatch {
                version: Some(version),
            };
            Outgoing {
                topic: topic.to_string(),
                payload: wire::twin::with_version(&patch, version).to_string().into(),
                qos: desired_qos,
                receipt: None,
            }
        }
        Push::Method { rid, name, payload } => {
            let rid = rid.to_string();
            Outgoing {
                topic: HubTopic::MethodRequest { name, rid }.to_string(),
                payload,
                qos: QoS::AtMostOnce,
                receipt: None,
            }
        }
    };
    Some(outgoing)
}
