//! A connected device asks its hub for another certificate:
//! `$iothub/credentials/POST/issueCertificate`.

use ids::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::binary::Base64Bytes;
use crate::error::HubErrorCode;
use crate::lenient::{self, Fields};

/// Longest `csr`, characters of base64.
pub const MAX_CSR_TEXT: usize = 8 * 1024;

const MEMBERS: [&str; 3] = ["id", "csr", "replace"];

/// What a device asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueCertificateRequest {
    /// A PKCS#10 request, DER, not looked at.
    pub csr: Base64Bytes,
    /// The pending request that this one takes the place of.
    pub replace: Option<Replace>,
}

/// Which pending request ends without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replace {
    /// `*`: one of any id, if there is one.
    Any,
    /// The one of this id; there must be one.
    Request(String),
}

/// Why a request could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IssueCertificateError {
    /// No body.
    #[error("the payload is empty; a JSON object with 'id' and 'csr' was expected")]
    Empty,
    /// Not JSON.
    #[error("the payload is not JSON: {0}")]
    Syntax(String),
    /// JSON of another form.
    #[error("the payload is not accepted: {0}")]
    Member(String),
}

impl IssueCertificateError {
    /// The code that the service answers with.
    #[must_use]
    pub fn code(&self) -> HubErrorCode {
        match self {
            Self::Syntax(_) => HubErrorCode::IotHubFormatError,
            Self::Empty | Self::Member(_) => HubErrorCode::ArgumentInvalid,
        }
    }
}

impl IssueCertificateRequest {
    /// Reads the payload that `device` published.
    ///
    /// # Errors
    /// When it is not such an object, is for another device, or has other members: the service
    /// refuses those, too.
    pub fn parse(payload: &[u8], device: &DeviceId) -> Result<Self, IssueCertificateError> {
        let payload = lenient::without_bom(payload);
        if payload.iter().all(u8::is_ascii_whitespace) {
            return Err(IssueCertificateError::Empty);
        }
        let syntax = |error: serde_json::Error| IssueCertificateError::Syntax(error.to_string());
        let body: Value = serde_json::from_slice(payload).map_err(syntax)?;
        read(&body, device).map_err(IssueCertificateError::Member)
    }
}

fn read(body: &Value, device: &DeviceId) -> Result<IssueCertificateRequest, String> {
    let fields = Fields::of_body(body).map_err(|error| error.to_string())?;
    let mut names = fields.map().keys();
    let is_known = |name: &str| MEMBERS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let Some(unknown) = names.find(|name| !is_known(name)) {
        let unknown: String = unknown.chars().take(64).collect();
        return Err(format!(
            "{unknown:?} is not one of its members, which are 'id', 'csr' and 'replace'"
        ));
    }
    let text = |name| fields.text(name).map_err(|error| error.to_string());
    match text("id")? {
        Some(id) if id == device.as_str() => {}
        Some("") | None => return Err("'id' is missing; send the device id".to_owned()),
        Some(_) => return Err("'id' is not the device id that is connected".to_owned()),
    }
    let csr = text("csr")?.unwrap_or_default();
    if csr.len() > MAX_CSR_TEXT {
        let length = csr.len();
        return Err(format!(
            "'csr' has {length} characters; {MAX_CSR_TEXT} are allowed"
        ));
    }
    let csr =
        Base64Bytes::parse(csr, MAX_CSR_TEXT).map_err(|problem| format!("'csr' {problem}"))?;
    let replace = text("replace")?.map(Replace::parse).transpose()?;
    Ok(IssueCertificateRequest { csr, replace })
}

impl Replace {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_id = (4..=36).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with('-')
            && !text.ends_with('-');
        match is_id {
            true => Ok(Self::Request(text.to_owned())),
            false => Err(
                "'replace' is neither '*' nor a request id: 4 to 36 letters, digits and \
                          hyphens, no hyphen at the ends"
                    .to_owned(),
            ),
        }
    }
}

/// The answer 202: the request is pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateRequestAccepted {
    /// Finds the request in the server's log.
    pub correlation_id: String,
    /// When the service gives the request up.
    pub operation_expires: Timestamp,
}

/// The answer 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedCertificates {
    /// As in [`CertificateRequestAccepted`].
    pub correlation_id: String,
    /// DER: the device's own first, each followed by its issuer.
    pub certificates: Vec<Base64Bytes>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device() -> DeviceId {
        DeviceId::parse("press-7").unwrap()
    }

    fn parse(payload: &str) -> Result<IssueCertificateRequest, IssueCertificateError> {
        IssueCertificateRequest::parse(payload.as_bytes(), &device())
    }

    #[test]
    fn requests_are_read_as_the_sdks_write_them() {
        for (replace, expected) in [
            ("", None),
            (r#","replace":"*""#, Some(Replace::Any)),
            (
                r#","replace":"db8c0f73-ac73-4b90-bba4-8a26ae2fcb27""#,
                Some(Replace::Request(
                    "db8c0f73-ac73-4b90-bba4-8a26ae2fcb27".to_owned(),
                )),
            ),
        ] {
            let read = parse(&format!(r#"{{"id":"press-7","csr":"MAA="{replace}}}"#)).unwrap();
            assert_eq!(read.csr.as_bytes(), [0x30, 0]);
            assert_eq!(read.replace, expected);
        }
    }

    #[test]
    fn what_the_service_refuses_is_refused_with_its_codes() {
        let long = format!(r#"{{"id":"press-7","csr":"{}"}}"#, "A".repeat(10 * 1024));
        for (payload, code, word) in [
            ("", 400_004, "empty"),
            (r#"{"id":"press-7","csr":"#, 400_006, "not JSON"),
            (r#"["not","an","object"]"#, 400_004, "object"),
            (r#"{"id":"press-7","csr":""}"#, 400_004, "csr"),
            (&long, 400_004, "8192"),
            (
                r#"{"id":"press-7","csr":"not-valid!!@@##"}"#,
                400_004,
                "base64",
            ),
            (
                r#"{"id":"other","csr":"MAA="}"#,
                400_004,
                "is not the device id",
            ),
            (r#"{"id":"","csr":"MAA="}"#, 400_004, "'id' is missing"),
            (r#"{"csr":"MAA="}"#, 400_004, "'id' is missing"),
            (r#"{"id":"press-7","csr":"MAA=","more":1}"#, 400_004, "more"),
            (
                r#"{"id":"press-7","csr":"MAA=","replace":"123"}"#,
                400_004,
                "replace",
            ),
            (
                r#"{"id":"press-7","csr":"MAA=","replace":"-1234"}"#,
                400_004,
                "replace",
            ),
        ] {
            let error = parse(payload).unwrap_err();
            assert_eq!(error.code().code(), code, "{payload}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn answers_are_written_as_the_sdks_read_them() {
        let accepted = CertificateRequestAccepted {
            correlation_id: "c".to_owned(),
            operation_expires: Timestamp::from_unix_seconds(1_800_000_000),
        };
        let accepted = serde_json::to_value(accepted).unwrap();
        assert_eq!(accepted["correlationId"], "c");
        assert!(accepted["operationExpires"].is_string());
        let issued = IssuedCertificates {
            correlation_id: "c".to_owned(),
            certificates: vec![vec![0x30, 0].into()],
        };
        let issued = serde_json::to_value(issued).unwrap();
        assert_eq!(
            issued,
            json!({"correlationId": "c", "certificates": ["MAA="]})
        );
    }
}
