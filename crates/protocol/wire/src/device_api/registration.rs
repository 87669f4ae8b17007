//! The device API of a provisioning service: register, poll, look up.
//!
//! HTTPS and MQTT carry the same JSON. The server writes it and our own devices read it, so
//! the types do both.

use std::borrow::Cow;

use ids::{DeviceId, EnrollmentId, HubHost, RegistrationId, Timestamp, TrustBundleId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::binary::Base64Bytes;
use crate::certificate_info::CertificateInfo;
use crate::error::ServiceError;
use crate::muster_api::trust_bundle::TrustBundle;

/// The api-version that device daemons send.
pub const API_VERSION: &str = "2021-06-01";
/// The api-version of requests with `csr`.
pub const ISSUING_API_VERSION: &str = "2025-07-01-preview";
/// Seconds a device is asked to wait before it polls. Ours is finished when the first answer
/// leaves, so the shortest there is.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Seconds between polls while somebody else is asked.
pub const RETRY_AFTER_WORKING: u32 = 2;

/// The progress of a registration.
///
/// Device daemons know only `assigning`, `assigned` and `failed`; the others appear
/// in the service API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// The enrollment exists; its device has never registered.
    Unassigned,
    /// The registration is accepted and still in progress.
    Assigning,
    /// The device has a hub.
    Assigned,
    /// It has none; `errorCode` and `errorMessage` say why.
    Failed,
    /// Its enrollment is disabled.
    Disabled,
}

/// The way in which an assignment came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// The device's first assignment to a hub.
    InitialAssignment,
    /// Moved, or given back, with its twin.
    DeviceDataMigrated,
    /// Moved, or given back, with the enrollment's first twin.
    DeviceDataReset,
    /// The same hub and twin as before.
    ReprovisionedToInitialAssignment,
}

/// By which certificates a device proved itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Result {
    /// The leaf certificate of the chain that the device showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_info: Option<CertificateInfo>,
    /// The group, for a device of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<EnrollmentId>,
    /// The certificate of the group that signed the device's chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_certificate_info: Option<CertificateInfo>,
}

/// Members of [`RegistrationState`] that say how a device proved itself and what was issued to it;
/// what is remembered of a registration besides its result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationDetail {
    /// The certificates, when the device used them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509Result>,
    /// The key, when the device used one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeyResult>,
    /// With the endorsement key of a TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmResult>,
    /// The certificate issued for `csr` and those of its issuers, DER, leaf first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued_certificate_chain: Vec<Base64Bytes>,
    /// The same for `clientCertificateCsr`, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_client_certificate: Option<String>,
    /// Which trust bundle the device is told; remembered, and told as
    /// [`RegistrationState::trust_bundle`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle_id: Option<TrustBundleId>,
    /// What [`CertificateInfo`] does not say of the leaf; remembered, and in no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented_key: Option<PresentedKey>,
}

/// The algorithms of a leaf that a device presented, as reports name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PresentedKey {
    /// `P-256`, `RSA`, …; an OID for kinds without a name.
    pub key_type: Cow<'static, str>,
    /// The length of an RSA modulus in bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// `ECDSA-SHA256`, `RSA-SHA256`, …; an OID for those without a name.
    pub signature_algorithm: Cow<'static, str>,
}

/// What a device with a TPM is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmResult {
    /// Its key for the hub, wrapped for its TPM. Clients with a TPM cannot do without.
    pub authentication_key: Base64Bytes,
}

/// The refusal that a TPM's first register request is answered with: 401, and what the TPM has
/// to prove itself with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmChallenge {
    /// The error, as in every refusal.
    #[serde(flatten)]
    pub error: ServiceError,
    /// The key that the next request's token is to be signed with, wrapped for the TPM.
    pub authentication_key: Base64Bytes,
    /// The name of that key: the token's `skn`.
    pub key_name: &'static str,
}

/// What a device reads of a [`TpmChallenge`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmChallengeKey {
    /// The key that the next request's token is to be signed with, wrapped for the TPM.
    pub authentication_key: Base64Bytes,
}

/// By which key a device proved itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeyResult {
    /// The group, for a device whose key is derived from a group's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<EnrollmentId>,
}

/// `DeviceRegistrationResult`: a registration as its device sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationState {
    /// The registration id, as the enrollment names it.
    pub registration_id: RegistrationId,
    /// The time of the first registration, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Timestamp>,
    /// Where to connect; no scheme, with a port when that is not the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<HubHost>,
    /// The device id in the assigned hub; absent before the first assignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The progress of the registration.
    pub status: RegistrationStatus,
    /// The kind of assignment; only when assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Substatus>,
    /// Only when failed: six digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// A description for people; only when failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The time of the last registration, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Timestamp>,
    /// Version of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `payload` of the webhook's answer, any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// How it proved itself, and what was issued to it.
    #[serde(flatten)]
    pub detail: AttestationDetail,
    /// The CA certificates that the device shall trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle: Option<TrustBundle>,
}

impl RegistrationState {
    /// A registration with its status and nothing else.
    #[must_use]
    pub fn bare(registration_id: RegistrationId, status: RegistrationStatus) -> Self {
        Self {
            registration_id,
            created_date_time_utc: None,
            assigned_hub: None,
            device_id: None,
            status,
            substatus: None,
            error_code: None,
            error_message: None,
            last_updated_date_time_utc: None,
            etag: None,
            payload: None,
            detail: AttestationDetail::default(),
            trust_bundle: None,
        }
    }
}

/// The answer to register and to a poll. Device daemons insist on
/// `registrationState`, also while assigning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Names the operation in polls; opaque to devices.
    pub operation_id: String,
    /// The same as inside `registrationState`.
    pub status: RegistrationStatus,
    /// The registration as its device sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationState>,
}

impl OperationStatus {
    /// The answer to an accepted register request.
    #[must_use]
    pub fn assigning(operation_id: String, registration_id: RegistrationId) -> Self {
        let status = RegistrationStatus::Assigning;
        Self {
            operation_id,
            status,
            registration_state: Some(RegistrationState::bare(registration_id, status)),
        }
    }

    /// The answer to a poll of a finished operation.
    #[must_use]
    pub fn finished(operation_id: String, state: RegistrationState) -> Self {
        Self {
            operation_id,
            status: state.status,
            registration_state: Some(state),
        }
    }
}

/// `PUT` target of a register request, without host and query.
#[must_use]
pub fn register_path(id_scope: &str, registration_id: &str) -> String {
    format!("/{id_scope}/registrations/{registration_id}/register")
}

/// `GET` target of a poll, without host and query.
#[must_use]
pub fn operation_path(id_scope: &str, registration_id: &str, operation_id: &str) -> String {
    format!("/{id_scope}/registrations/{registration_id}/operations/{operation_id}")
}
