//! `/muster/v1/dps/explain`: how a registration would end, without one.

use std::net::IpAddr;

use ids::{DeviceId, HubHost, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};

use super::refusal::RefusalReport;
use crate::device_api::registration::Substatus;

/// `POST /muster/v1/dps/explain`. Of `certificates` and `token` at least one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainRequest {
    /// PEM, leaf first: what a device would present in its TLS handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
    /// A shared access signature that a device would send. It counts before certificates, as when
    /// a device presents both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The id that it would register. When absent: the one that the token is for, or
    /// the leaf's common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
    /// The address that it would connect from, for the policy `geoLatency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_address: Option<IpAddr>,
}

impl std::fmt::Debug for ExplainRequest {
    /// Without the token, which opens the service for its holder.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExplainRequest")
            .field("certificates", &self.certificates)
            .field("token", &self.token.as_ref().map(|_| "redacted"))
            .field("registration_id", &self.registration_id)
            .field("client_address", &self.client_address)
            .finish()
    }
}

/// The answer of `POST /muster/v1/dps/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The id that the device would register; absent when its credential is for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
    /// The outcome that the registration would have.
    #[serde(flatten)]
    pub outcome: ExplainedOutcome,
    /// The fields of the token, when there is one that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SeenToken>,
    /// The enrollments that were compared, in the order of their precedence.
    #[serde(rename = "tried")]
    pub compared: Vec<ComparedEnrollment>,
    /// Enrollments that were compared too and are not in the list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_listed: usize,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A token, without its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenToken {
    /// `sr` of the token, decoded.
    pub resource: String,
    /// `se` of the token: its expiry, UTC.
    pub expires_utc: Timestamp,
}

/// One certificate, key or TPM of an enrollment, compared with the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparedEnrollment {
    /// Such as `enrollment group factory-a`.
    pub enrollment: String,
    /// The part of the enrollment, such as `primary certificate`, `CA
    /// certificate factory-root`, `secondary key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When `by` is a certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ComparedCertificate>,
    /// `matched`, or why not: a reason of `docs/reason-codes.md`.
    pub outcome: String,
    /// The outcome in words.
    pub message: String,
    /// Whether this comparison decides the registration.
    pub decides: bool,
}

/// A certificate of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComparedCertificate {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Upper-case hexadecimal, without separators.
    pub sha256_thumbprint: String,
    /// Its place in the chain that was presented, the leaf being 1. Absent when it is not among
    /// them: the chain leads on to it, or ends before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<usize>,
}

/// The outcome of a previewed registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "decision",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum ExplainedOutcome {
    /// The device would be assigned, if it holds the leaf's key: a file cannot prove that.
    Accepted {
        /// The enrollment that admits it.
        enrollment: String,
        /// The hub that allocation chooses, or that of an earlier assignment when the
        /// reprovision policy keeps it.
        assigned_hub: HubHost,
        /// The device in that hub.
        device_id: DeviceId,
        /// `substatus` of the answer to the device.
        substatus: Substatus,
        /// The present assignment; absent before the first registration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<EarlierAssignment>,
        /// Differences from a first registration.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The device would be admitted, and its assignment would depend on a call: to the webhook of
    /// the enrollment, or to a remote hub. No call is made now.
    Asks {
        /// The enrollment that admits it.
        enrollment: String,
        /// The hub, when no webhook chooses it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assigned_hub: Option<HubHost>,
        /// The device in that hub.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
        /// The present assignment; absent before the first registration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<EarlierAssignment>,
        /// What would happen to the present assignment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The device would be admitted, and no hub could be chosen.
    Failed {
        /// The enrollment that admits it.
        enrollment: String,
        /// Six digits: `errorCode` of the answer to its poll.
        error_code: u32,
        /// A description for people.
        message: String,
    },
    /// The device would be refused.
    Refused {
        /// Six digits: `errorCode` of the answer.
        error_code: u32,
        /// The reason, as reports of refusals show it.
        #[serde(flatten)]
        report: RefusalReport,
    },
}

/// The assignment of a registration before another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EarlierAssignment {
    /// Host name of the hub.
    pub assigned_hub: HubHost,
    /// The device in that hub.
    pub device_id: DeviceId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_to_be_explained_is_not_printed() {
        let asked = serde_json::json!({"token": "SharedAccessSignature sr=a&sig=secret&se=1"});
        let asked: ExplainRequest = serde_json::from_value(asked).unwrap();
        assert_eq!(asked.registration_id, None);
        assert!(!format!("{asked:?}").contains("secret"), "{asked:?}");
    }
}
