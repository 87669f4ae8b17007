//! Direct methods: the request of an operator and the answer of the device.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::lenient::{self, BodyError, Fields};

/// Largest payload in each direction, bytes of JSON text.
pub const MAX_PAYLOAD: usize = 128 * 1024;
/// Longest method name, characters.
pub const MAX_NAME: usize = 100;

/// `POST /twins/{id}/methods`: names in any case, timeouts as numbers or strings.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodRequest {
    /// Name of the method, 1 to 100 characters.
    pub name: String,
    /// What the device receives, as JSON text with the digits that were sent: `null` where the
    /// body says so, an empty message (`None`) where it has no such member. Clones share it.
    pub payload: Option<Bytes>,
    /// How long the device may take to answer, seconds, 5 to 300; 30 when absent.
    pub response_timeout: u16,
    /// How long to wait for an absent device to connect, seconds, 0 to 300; 0 when absent.
    pub connect_timeout: u16,
}

impl MethodRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is not a JSON object, or a member is not what it should be; says which.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let value = lenient::parse(body)?;
        let fields = Fields::of_body(&value)?;
        let name = fields.text("methodName")?.unwrap_or_default();
        let name = sendable(name).map_err(|problem| fields.error("methodName", problem))?;
        Ok(Self {
            name,
            payload: member_text("payload", body).map(Bytes::from),
            response_timeout: seconds(&fields, "responseTimeoutInSeconds", 5, 30)?,
            connect_timeout: seconds(&fields, "connectTimeoutInSeconds", 0, 0)?,
        })
    }

    /// A command of a digital twin: the body is the payload, the timeouts are in the query string.
    ///
    /// # Errors
    /// When the body is not JSON, or the name or a timeout is not what it should be.
    pub fn of_command(
        name: &str,
        body: &[u8],
        connect_timeout: Option<&str>,
        response_timeout: Option<&str>,
    ) -> Result<Self, BodyError> {
        let name = sendable(name).map_err(|problem| BodyError::new("command", problem))?;
        let text = lenient::without_bom(body);
        let payload = if text.iter().all(u8::is_ascii_whitespace) {
            None
        } else {
            let value: &RawValue = serde_json::from_slice(text)
                .map_err(|error| BodyError::new("", format!("the body is not JSON: {error}")))?;
            Some(compact(value.get()))
                .filter(|text| text != "null")
                .map(Bytes::from)
        };
        let timeouts = serde_json::json!({
            "connectTimeoutInSeconds": connect_timeout,
            "responseTimeoutInSeconds": response_timeout,
        });
        let timeouts = Fields::of_body(&timeouts)?;
        Ok(Self {
            name,
            payload,
            response_timeout: seconds(&timeouts, "responseTimeoutInSeconds", 5, 30)?,
            connect_timeout: seconds(&timeouts, "connectTimeoutInSeconds", 0, 0)?,
        })
    }
}

/// The name becomes one level of a topic.
fn sendable(name: &str) -> Result<String, String> {
    let refused = |c: char| c.is_control() || matches!(c, '/' | '+' | '#');
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(format!("a name of 1 to {MAX_NAME} characters is required"));
    }
    match name.chars().any(refused) {
        true => Err("control characters and / + # cannot be sent in a topic".to_owned()),
        false => Ok(name.to_owned()),
    }
}

/// The text of a member of an object, without the white space between its parts.
pub(super) fn member_text(name: &str, body: &[u8]) -> Option<String> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_slice(lenient::without_bom(body)).ok()?;
    let other_case = || {
        members
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    };
    members
        .get(name)
        .or_else(other_case)
        .map(|value| compact(value.get()))
}

fn compact(json: &str) -> String {
    let (mut text, mut escaped) = (false, false);
    let kept = |c: &char| {
        let keep = text || !c.is_ascii_whitespace();
        match (*c, text, escaped) {
            ('"', _, false) => text = !text,
            ('\\', true, false) => {
                escaped = true;
                return keep;
            }
            _ => {}
        }
        escaped = false;
        keep
    };
    json.chars().filter(kept).collect()
}

fn seconds(fields: &Fields<'_>, name: &str, least: u16, default: u16) -> Result<u16, BodyError> {
    const MOST: u16 = 300;
    let Some(given) = fields.whole(name)? else {
        return Ok(default);
    };
    u16::try_from(given)
        .ok()
        .filter(|seconds| (least..=MOST).contains(seconds))
        .ok_or_else(|| {
            fields.error(
                name,
                format!("{given} is outside {least} to {MOST} seconds"),
            )
        })
}

/// The device's answer, whatever its status.
#[derive(Debug, Clone, Serialize)]
pub struct MethodResponse {
    /// The status that the device chose.
    pub status: i32,
    /// What it answered, with the digits that it sent; absent when it sent no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timeouts_may_be_strings() {
        let body = json!({"methodName": "ping", "payload": {"a": 1},
            "responseTimeoutInSeconds": "30", "connectTimeoutInSeconds": "15"});
        let request = MethodRequest::parse(body.to_string().as_bytes()).unwrap();
        assert_eq!(
            (request.response_timeout, request.connect_timeout),
            (30, 15)
        );
        assert_eq!(request.payload.as_deref(), Some(br#"{"a":1}"#.as_slice()));
    }

    // H22: what passes through the hub is not read as numbers.
    #[test]
    fn payloads_keep_their_digits_and_lose_their_white_space() {
        let body = br#"{"methodName": "m", "PAYLOAD" : { "n" : [18446744073709551616, 0.10, 1e400],
            "t": " a \" b\\" , "u": "\\\" x" } }"#;
        let request = MethodRequest::parse(body);
        // 1e400 is no number of JSON's usual readers.
        assert!(request.is_err());
        let body = std::str::from_utf8(body).unwrap().replace(", 1e400", "");
        let request = MethodRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(
            request.payload.as_deref(),
            Some(br#"{"n":[18446744073709551616,0.10],"t":" a \" b\\","u":"\\\" x"}"#.as_slice())
        );
        let marked = ["\u{feff}", &body].concat();
        assert!(
            MethodRequest::parse(marked.as_bytes())
                .unwrap()
                .payload
                .is_some()
        );
        let absent = MethodRequest::parse(br#"{"methodName": "m"}"#).unwrap();
        assert_eq!(absent.payload, None);
    }

    // Node's device SDK reads the payload as JSON, and refuses an empty one.
    #[test]
    fn a_payload_of_null_is_sent_as_such() {
        let null = MethodRequest::parse(br#"{"methodName": "m", "payload": null}"#).unwrap();
        assert_eq!(null.payload.as_deref(), Some(b"null".as_slice()));
    }

    #[test]
    fn a_command_has_its_payload_as_body() {
        let command = |body: &[u8], seconds| {
            MethodRequest::of_command("a*b", body, None, seconds).map(|request| request.payload)
        };
        assert_eq!(command(b" ", None), Ok(None));
        assert_eq!(command(b"null", Some("5")), Ok(None));
        let digits = command(b"{ \"n\": 18446744073709551616 }", None);
        assert_eq!(
            digits.unwrap().as_deref(),
            Some(br#"{"n":18446744073709551616}"#.as_slice())
        );
        assert!(command(b"{", None).is_err());
        assert!(command(b"", Some("4")).is_err());
        assert!(MethodRequest::of_command("a/b", b"", None, None).is_err());
    }

    #[test]
    fn limits_are_named() {
        for (body, place) in [
            (json!({}), "methodName"),
            (json!({"methodName": "a/b"}), "methodName"),
            (
                json!({"methodName": "a", "responseTimeoutInSeconds": 4}),
                "responseTimeoutInSeconds",
            ),
            (
                json!({"methodName": "a", "connectTimeoutInSeconds": 301}),
                "connectTimeoutInSeconds",
            ),
        ] {
            assert_eq!(
                MethodRequest::parse(body.to_string().as_bytes())
                    .unwrap_err()
                    .path,
                place
            );
        }
    }
}
