//! Muster's own API about who was or would be let in: `/muster/v1/dps/refusals`, `/muster/v1/dps/explain`.

use std::net::IpAddr;

use ids::{DeviceId, HubHost, HubName, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device_api::registration::Substatus;

/// A certificate as it was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenCertificate {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// Upper-case hexadecimal.
    pub sha256_thumbprint: String,
    /// Start of validity.
    pub not_before_utc: Timestamp,
    /// End of validity.
    pub not_after_utc: Timestamp,
}

/// Why a registration was not let in, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalReport {
    /// Stable name, listed in `docs/reason-codes.md`.
    pub reason: String,
    /// In words, with what to do.
    pub message: String,
    /// The enrollment that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment: Option<String>,
    /// The certificates shown, leaf first.
    pub chain: Vec<SeenCertificate>,
}

/// A stored refusal, as `GET /muster/v1/dps/refusals` lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalDocument {
    /// Who wanted to register.
    pub registration_id: RegistrationId,
    /// What the device was answered, six digits.
    pub error_code: u32,
    /// How often.
    pub times: u64,
    /// When first.
    pub first_date_time_utc: Timestamp,
    /// When last.
    pub last_date_time_utc: Timestamp,
    /// A [`RefusalReport`].
    #[serde(flatten)]
    pub report: Value,
}

/// `POST /muster/v1/dps/explain`. Of `certificates` and `token` at least one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainRequest {
    /// PEM, leaf first; what a device would show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates: Option<String>,
    /// A shared access signature that a device would send. It counts before certificates, as it does when a device shows both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// As what it would register; when it is left out, whom the token is for, or the leaf's common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
    /// Where it would come from: allocation by latency looks at it.
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

/// What `POST /muster/v1/dps/explain` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// As what the device would register; absent when what it shows is for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
    /// What it would come to.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What the token says of itself, when there was one that can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SeenToken>,
    /// The enrollments that were tried, in the order of their precedence.
    pub tried: Vec<TriedEnrollment>,
    /// How many more were tried and are not listed.
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

/// A token as it was shown, without its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenToken {
    /// What it is for, decoded.
    pub resource: String,
    /// Until when it says it is valid.
    pub expires_utc: Timestamp,
}

/// One certificate, key or TPM of an enrollment, and how it took what was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriedEnrollment {
    /// Which one, such as `enrollment group factory-a`.
    pub enrollment: String,
    /// By what of it, such as `primary certificate`, `CA certificate factory-root`, `secondary key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// That certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<TriedCertificate>,
    /// `matched`, or why not: a reason of `docs/reason-codes.md`.
    pub outcome: String,
    /// In words.
    pub message: String,
    /// Whether the verdict is this one's.
    pub decides: bool,
}

/// A certificate of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriedCertificate {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Upper-case hexadecimal.
    pub sha256_thumbprint: String,
    /// Its place in what was shown, the leaf being 1. Absent when it was not shown: the chain leads on to it, or ends before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_as: Option<usize>,
}

/// What a registration would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "verdict",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Verdict {
    /// The device would be let in and assigned, if it holds the leaf's key: a file cannot prove that.
    Accepted {
        /// The enrollment that lets it in.
        enrollment: String,
        /// Its hub: the one that allocation chooses, or that of an earlier assignment when the reprovision policy says so.
        assigned_hub: HubHost,
        /// The device there.
        device_id: DeviceId,
        /// What the device would be told.
        substatus: Substatus,
        /// An assignment that stands now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<EarlierAssignment>,
        /// What is not as one would expect of a first registration.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The device would be let in, and somebody outside asked before it is assigned: the enrollment's webhook which hub it gets, or a
    /// remote hub what is there. Nobody is asked now.
    Asks {
        /// The enrollment that lets it in.
        enrollment: String,
        /// Its hub, when no webhook chooses it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assigned_hub: Option<HubHost>,
        /// The device there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device_id: Option<DeviceId>,
        /// An assignment that stands now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        earlier: Option<EarlierAssignment>,
        /// What becomes of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The device would be let in, and find no place.
    Failed {
        /// The enrollment that lets it in.
        enrollment: String,
        /// What its poll would be answered, six digits.
        error_code: u32,
        /// What is missing.
        message: String,
    },
    /// The device would be refused.
    Refused {
        /// What it would be answered, six digits.
        error_code: u32,
        /// Why.
        #[serde(flatten)]
        report: RefusalReport,
    },
}

/// Where a registration is assigned to before another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EarlierAssignment {
    /// Its hub.
    pub assigned_hub: HubHost,
    /// The device there.
    pub device_id: DeviceId,
}

/// `PUT /muster/v1/dps/blocks/{registrationId}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BlockRequest {
    /// Why, in the operator's words; at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A device that is shut out everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDocument {
    /// Who.
    pub registration_id: RegistrationId,
    /// Why, in the operator's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub since_date_time_utc: Timestamp,
    /// Its hub device, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The hub where it is, and whether it is disabled there already.
    #[serde(default)]
    pub hubs: Vec<BlockedAt>,
}

/// How far a block has come at a hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockedAt {
    /// The hub.
    pub hub: HubName,
    /// Whether the device is disabled there.
    pub state: BlockState,
    /// Why it is not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whether a hub has disabled a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlockState {
    /// It has.
    Done,
    /// It is asked again until it has.
    Pending,
}

/// A record of `GET /muster/v1/audit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditDocument {
    /// `acts`, `decisions` or `refusals`.
    pub book: String,
    /// Its number in its book.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// What: `kind` and particulars.
    pub body: Value,
    /// The chain up to here, hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_to_be_explained_is_not_shown() {
        let asked = serde_json::json!({"token": "SharedAccessSignature sr=a&sig=secret&se=1"});
        let asked: ExplainRequest = serde_json::from_value(asked).unwrap();
        assert_eq!(asked.registration_id, None);
        assert!(!format!("{asked:?}").contains("secret"), "{asked:?}");
    }
}
