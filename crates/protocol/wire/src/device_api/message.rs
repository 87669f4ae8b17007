//! Property bags: how a message's properties travel in its topic.
//!
//! `k=v&k2=v2`, names and values encoded as in RFC 3986; a name without `=` has no value, which is
//! not the same as an empty one.

use percent_encoding::percent_decode_str;

use crate::sas::percent_encode;

/// Most properties of one message.
pub const MAX_PROPERTIES: usize = 256;

/// Names of system properties in a bag.
pub mod system {
    /// Message id, chosen by the sender.
    pub const MESSAGE_ID: &str = "$.mid";
    /// Correlation id: the message id that this one answers.
    pub const CORRELATION_ID: &str = "$.cid";
    /// User id: the origin of the message.
    pub const USER_ID: &str = "$.uid";
    /// Destination path of a command.
    pub const TO: &str = "$.to";
    /// Content type, such as `application/json`.
    pub const CONTENT_TYPE: &str = "$.ct";
    /// Content encoding, such as `utf-8`.
    pub const CONTENT_ENCODING: &str = "$.ce";
    /// Absolute expiry time, ISO 8601.
    pub const EXPIRY: &str = "$.exp";
    /// Creation time, ISO 8601.
    pub const CREATION_TIME: &str = "$.ctime";
    /// Output of a module.
    pub const OUTPUT_NAME: &str = "$.on";
    /// Interface id, `urn:azureiot:Security:SecurityAgent:1` for security messages.
    pub const INTERFACE_ID: &str = "$.ifid";
    /// IoT Plug and Play component.
    pub const SUBJECT: &str = "$.sub";
    /// Schema of the message's content.
    pub const SCHEMA: &str = "$.schema";
    /// Device on whose behalf a gateway sends.
    pub const CONNECTION_DEVICE_ID: &str = "$.cdid";
    /// Module on whose behalf a gateway sends.
    pub const CONNECTION_MODULE_ID: &str = "$.cmid";
    /// Feedback that the sender of a command wants.
    pub const ACK: &str = "iothub-ack";
    /// Creation time, written by the hub.
    pub const CREATION_TIME_UTC: &str = "iothub-creation-time-utc";
    /// What the hub marks a message with that came as a will, value `Will`.
    pub const MESSAGE_TYPE: &str = "iothub-MessageType";
    /// What the hub marks a message with that was to be retained, value `true`.
    pub const RETAIN: &str = "mqtt-retain";
}

/// The properties that the hub itself gives a message. Back ends route on them and believe them, so
/// no sender may set one: see [`is_stamped`].
pub const STAMPED: [&str; 15] = [
    system::CONNECTION_DEVICE_ID,
    system::CONNECTION_MODULE_ID,
    system::MESSAGE_TYPE,
    system::RETAIN,
    "iothub-connection-device-id",
    "iothub-connection-module-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "dt-dataschema",
    "x-opt-sequence-number",
    "x-opt-offset",
    "x-opt-enqueued-time",
    "x-opt-partition-key",
];

/// What begins so is the hub's too: it will have more of them.
const STAMPED_FAMILIES: [&str; 2] = ["iothub-connection-", "x-opt-"];

/// Whether a property is the hub's to set, in any letter case: routes compare names without case,
/// and HTTP headers have none.
#[must_use]
pub fn is_stamped(name: &str) -> bool {
    let begins = |family: &&str| {
        name.get(..family.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(family))
    };
    STAMPED.iter().any(|own| name.eq_ignore_ascii_case(own)) || STAMPED_FAMILIES.iter().any(begins)
}

/// Why a text is not a property bag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BagError {
    /// It has more properties than allowed.
    #[error("a message may have {MAX_PROPERTIES} properties at most")]
    TooMany,
    /// A name is empty.
    #[error("a message property has no name")]
    NoName,
    /// A name or value is not UTF-8 once decoded.
    #[error("a message property is not UTF-8")]
    Encoding,
}

/// The properties of one message, in the order sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PropertyBag(Vec<(String, Option<String>)>);

impl PropertyBag {
    /// A message without properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the part of a topic after `messages/events/`; the slash that some
    /// SDKs append is ignored.
    ///
    /// # Errors
    /// When there are too many properties, or one has no name or is not UTF-8.
    pub fn decode(bag: &str) -> Result<Self, BagError> {
        let bag = bag.trim_end_matches('/').trim_start_matches('?');
        let mut properties = Vec::new();
        for pair in bag.split('&').filter(|pair| !pair.is_empty()) {
            if properties.len() == MAX_PROPERTIES {
                return Err(BagError::TooMany);
            }
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(decoded(value)?)),
                None => (pair, None),
            };
            if name.is_empty() {
                return Err(BagError::NoName);
            }
            properties.push((decoded(name)?, value));
        }
        Ok(Self(properties))
    }

    /// The text for a topic.
    #[must_use]
    pub fn encode(&self) -> String {
        let pair = |(name, value): &(String, Option<String>)| match value {
            Some(value) => format!("{}={}", percent_encode(name), percent_encode(value)),
            None => percent_encode(name),
        };
        self.0.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// Adds a property, or replaces the one of that name.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), Some(value.into()));
        match self.0.iter_mut().find(|(present, _)| *present == name) {
            Some(property) => property.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// The same, for chains.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// The value of a property; `Some(None)` for one without value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&str>> {
        self.0
            .iter()
            .find(|(present, _)| present == name)
            .map(|(_, value)| value.as_deref())
    }

    /// The text of a property that has one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).flatten()
    }

    /// All properties, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// The properties that the sender's application set: neither `$.…` nor `iothub-…`.
    pub fn application(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.iter()
            .filter(|(name, _)| !name.starts_with("$.") && !name.starts_with("iothub-"))
    }

    /// Whether the bag has no property.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn decoded(text: &str) -> Result<String, BagError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| BagError::Encoding)
}

/// `POST` target of telemetry, without host and query.
#[must_use]
pub fn events_path(device_id: &str) -> String {
    format!("/devices/{device_id}/messages/events")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_python_sdks_bag_is_read() {
        let bag =
            PropertyBag::decode("%24.mid=mid1&%24.ct=application%2Fjson&%24.ce=utf-8&k=v").unwrap();
        assert_eq!(bag.text(system::MESSAGE_ID), Some("mid1"));
        assert_eq!(bag.text(system::CONTENT_TYPE), Some("application/json"));
        assert_eq!(bag.application().collect::<Vec<_>>(), [("k", Some("v"))]);
    }

    #[test]
    fn no_value_and_an_empty_value_differ() {
        let bag = PropertyBag::decode("none&empty=&eq=a=b").unwrap();
        assert_eq!(bag.get("none"), Some(None));
        assert_eq!(bag.get("empty"), Some(Some("")));
        assert_eq!(bag.get("eq"), Some(Some("a=b")));
        assert_eq!(bag.get("absent"), None);
        assert_eq!(bag.encode(), "none&empty=&eq=a%3Db");
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let bag = PropertyBag::new()
            .with("$.on", "out 1/ü")
            .with("a+b", "50%&x=y");
        assert_eq!(bag.encode(), "%24.on=out%201%2F%C3%BC&a%2Bb=50%25%26x%3Dy");
        assert_eq!(PropertyBag::decode(&bag.encode()).unwrap(), bag);
        assert!(PropertyBag::decode("").unwrap().is_empty());
        assert_eq!(PropertyBag::decode("a=b/").unwrap().text("a"), Some("b"));
    }

    #[test]
    fn bad_bags_are_refused() {
        let many = vec!["a=b"; MAX_PROPERTIES + 1].join("&");
        assert_eq!(PropertyBag::decode(&many), Err(BagError::TooMany));
        assert_eq!(PropertyBag::decode("=v"), Err(BagError::NoName));
        assert_eq!(PropertyBag::decode("a=%ff"), Err(BagError::Encoding));
    }
}
