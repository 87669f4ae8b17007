//! The properties of an event by the names that routes use.

use std::borrow::Cow;

use serde_json::Value as Json;
use wire::device_api::message::system;

use crate::event::Event;

/// System properties of the sender: names in conditions, and the name in the bag.
const SENT: [(&[&str], &str); 11] = [
    (&["messageId", "message-id"], system::MESSAGE_ID),
    (&["correlationId", "correlation-id"], system::CORRELATION_ID),
    (&["userId", "user-id"], system::USER_ID),
    (&["to"], system::TO),
    (&["contentType", "content-type"], system::CONTENT_TYPE),
    (
        &["contentEncoding", "content-encoding"],
        system::CONTENT_ENCODING,
    ),
    (
        &["absoluteExpiryTime", "absolute-expiry-time"],
        system::EXPIRY,
    ),
    (
        &["creationTimeUtc", "iothub-creation-time-utc"],
        system::CREATION_TIME,
    ),
    (&["outputName", "iothub-outputname"], system::OUTPUT_NAME),
    (&["iothub-interface-id"], system::INTERFACE_ID),
    (&["dt-subject"], system::SUBJECT),
];

/// The name in the bag of a system property that senders set, by its name in conditions.
pub(super) fn bag_name(name: &str) -> Option<&'static str> {
    let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let found = SENT.iter().find(|(names, _)| is(names))?;
    Some(found.1)
}

impl Event {
    /// The property of this name as it was sent, in any letter case: the bag's own name.
    fn sent(&self, name: &str) -> Option<&str> {
        let named = |(sent, _): &&(String, String)| sent.eq_ignore_ascii_case(name);
        let found = self.properties.iter().find(named)?;
        Some(&found.1)
    }

    /// An application property, in any letter case.
    pub(super) fn application_property(&self, name: &str) -> Option<&str> {
        match name.starts_with("$.") {
            true => None,
            false => self.sent(name),
        }
    }

    /// A system property by its name without `$`, in any letter case.
    pub(super) fn system_property(&self, name: &str) -> Option<Cow<'_, str>> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        if let Some(token) = bag_name(name) {
            return self.sent(token).map(Cow::Borrowed);
        }
        if is("connectionDeviceId") || is("iothub-connection-device-id") {
            return Some(self.device.as_str().into());
        }
        if is("connectionModuleId") || is("iothub-connection-module-id") {
            let module = self.module.as_ref();
            return module.map(|module| module.as_str().into());
        }
        if is("enqueuedTime") || is("iothub-enqueuedtime") {
            return Some(self.enqueued.to_string().into());
        }
        if is("iothub-message-source") {
            return Some(self.source.message_source().into());
        }
        let sender = self.sender.as_deref()?;
        if is("dt-dataschema") {
            return sender.model_id.as_deref().map(Cow::Borrowed);
        }
        if is("connectionAuthGenerationId") || is("iothub-connection-auth-generation-id") {
            return Some(sender.generation_id.as_str().into());
        }
        if is("connectionAuthMethod") || is("iothub-connection-auth-method") {
            return Some(sender.auth.to_json_text().into());
        }
        None
    }

    /// The content as JSON: only when content type and encoding say so.
    pub(super) fn json_body(&self) -> Option<Json> {
        let kind = self.sent(system::CONTENT_TYPE)?;
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return None;
        }
        let text = decoded(self.sent(system::CONTENT_ENCODING)?, &self.body)?;
        wire::lenient::parse(text.as_bytes()).ok()
    }
}

/// A text in one of the encodings that routes can look into. Without a byte order mark, little
/// endian is meant.
fn decoded<'a>(encoding: &str, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    let is = |name: &str| encoding.trim().eq_ignore_ascii_case(name);
    if is("utf-8") {
        return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    }
    if is("utf-16") {
        let (big, bytes) = match bytes {
            [0xFE, 0xFF, rest @ ..] => (true, rest),
            [0xFF, 0xFE, rest @ ..] => (false, rest),
            all => (false, all),
        };
        let (pairs, []) = bytes.as_chunks::<2>() else {
            return None;
        };
        let unit = |pair: &[u8; 2]| match big {
            true => u16::from_be_bytes(*pair),
            false => u16::from_le_bytes(*pair),
        };
        let text: Result<String, _> = char::decode_utf16(pairs.iter().map(unit)).collect();
        return text.ok().map(Cow::Owned);
    }
    if is("utf-32") {
        let (big, bytes) = match bytes {
            [0, 0, 0xFE, 0xFF, rest @ ..] => (true, rest),
            [0xFF, 0xFE, 0, 0, rest @ ..] => (false, rest),
            all => (false, all),
        };
        let (quads, []) = bytes.as_chunks::<4>() else {
            return None;
        };
        let unit = |quad: &[u8; 4]| {
            char::from_u32(match big {
                true => u32::from_be_bytes(*quad),
                false => u32::from_le_bytes(*quad),
            })
        };
        let text: Option<String> = quads.iter().map(unit).collect();
        return text.map(Cow::Owned);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_encodings_are_read_with_and_without_a_mark() {
        let text = "{\"°\":\"😀\"}";
        let utf16: Vec<u16> = text.encode_utf16().collect();
        let le16: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let be16: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let le32: Vec<u8> = text
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect();
        let be32: Vec<u8> = text
            .chars()
            .flat_map(|c| u32::from(c).to_be_bytes())
            .collect();
        for (encoding, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("utf-16", le16.clone()),
            ("UTF-16", [vec![0xFF, 0xFE], le16.clone()].concat()),
            ("UTF-16", [vec![0xFE, 0xFF], be16].concat()),
            ("utf-32", le32.clone()),
            ("UTF-32", [vec![0xFF, 0xFE, 0, 0], le32].concat()),
            ("UTF-32", [vec![0, 0, 0xFE, 0xFF], be32].concat()),
        ] {
            assert_eq!(decoded(encoding, &bytes).unwrap(), text, "{encoding}");
        }
        assert_eq!(decoded("utf-16", &le16[1..]), None);
        assert_eq!(decoded("latin1", b"{}"), None);
        assert_eq!(decoded("utf-8", b"\xff"), None);
    }
}
