//! `/trustBundles` of Azure's 2021-11-01-preview: the CA certificates that devices
//! are told to trust.

use ids::{Timestamp, TrustBundleId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::certificate_info::CertificateInfo;
use crate::etag::QuotedEtag;
use crate::lenient::{BodyError, Fields};

/// `x-ms-item-type` of a list of trust bundles.
pub const TRUST_BUNDLE_ITEM: &str = "trustBundle";
/// Most certificates of a trust bundle.
pub const MAX_TRUSTED: usize = 16;
/// Longest certificate text of a trust bundle, bytes.
const MAX_TRUSTED_TEXT: usize = 32 * 1024;

/// The body of a PUT of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundleRequest {
    /// `id`, to be compared with the path.
    pub id: Option<TrustBundleId>,
    /// Each PEM, base64 of PEM, or base64 of DER. At least one.
    pub certificates: Vec<String>,
}

impl TrustBundleRequest {
    /// Reads the body of a PUT of a trust bundle.
    ///
    /// # Errors
    /// When there are no certificates or too many, or a member has the wrong form.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        const MEMBER: &str = "certificates";
        let fields = Fields::of_body(body)?;
        let id = match fields.text("id")? {
            None | Some("") => None,
            Some(text) => Some(
                TrustBundleId::parse(text)
                    .map_err(|error| fields.error("id", error.to_string()))?,
            ),
        };
        let listed = fields.get(MEMBER).and_then(Value::as_array);
        let listed =
            listed.ok_or_else(|| fields.error(MEMBER, "is missing; a list was expected"))?;
        if listed.is_empty() || listed.len() > MAX_TRUSTED {
            let problem = format!("has {}; 1 to {MAX_TRUSTED} are allowed", listed.len());
            return Err(fields.error(MEMBER, problem));
        }
        let text = |item: &Value| {
            let text = Fields::of_body(item)?
                .text("certificate")?
                .unwrap_or_default();
            match text.len() {
                1..=MAX_TRUSTED_TEXT => Ok(text.to_owned()),
                _ => {
                    let problem = format!(
                        "a member 'certificate' of 1 to {MAX_TRUSTED_TEXT} bytes was expected"
                    );
                    Err(fields.error(MEMBER, problem))
                }
            }
        };
        Ok(Self {
            id,
            certificates: listed.iter().map(text).collect::<Result<_, BodyError>>()?,
        })
    }

    /// The body that a client sends; `certificates` are PEM.
    #[must_use]
    pub fn body(certificates: &[String]) -> Value {
        let one = |pem: &String| json!({ "certificate": pem });
        json!({ "certificates": certificates.iter().map(one).collect::<Vec<_>>() })
    }
}

/// A trust bundle, as `GET` and `PUT` answer it, and as devices get it with their registration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustBundle {
    /// The CA certificates of the bundle, at least one.
    pub certificates: Vec<TrustedCertificate>,
    /// The name by which enrollments refer to it.
    pub id: TrustBundleId,
    /// Time in UTC, RFC 3339.
    pub created_date_time: Timestamp,
    /// Time in UTC, RFC 3339.
    pub last_modified_date_time: Timestamp,
    /// The version, for `If-Match` of the next write.
    pub etag: QuotedEtag,
}

/// A certificate of a trust bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedCertificate {
    /// One or more certificates in PEM.
    pub certificate: String,
    /// The certificate in words.
    pub metadata: CertificateInfo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_is_what_is_read() {
        let body = TrustBundleRequest::body(&["A".to_owned(), "B".to_owned()]);
        let bundle = TrustBundleRequest::parse(&body).unwrap();
        assert_eq!(bundle.certificates, ["A", "B"]);
    }

    #[test]
    fn a_bundle_has_certificates() {
        for bad in [
            json!({}),
            json!({"certificates": []}),
            json!({"certificates": [{}]}),
        ] {
            assert!(TrustBundleRequest::parse(&bad).is_err(), "{bad}");
        }
    }
}
