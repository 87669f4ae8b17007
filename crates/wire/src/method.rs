//! Direct methods: the request an operator sends and the answer he gets.

use serde::Serialize;
use serde_json::Value;

use crate::lenient::{BodyError, Fields};

/// Largest payload in each direction, bytes of JSON text.
pub const MAX_PAYLOAD: usize = 128 * 1024;
/// Longest method name, characters.
pub const MAX_NAME: usize = 100;

/// `POST /twins/{id}/methods`: names in any case, timeouts as numbers or strings.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodRequest {
    /// Name of the method, 1 to 100 characters.
    pub name: String,
    /// What the device receives; `None` sends an empty message.
    pub payload: Option<Value>,
    /// How long the device may take to answer, seconds, 5 to 300; 30 when absent.
    pub response_timeout: u16,
    /// How long to wait for an absent device to connect, seconds, 0 to 300; 0 when absent.
    pub connect_timeout: u16,
}

impl MethodRequest {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let name = fields.text("methodName")?.unwrap_or_default();
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(fields.error(
                "methodName",
                format!("a name of 1 to {MAX_NAME} characters is required"),
            ));
        }
        // The name becomes one level of a topic.
        if name
            .chars()
            .any(|c| c.is_control() || matches!(c, '/' | '+' | '#'))
        {
            return Err(fields.error(
                "methodName",
                "control characters and / + # cannot be sent in a topic",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            payload: fields.get("payload").cloned(),
            response_timeout: seconds(&fields, "responseTimeoutInSeconds", 5, 30)?,
            connect_timeout: seconds(&fields, "connectTimeoutInSeconds", 0, 0)?,
        })
    }
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodResponse {
    /// Status the device chose.
    pub status: i32,
    /// What it answered; absent when it sent no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timeouts_may_be_strings() {
        let body = json!({"methodName": "ping", "payload": {"a": 1}, "responseTimeoutInSeconds": "30", "connectTimeoutInSeconds": "15"});
        let request = MethodRequest::parse(&body).unwrap();
        assert_eq!(
            (request.response_timeout, request.connect_timeout),
            (30, 15)
        );
        assert_eq!(request.payload, Some(json!({"a": 1})));
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
            assert_eq!(MethodRequest::parse(&body).unwrap_err().path, place);
        }
    }
}
