//! CA certificates of a provisioning service: what `az iot dps certificate` sends to Azure's
//! resource manager and shows.
//!
//! The paths are our own, `/muster/v1/dps/certificates…`, because the resource manager is not
//! part of the service.

use ids::{CertificateName, Etag, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::lenient::{BodyError, Fields};

/// Longest certificate text, bytes: base64 of PEM of a certificate with an RSA 4096 key
/// and room for extensions.
const MAX_CERTIFICATE_TEXT: usize = 32 * 1024;

/// The body of a PUT. Azure wraps it in `properties`; both forms are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaCertificateRequest {
    /// PEM, base64 of PEM, or base64 of DER.
    pub certificate: String,
    /// Whether the operator answers for it; absent leaves what is known.
    pub is_verified: Option<bool>,
}

impl CaCertificateRequest {
    /// Reads the body of a PUT of a CA certificate.
    ///
    /// # Errors
    /// When there is no certificate, or a member has the wrong form.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = properties(Fields::of_body(body)?)?;
        Ok(Self {
            certificate: certificate(&fields)?,
            is_verified: fields.boolean("isVerified")?,
        })
    }

    /// The body that a client sends; `certificate` is PEM.
    #[must_use]
    pub fn body(certificate: &str, is_verified: Option<bool>) -> Value {
        let mut properties = json!({ "certificate": certificate });
        if let Some(is_verified) = is_verified {
            properties["isVerified"] = json!(is_verified);
        }
        json!({ "properties": properties })
    }
}

/// The body of a verification: a certificate that the key of the CA certificate signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// PEM, base64 of PEM, or base64 of DER.
    pub certificate: String,
}

impl VerifyRequest {
    /// Reads the body of a verification request.
    ///
    /// # Errors
    /// When there is no certificate.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = properties(Fields::of_body(body)?)?;
        Ok(Self {
            certificate: certificate(&fields)?,
        })
    }

    /// The body that a client sends; `certificate` is PEM.
    #[must_use]
    pub fn body(certificate: &str) -> Value {
        json!({ "certificate": certificate })
    }
}

fn properties(fields: Fields<'_>) -> Result<Fields<'_>, BodyError> {
    Ok(fields.object("properties")?.unwrap_or(fields))
}

fn certificate(fields: &Fields<'_>) -> Result<String, BodyError> {
    let text = fields.text("certificate")?.unwrap_or_default();
    if text.trim().is_empty() {
        return Err(fields.error("certificate", "is missing; PEM or base64 was expected"));
    }
    if text.len() > MAX_CERTIFICATE_TEXT {
        let problem = format!("is longer than {MAX_CERTIFICATE_TEXT} bytes");
        return Err(fields.error("certificate", problem));
    }
    Ok(text.to_owned())
}

/// A CA certificate as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificateDescription {
    /// As paths and enrollments name it.
    pub name: CertificateName,
    /// The version of the record, for `If-Match`.
    pub etag: Etag,
    /// Described as Azure does.
    pub properties: CaCertificateProperties,
}

/// The `properties` of [`CaCertificateDescription`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificateProperties {
    /// Distinguished name of the subject.
    pub subject: String,
    /// `notAfter` of its validity.
    #[serde(serialize_with = "http_date")]
    pub expiry: Timestamp,
    /// Upper-case hexadecimal SHA-1, as Azure shows it.
    pub thumbprint: String,
    /// The SHA-256 thumbprint, upper-case hexadecimal.
    pub sha256_thumbprint: String,
    /// Whether enrollments may refer to it.
    pub is_verified: bool,
    /// The moment of the upload.
    #[serde(serialize_with = "http_date")]
    pub created: Timestamp,
    /// When it was changed last.
    #[serde(serialize_with = "http_date")]
    pub updated: Timestamp,
    /// Base64 of its DER.
    pub certificate: String,
    /// The common name that a verification certificate must have; only in the answer
    /// that hands it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification_code: Option<String>,
    /// Until when the code counts.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "maybe_http_date"
    )]
    pub verification_code_expiry: Option<Timestamp>,
}

fn http_date<S: serde::Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&moment.to_http_date())
}

fn maybe_http_date<S: serde::Serializer>(
    moment: &Option<Timestamp>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => http_date(moment, to),
        None => to.serialize_none(),
    }
}

/// All CA certificates of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CaCertificateList {
    /// In the order of their names.
    pub value: Vec<CaCertificateDescription>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_body_are_read() {
        let wanted = CaCertificateRequest {
            certificate: "PEM".to_owned(),
            is_verified: Some(true),
        };
        for body in [
            json!({"properties": {"certificate": "PEM", "isVerified": true}}),
            json!({"Certificate": "PEM", "isVerified": "True"}),
            CaCertificateRequest::body("PEM", Some(true)),
        ] {
            assert_eq!(
                CaCertificateRequest::parse(&body).unwrap(),
                wanted,
                "{body}"
            );
        }
        let absent = CaCertificateRequest::parse(&CaCertificateRequest::body("PEM", None)).unwrap();
        assert_eq!(absent.is_verified, None);
        let verify = VerifyRequest::parse(&VerifyRequest::body("PEM")).unwrap();
        assert_eq!(verify.certificate, "PEM");
    }

    #[test]
    fn faults_name_their_place() {
        for (body, place) in [
            (json!({}), "certificate"),
            (json!({"properties": {}}), "properties.certificate"),
            (json!({"certificate": "a".repeat(40_000)}), "certificate"),
            (
                json!({"certificate": "PEM", "isVerified": "perhaps"}),
                "isVerified",
            ),
        ] {
            assert_eq!(CaCertificateRequest::parse(&body).unwrap_err().path, place);
        }
    }

    #[test]
    fn dates_are_those_of_the_resource_manager() {
        let properties = CaCertificateProperties {
            subject: "CN=root".to_owned(),
            expiry: Timestamp::from_unix_seconds(1_780_272_000),
            thumbprint: "AB".to_owned(),
            sha256_thumbprint: "CD".to_owned(),
            is_verified: false,
            created: Timestamp::from_unix_seconds(0),
            updated: Timestamp::from_unix_seconds(0),
            certificate: "MII=".to_owned(),
            verification_code: None,
            verification_code_expiry: None,
        };
        let json = serde_json::to_value(properties).unwrap();
        assert_eq!(
            json,
            json!({
                "subject": "CN=root", "expiry": "Mon, 01 Jun 2026 00:00:00 GMT", "thumbprint": "AB",
                    "sha256Thumbprint": "CD",
                "isVerified": false, "created": "Thu, 01 Jan 1970 00:00:00 GMT",
                    "updated": "Thu, 01 Jan 1970 00:00:00 GMT",
                "certificate": "MII=",
            })
        );
    }
}
