//! Muster's own API about who was or would be let in: `/muster/v1/dps/refusals`, `/muster/v1/dps/explain`.

use ids::{DeviceId, HubHost, HubName, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// `POST /muster/v1/dps/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainRequest {
    /// PEM, leaf first; what a device would show.
    pub certificates: String,
    /// As what it would register; the leaf's common name when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<RegistrationId>,
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
        /// As what it registers.
        registration_id: RegistrationId,
        /// The enrollment that lets it in.
        enrollment: String,
        /// The hub that allocation chooses; an earlier assignment may stand, as the reprovision policy says.
        assigned_hub: HubHost,
        /// The device there.
        device_id: DeviceId,
    },
    /// The device would be let in, and the enrollment's webhook asked for its hub. It is not asked now.
    Asks {
        /// As what it registers.
        registration_id: RegistrationId,
        /// The enrollment that lets it in.
        enrollment: String,
    },
    /// The device would be let in, and find no place.
    Failed {
        /// As what it registers.
        registration_id: RegistrationId,
        /// The enrollment that lets it in.
        enrollment: String,
        /// What is missing.
        message: String,
    },
    /// The device would be refused.
    Refused {
        /// As what it wants to register.
        registration_id: RegistrationId,
        /// What it would be answered, six digits.
        error_code: u32,
        /// Why.
        #[serde(flatten)]
        report: RefusalReport,
    },
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
