use ids::{Ack, Identity, Timestamp};

use crate::device_api::message::{PropertyBag, system};

/// A message on its way to a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<'m> {
    /// The device or module that the message is for.
    pub to: &'m Identity,
    /// The place of the message in the order of its hub.
    pub sequence_number: i64,
    /// The sender's name for the message.
    pub message_id: &'m str,
    /// The outcomes that the sender wants feedback about.
    pub ack: Ack,
    /// When the hub took the message.
    pub enqueued: Timestamp,
    /// When the message expires.
    pub expires: Timestamp,
    /// How often a receiver abandoned the message.
    pub deliveries: u32,
    /// `$.cid`, `$.uid`, `$.ct`, `$.ce` and application properties.
    pub properties: &'m [(String, String)],
}

impl Delivery<'_> {
    /// The address as receivers see it.
    fn address(&self) -> String {
        let device = &self.to.device;
        match &self.to.module {
            Some(module) => format!("/devices/{device}/modules/{module}/messages/deviceBound"),
            None => format!("/devices/{device}/messages/deviceBound"),
        }
    }

    /// The last segment of the MQTT topic. Never empty: the .NET SDK needs a segment there.
    #[must_use]
    pub fn bag(&self) -> String {
        let mut bag = PropertyBag::new()
            .with(system::MESSAGE_ID, self.message_id)
            .with(system::TO, self.address())
            .with(system::EXPIRY, self.expires.to_string());
        for (name, value) in self.properties {
            bag.set(name.as_str(), value.as_str());
        }
        bag.with(system::ACK, self.ack.name()).encode()
    }

    /// The headers of the answer to a receiver over HTTPS, apart from the lock token.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let known = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![
            known("iothub-sequencenumber", self.sequence_number.to_string()),
            known("iothub-messageid", self.message_id.to_owned()),
            known("iothub-to", self.address()),
            known("iothub-ack", self.ack.name().to_owned()),
            known("iothub-enqueuedtime", self.enqueued.to_string()),
            known("iothub-expiry", self.expires.to_string()),
            known("iothub-deliverycount", self.deliveries.to_string()),
        ];
        for (name, value) in self.properties {
            let header = match name.as_str() {
                system::CORRELATION_ID => "iothub-correlationid".to_owned(),
                system::USER_ID => "iothub-userid".to_owned(),
                system::CONTENT_TYPE => "contenttype".to_owned(),
                system::CONTENT_ENCODING => "contentencoding".to_owned(),
                _ => format!("iothub-app-{name}"),
            };
            headers.push((header, value.clone()));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use ids::{DeviceId, HubName, ModuleId};

    use super::*;

    #[test]
    fn a_device_reads_what_was_sent() {
        let hub = HubName::parse("hub").unwrap();
        let device = DeviceId::parse("d1").unwrap();
        let to = Identity::device(hub, device);
        let properties = [
            ("$.ct".to_owned(), "application/json".to_owned()),
            ("Room".to_owned(), "a b&c".to_owned()),
        ];
        let expires = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        let delivery = Delivery {
            to: &to,
            sequence_number: 7,
            message_id: "m1",
            ack: Ack::None,
            enqueued: Timestamp::from_unix_seconds(0),
            expires,
            deliveries: 2,
            properties: &properties,
        };
        let bag = delivery.bag();
        let start = "%24.mid=m1&%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound&";
        assert!(bag.starts_with(start), "{bag}");
        assert!(bag.ends_with("&%24.ct=application%2Fjson&Room=a%20b%26c&iothub-ack=none"));
        let headers = delivery.headers();
        for (name, value) in [
            ("iothub-sequencenumber", "7"),
            ("iothub-deliverycount", "2"),
            ("contenttype", "application/json"),
            ("iothub-app-Room", "a b&c"),
        ] {
            assert!(
                headers.contains(&(name.to_owned(), value.to_owned())),
                "{name}"
            );
        }
        let module = Identity {
            module: Some(ModuleId::parse("m2").unwrap()),
            ..to.clone()
        };
        let delivery = Delivery {
            to: &module,
            ..delivery
        };
        let address = "/devices/d1/modules/m2/messages/deviceBound".to_owned();
        assert!(
            delivery
                .headers()
                .contains(&("iothub-to".to_owned(), address))
        );
    }
}
