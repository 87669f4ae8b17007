//! Telemetry over HTTPS: the headers and batches that devices post, and the page of
//! events that operators read.
//!
//! Reading events this way is our own addition (`GET /muster/v1/events`), not Azure's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::lenient::{self, BodyError, Fields};

mod auth_method;
mod event_document;
mod event_source;

pub use auth_method::{AuthMethod, SenderStamp};
pub use event_document::{EventDocument, EventParts};
pub use event_source::EventSource;

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
}
