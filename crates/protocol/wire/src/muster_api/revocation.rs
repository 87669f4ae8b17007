//! `/muster/v1/dps/issuers/{name}/certificates/{serial}/revoke`, and
//! `/muster/v1/dps/revocation-lists`: the lists of other CAs.

use ids::{CertificateName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate_info::CertificateInfo;
use crate::etag::QuotedEtag;

/// Shortest time between two looks at a URL, seconds.
pub const MIN_INTERVAL: u32 = 60;
/// Longest time between two looks at a URL, seconds: a week.
pub const MAX_INTERVAL: u32 = 7 * 24 * 3600;
/// The time between two looks at a URL that does not say one, seconds.
pub const DEFAULT_INTERVAL: u32 = 3600;

/// The body of a POST that revokes a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RevokeRequest {
    /// A reason of RFC 5280 5.3.1, such as `keyCompromise`; `unspecified` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of a PUT of a revocation list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RevocationListRequest {
    /// The CA certificate whose key signs the list, PEM; absent: the uploaded one of the list's
    /// name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Where the list is fetched from; absent: it is uploaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_url: Option<String>,
    /// [`MIN_INTERVAL`] to [`MAX_INTERVAL`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u32>,
    /// What becomes of the CA's certificates while the list is too old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<StaleAction>,
}

/// What becomes of a CA's certificates while its list is too old or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StaleAction {
    /// They are accepted, except those that the list names.
    Accept,
    /// They are refused.
    Refuse,
}

/// A revocation list, as `GET` and `PUT` answer it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevocationListDescription {
    /// By which operators refer to it.
    pub name: CertificateName,
    /// The CA certificate whose key signs the list, PEM.
    pub certificate: String,
    /// What that certificate says.
    pub certificate_info: CertificateInfo,
    /// Where it is fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_url: Option<String>,
    /// The time between two looks at the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u32>,
    /// What becomes of certificates while it is too old.
    pub stale: StaleAction,
    /// Absent while no list was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<CrlDescription>,
    /// Whether there is no list, or its `nextUpdateUtc` has passed.
    pub is_stale: bool,
    /// The last look at the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched_date_time_utc: Option<Timestamp>,
    /// Why the last look brought no list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The version, for `If-Match` of the next write.
    pub etag: QuotedEtag,
    /// Time in UTC, RFC 3339.
    pub created_date_time_utc: Timestamp,
    /// Time in UTC, RFC 3339.
    pub last_modified_date_time_utc: Timestamp,
}

/// What a revocation list says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CrlDescription {
    /// cRLNumber, upper-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// When it was made.
    pub this_update_utc: Timestamp,
    /// When the next one is there at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update_utc: Option<Timestamp>,
    /// The number of certificates on it.
    pub entries: u32,
    /// When it was stored.
    pub stored_date_time_utc: Timestamp,
}

/// All revocation lists of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevocationLists {
    /// In the order of their names.
    pub value: Vec<RevocationListDescription>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muster_api::parse;

    #[test]
    fn requests_have_the_members_that_are_documented() {
        let read: RevocationListRequest = parse(
            br#"{"crlUrl": "http://pki.example/ca.crl", "intervalSeconds": 600, "stale": "refuse"}"#,
        )
        .unwrap();
        assert_eq!(read.crl_url.as_deref(), Some("http://pki.example/ca.crl"));
        assert_eq!(read.interval_seconds, Some(600));
        assert_eq!(read.stale, Some(StaleAction::Refuse));
        assert!(parse::<RevocationListRequest>(br#"{"crlUri": "x"}"#).is_err());
        let read: RevokeRequest = parse(br#"{"reason": "superseded"}"#).unwrap();
        assert_eq!(read.reason.as_deref(), Some("superseded"));
    }
}
