//! Error codes and the three envelopes that carry them.
//!
//! A code's first three digits are its HTTP status; clients classify by that division.

mod codes;

pub use codes::{DpsErrorCode, HubErrorCode};

use ids::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of every error of the provisioning service, on HTTPS and MQTT, and of
/// hub errors on MQTT.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceError {
    /// Six digits; the first three are an HTTP status.
    #[serde(alias = "code")]
    pub error_code: u32,
    /// Finds the failure in the server's log.
    #[serde(default)]
    pub tracking_id: String,
    /// A description of the failure for people.
    #[serde(alias = "errorMessage", default)]
    pub message: String,
    /// Details for programs; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// The time of the failure, UTC.
    #[serde(default = "never")]
    pub timestamp_utc: Timestamp,
}

fn never() -> Timestamp {
    Timestamp::NEVER
}

impl ServiceError {
    /// The header of the provisioning service's HTTPS errors that repeats the code.
    pub const HEADER: &'static str = "x-ms-error-code";

    /// An error of the provisioning service.
    #[must_use]
    pub fn dps(
        code: DpsErrorCode,
        message: impl Into<String>,
        tracking_id: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self::new(code.code(), message.into(), tracking_id.into(), now)
    }

    /// An error of a hub, as MQTT carries it.
    #[must_use]
    pub fn hub(
        code: HubErrorCode,
        message: impl Into<String>,
        tracking_id: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self::new(code.code(), message.into(), tracking_id.into(), now)
    }

    fn new(error_code: u32, message: String, tracking_id: String, now: Timestamp) -> Self {
        Self {
            error_code,
            tracking_id,
            message,
            info: None,
            timestamp_utc: now,
        }
    }

    /// The same error with details.
    #[must_use]
    pub fn with_info(mut self, info: Value) -> Self {
        self.info = Some(info);
        self
    }

    /// The HTTP status that the code stands for.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        u16::try_from(self.error_code / 1000).unwrap_or(500)
    }
}

/// The body of a hub's HTTPS errors: `Message` holds the other envelope as a JSON string.
///
/// `az iot` prints `Message`, device daemons show it, and the .NET service client reads the code
/// out of it; the name goes into the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubHttpError {
    /// `ErrorCode:NAME;` and the text, or the other envelope as a JSON string.
    #[serde(rename = "Message", alias = "message", alias = "errorMessage")]
    pub message: String,
    /// `Tracking ID:…-TimeStamp:…`, which finds the failure in the server's log.
    #[serde(rename = "ExceptionMessage", default)]
    pub exception_message: String,
}

impl HubHttpError {
    /// The header that names the code, for example `DeviceNotFound`.
    pub const HEADER: &'static str = "iothub-errorcode";

    /// An error of a hub, as HTTPS carries it.
    #[must_use]
    pub fn new(
        code: HubErrorCode,
        message: impl Into<String>,
        tracking_id: &str,
        now: Timestamp,
    ) -> Self {
        let inner = ServiceError::hub(code, message, tracking_id, now);
        Self {
            message: format!("ErrorCode:{};{}", code.name(), inner.message),
            exception_message: format!("Tracking ID:{tracking_id}-TimeStamp:{now}"),
        }
    }

    /// The same error with the other envelope as a JSON string in `Message`, which some clients
    /// look into for the code.
    #[must_use]
    pub fn nested(
        code: HubErrorCode,
        message: impl Into<String>,
        tracking_id: &str,
        now: Timestamp,
    ) -> Self {
        let inner = ServiceError::hub(code, message, tracking_id, now);
        let Self {
            exception_message, ..
        } = Self::new(code, "", tracking_id, now);
        let message = serde_json::json!({
            "errorCode": inner.error_code,
            "trackingId": inner.tracking_id,
            "message": inner.message,
            "timestampUtc": inner.timestamp_utc,
        });
        Self {
            message: message.to_string(),
            exception_message,
        }
    }

    /// The text for a person, and the code where the body tells it.
    #[must_use]
    pub fn read(&self) -> (Option<u32>, String) {
        if let Ok(inner) = serde_json::from_str::<ServiceError>(&self.message) {
            return (Some(inner.error_code), inner.message);
        }
        let named = self
            .message
            .strip_prefix("ErrorCode:")
            .and_then(|rest| rest.split_once(';'));
        match named {
            Some((name, text)) => (
                HubErrorCode::from_name(name).map(HubErrorCode::code),
                text.to_owned(),
            ),
            None => (None, self.message.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_704_067_200);

    #[test]
    fn the_service_envelope_has_azures_members() {
        let error = ServiceError::dps(DpsErrorCode::EnrollmentNotFound, "Not found.", "abc", NOW);
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            json!({"errorCode": 404_201, "trackingId": "abc", "message": "Not found.",
                "timestampUtc": "2024-01-01T00:00:00.0000000Z"})
        );
        assert_eq!(error.http_status(), 404);
        let with_info = error.with_info(json!({"a": 1}));
        assert_eq!(
            serde_json::to_value(&with_info).unwrap()["info"],
            json!({"a": 1})
        );
    }

    #[test]
    fn what_a_device_reads_may_lack_members() {
        let error: ServiceError =
            serde_json::from_value(json!({"code": 401_002, "errorMessage": "Unauthorized"}))
                .unwrap();
        assert_eq!(
            (error.error_code, error.message.as_str()),
            (401_002, "Unauthorized")
        );
    }

    #[test]
    fn a_hub_error_is_read_back_from_both_forms() {
        for error in [
            HubHttpError::new(HubErrorCode::DeviceNotFound, "No device d1.", "abc", NOW),
            HubHttpError::nested(HubErrorCode::DeviceNotFound, "No device d1.", "abc", NOW),
        ] {
            let body = serde_json::to_string(&error).unwrap();
            let back: HubHttpError = serde_json::from_str(&body).unwrap();
            assert_eq!(
                back.read(),
                (Some(404_001), "No device d1.".to_owned()),
                "{body}"
            );
        }
        let new = HubHttpError::new(HubErrorCode::DeviceNotFound, "No device d1.", "abc", NOW);
        assert_eq!(
            serde_json::to_value(new).unwrap(),
            json!({"Message": "ErrorCode:DeviceNotFound;No device d1.",
                "ExceptionMessage": "Tracking ID:abc-TimeStamp:2024-01-01T00:00:00.0000000Z"})
        );
    }
}
