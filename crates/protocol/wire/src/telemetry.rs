//! Telemetry over HTTPS: the headers and batches that devices post, and the page of
//! events that operators read.
//!
//! Reading events this way is our own addition (`GET /muster/v1/events`), not Azure's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{DeviceId, ModuleId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::device_api::message::{is_stamped, system};
use crate::lenient::{self, BodyError, Fields};

/// Largest message, bytes: its body with the names and values of its properties.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// Most messages of one batch.
pub const MAX_BATCH: usize = 500;
/// Content type of a batch.
pub const BATCH: &str = "application/vnd.microsoft.iothub.json";

/// Header of a page of events: ask for what comes after this number. It may be further than the
/// last event of the page.
pub const EVENTS_NEXT: &str = "x-muster-events-next";
/// Header of a page of events: numbers up to there that were given out and cannot
/// be read, as `FIRST-LAST,FIRST-LAST`.
pub const EVENTS_MISSING: &str = "x-muster-events-missing";

/// Headers of system properties, with the names that the property bag of MQTT gives them.
const SYSTEM_HEADERS: [(&str, &str); 9] = [
    ("iothub-messageid", "$.mid"),
    ("iothub-correlationid", "$.cid"),
    ("iothub-userid", "$.uid"),
    ("iothub-to", "$.to"),
    ("iothub-expiry", "$.exp"),
    ("iothub-contenttype", "$.ct"),
    ("contenttype", "$.ct"),
    ("iothub-contentencoding", "$.ce"),
    ("contentencoding", "$.ce"),
];
const APPLICATION: &str = "iothub-app-";

/// One message to be kept: properties named as in the bag of MQTT, and the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// System properties (`$.mid`, …) and application properties, in the order sent.
    pub properties: Vec<(String, String)>,
    /// The content of the message, any bytes.
    pub body: Vec<u8>,
}

/// The property that a header (or a member of a batch item's `properties`) stands for.
#[must_use]
pub fn property_name(header: &str) -> Option<String> {
    // HTTP header names have no case, so application names arrive in lower case over HTTP.
    let prefix = header
        .get(..APPLICATION.len())
        .filter(|prefix| prefix.eq_ignore_ascii_case(APPLICATION));
    match prefix {
        Some(_) => Some(header[APPLICATION.len()..].to_owned()),
        None => {
            let known = SYSTEM_HEADERS
                .iter()
                .find(|(name, _)| header.eq_ignore_ascii_case(name));
            known.map(|(_, token)| (*token).to_owned())
        }
    }
}

/// Reads a batch: `[{"body", "base64Encoded" (true when absent), "properties"}]`.
///
/// # Errors
/// When it is not such an array, has too many items, or an item is too large.
pub fn parse_batch(body: &[u8]) -> Result<Vec<Posted>, BodyError> {
    let value = lenient::parse(body)?;
    let Value::Array(items) = &value else {
        return Err(BodyError::new("", "a batch is a JSON array of messages"));
    };
    if items.len() > MAX_BATCH {
        return Err(BodyError::new(
            "",
            format!(
                "the batch has {} messages; {MAX_BATCH} are allowed",
                items.len()
            ),
        ));
    }
    items
        .iter()
        .map(|item| parse_item(&Fields::of_body(item)?))
        .collect()
}

fn parse_item(item: &Fields<'_>) -> Result<Posted, BodyError> {
    let text = item.text("body")?.unwrap_or_default();
    let body = if item.boolean("base64Encoded")?.unwrap_or(true) {
        STANDARD
            .decode(text)
            .map_err(|_| item.error("body", "base64 was expected"))?
    } else {
        text.as_bytes().to_vec()
    };
    let given = item.text_map("properties")?.unwrap_or_default();
    let named = |(name, value): (String, String)| (property_name(&name).unwrap_or(name), value);
    Ok(Posted {
        properties: given.into_iter().map(named).collect(),
        body,
    })
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
    /// Shows an event. `properties` are named as in the bag of MQTT.
    #[must_use]
    pub fn new(
        offset: u64,
        enqueued: Timestamp,
        (device, module): (DeviceId, Option<ModuleId>),
        properties: Vec<(String, String)>,
        body: &[u8],
    ) -> Self {
        let mut document = Self {
            offset,
            enqueued_time: enqueued,
            properties: Map::new(),
            system_properties: Map::new(),
            body: STANDARD.encode(body),
            device_id: device,
            module_id: module,
        };
        for (name, value) in properties {
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
        document.system_properties.insert(
            "iothub-connection-device-id".into(),
            document.device_id.as_str().into(),
        );
        if let Some(module) = &document.module_id {
            document
                .system_properties
                .insert("iothub-connection-module-id".into(), module.as_str().into());
        }
        document
    }
}

/// The AMQP name of a system property of the bag.
fn system_name(token: &str) -> Option<&'static str> {
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

    #[test]
    fn headers_become_properties() {
        assert_eq!(property_name("IoTHub-MessageId").as_deref(), Some("$.mid"));
        assert_eq!(property_name("iothub-app-room").as_deref(), Some("room"));
        assert_eq!(property_name("content-length"), None);
    }

    #[test]
    fn the_batch_of_the_node_client() {
        let batch = br#"[{"body":"eyJ0IjoxfQ==","properties":{"iothub-app-k":"v"}},
            {"body":"plain","base64Encoded":false}]"#;
        let messages = parse_batch(batch).unwrap();
        assert_eq!(messages[0].body, b"{\"t\":1}");
        assert_eq!(messages[0].properties, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(messages[1].body, b"plain");
        assert!(parse_batch(b"{}").is_err());
        assert_eq!(parse_batch(br#"[{"body":"!"}]"#).unwrap_err().path, "body");
    }

    #[test]
    fn system_and_application_properties_are_told_apart() {
        let device = DeviceId::parse("d1").unwrap();
        let properties = vec![
            ("$.mid".to_owned(), "m1".to_owned()),
            ("k".to_owned(), "v".to_owned()),
        ];
        let document = EventDocument::new(
            7,
            Timestamp::from_unix_seconds(0),
            (device, None),
            properties,
            b"hi",
        );
        let json = serde_json::to_value(&document).unwrap();
        assert_eq!(json["systemProperties"]["message-id"], "m1");
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
        let device = DeviceId::parse("d1").unwrap();
        let at = Timestamp::from_unix_seconds(0);
        let document = EventDocument::new(7, at, (device, None), forged, b"");
        let json = serde_json::to_value(&document).unwrap();
        assert!(!json.to_string().contains("forged"), "{json}");
        assert_eq!(
            json["systemProperties"],
            serde_json::json!({"iothub-connection-device-id": "d1"})
        );
    }
}
