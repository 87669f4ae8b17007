//! One event of the pages that operators and webhooks get.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{DeviceId, ModuleId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{EventSource, SenderStamp};
use crate::device_api::message::{is_stamped, system};

/// An event as the log has it.
#[derive(Debug, Clone)]
pub struct EventParts<'a> {
    /// Its place in the log.
    pub offset: u64,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// Where it comes from.
    pub source: EventSource,
    /// The device that sent it or that it is about.
    pub device: DeviceId,
    /// The module, when it is one's.
    pub module: Option<ModuleId>,
    /// What the hub knows of the sender. Events of the hub itself have none, nor do logs of older
    /// versions.
    pub sender: Option<&'a SenderStamp>,
    /// Properties named as in the bag of MQTT.
    pub properties: Vec<(String, String)>,
    /// The content, any bytes.
    pub body: &'a [u8],
}

/// One event of the page that operators read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventDocument {
    /// Its place in the log; ask for what comes after it.
    pub offset: u64,
    /// When the hub took it.
    pub enqueued_time: Timestamp,
    /// The device that sent the message.
    pub device_id: DeviceId,
    /// The module that sent it.
    pub module_id: Option<ModuleId>,
    /// The application properties, by name.
    pub properties: Map<String, Value>,
    /// System properties by their AMQP names, such as `message-id`.
    pub system_properties: Map<String, Value>,
    /// The content of the message, as base64.
    pub body: String,
}

impl EventDocument {
    /// The document of an event.
    #[must_use]
    pub fn new(event: EventParts<'_>) -> Self {
        let mut document = Self {
            offset: event.offset,
            enqueued_time: event.enqueued,
            properties: Map::new(),
            system_properties: stamps(&event),
            body: STANDARD.encode(event.body),
            device_id: event.device,
            module_id: event.module,
        };
        let stamped = std::mem::take(&mut document.system_properties);
        for (name, value) in event.properties {
            // Logs of older versions hold what senders had set in the hub's place.
            let is_mark = name == system::MESSAGE_TYPE || name == system::RETAIN;
            if is_stamped(&name) && !is_mark {
                continue;
            }
            match system_name(&name) {
                Some(system) => document
                    .system_properties
                    .insert(system.into(), value.into()),
                None => document.properties.insert(name, value.into()),
            };
        }
        // Last: what the hub knows of the sender is said by nobody else.
        document.system_properties.extend(stamped);
        document
    }
}

/// The system properties that only the hub sets.
fn stamps(event: &EventParts<'_>) -> Map<String, Value> {
    let mut stamps = Map::new();
    let mut stamp = |name: &str, value: String| stamps.insert(name.to_owned(), value.into());
    stamp("iothub-connection-device-id", event.device.to_string());
    if let Some(module) = &event.module {
        stamp("iothub-connection-module-id", module.to_string());
    }
    if let Some(sender) = event.sender {
        let generation = sender.generation_id.to_string();
        stamp("iothub-connection-auth-method", sender.auth.to_json_text());
        stamp("iothub-connection-auth-generation-id", generation);
        if let Some(model) = &sender.model_id {
            stamp("dt-dataschema", model.clone());
        }
    }
    stamp("iothub-enqueuedtime", event.enqueued.to_string());
    let source = event.source.message_source().to_owned();
    stamp("iothub-message-source", source);
    stamps
}

/// The AMQP name of a system property of the bag.
#[must_use]
pub fn system_name(token: &str) -> Option<&'static str> {
    Some(match token {
        "$.mid" => "message-id",
        "$.cid" => "correlation-id",
        "$.uid" => "user-id",
        "$.to" => "to",
        "$.ct" => "content-type",
        "$.ce" => "content-encoding",
        "$.exp" => "absolute-expiry-time",
        "$.ctime" => "iothub-creation-time-utc",
        "$.on" => "iothub-outputname",
        "$.ifid" => "iothub-interface-id",
        "$.sub" => "dt-subject",
        "$.schema" => "iothub-message-schema",
        "iothub-MessageType" => "iothub-MessageType",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::AuthMethod;

    fn parts(properties: Vec<(String, String)>) -> EventParts<'static> {
        EventParts {
            offset: 7,
            enqueued: Timestamp::from_unix_seconds(0),
            source: EventSource::DeviceMessages,
            device: DeviceId::parse("d1").unwrap(),
            module: None,
            sender: None,
            properties,
            body: b"hi",
        }
    }

    #[test]
    fn system_and_application_properties_are_apart() {
        let properties = vec![
            ("$.mid".to_owned(), "m1".to_owned()),
            ("k".to_owned(), "v".to_owned()),
        ];
        let sender = SenderStamp {
            generation_id: "g1".parse().unwrap(),
            auth: AuthMethod::DeviceX509,
            model_id: Some("dtmi:com:example;1".to_owned()),
        };
        let event = EventParts {
            sender: Some(&sender),
            ..parts(properties)
        };
        let json = serde_json::to_value(EventDocument::new(event)).unwrap();
        let system = &json["systemProperties"];
        assert_eq!(system["message-id"], "m1");
        assert_eq!(system["iothub-connection-auth-generation-id"], "g1");
        assert_eq!(system["dt-dataschema"], "dtmi:com:example;1");
        let auth = system["iothub-connection-auth-method"].as_str().unwrap();
        assert!(auth.contains(r#""type":"x509""#), "{auth}");
        assert_eq!(json["properties"], serde_json::json!({"k": "v"}));
        assert_eq!(json["body"], "aGk=");
    }

    // A4: events that an older version kept.
    #[test]
    fn a_forged_sender_in_an_old_log_is_not_shown() {
        let forged = crate::device_api::message::STAMPED
            .iter()
            .filter(|name| **name != system::MESSAGE_TYPE && **name != system::RETAIN)
            .map(|name| ((*name).to_owned(), "forged".to_owned()))
            .collect();
        let json = serde_json::to_value(EventDocument::new(parts(forged))).unwrap();
        assert!(!json.to_string().contains("forged"), "{json}");
        assert_eq!(
            json["systemProperties"],
            serde_json::json!({
                "iothub-connection-device-id": "d1",
                "iothub-enqueuedtime": "1970-01-01T00:00:00.0000000Z",
                "iothub-message-source": "Telemetry",
            })
        );
    }
}
