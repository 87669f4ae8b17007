//! The service API of a provisioning service: enrollments, groups, bulk operations.
//!
//! `…Request` types are what an operator's client sent, read tolerantly and not yet validated.
//! [`IndividualEnrollment`] and [`EnrollmentGroup`] are normalised records, with every
//! member that `az iot` dereferences; the same document is stored (without [`RecordVersion`]
//! and registration) and shown.

use ids::{
    CertificatePolicyName, DeviceId, EnrollmentId, HubHost, IssuerName, NamespaceName,
    RegistrationId, Timestamp, TrustBundleId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::device_api::registration::RegistrationState;
use crate::etag::QuotedEtag;
use crate::initial_twin::InitialTwin;
use crate::service_api::allocation::CustomAllocation;
use crate::service_api::identity::Capabilities;

mod attestation;
mod bulk;
mod issuer;
mod mechanism;
mod request;

pub use attestation::{
    AttestationRequest, CertificatePairRequest, CertificateRequest, KeysRequest,
};
pub use bulk::{BulkError, BulkItem, BulkMode, BulkRequest, BulkResult, MAX_BULK};
pub use issuer::{IssuancePolicy, IssuerMembers, IssuerReference};
pub use mechanism::{
    Attestation, CaReferences, CertificatePair, CertificateWithInfo, SymmetricKeys, TpmAttestation,
    X509Attestation,
};
pub use request::{GroupRequest, IndividualRequest, SettingsRequest};

/// Largest body of a service API request, bytes.
pub const MAX_BODY: usize = 512 * 1024;

/// Whether an enrollment admits its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProvisioningStatus {
    /// The enrollment admits its devices.
    #[default]
    Enabled,
    /// The enrollment decides, and refuses the device.
    Disabled,
}

/// What happens to a device that registers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReprovisionPolicy {
    /// Whether a hub is chosen anew.
    pub update_hub_assignment: bool,
    /// Whether the twin moves along, rather than starting again from the enrollment's.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    fn default() -> Self {
        Self {
            update_hub_assignment: true,
            migrate_device_data: true,
        }
    }
}

/// How a hub is chosen among several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// By weight, always the same one for the same registration id.
    Hashed,
    /// The hub with the lowest configured latency; among equals, by weight as with `Hashed`.
    GeoLatency,
    /// The one that the enrollment names.
    Static,
    /// The one that a webhook names.
    Custom,
}

/// What individual enrollments and groups have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The credentials with which devices prove themselves.
    pub attestation: Attestation,
    /// What the hub device will be able to do.
    pub capabilities: Capabilities,
    /// The twin of a device when it is created.
    pub initial_twin: InitialTwin,
    /// Whether the enrollment admits devices.
    pub provisioning_status: ProvisioningStatus,
    /// What happens when a device registers again.
    pub reprovision_policy: ReprovisionPolicy,
    /// How a hub is chosen; absent follows the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
    /// Among which hubs; absent means all linked ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub iot_hubs: Vec<HubHost>,
    /// The webhook that chooses, when the policy is `custom`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_allocation_definition: Option<CustomAllocation>,
    /// The issuer of its devices' certificates. Documents written before 2026-11-01 was known
    /// call it `credentialPolicyName`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        alias = "credentialPolicyName"
    )]
    pub certificate_authority_name: Option<IssuerName>,
    /// The policy of the issuer, as the operator calls it: an issuer has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_policy_name: Option<CertificatePolicyName>,
    /// The namespace of the issuer, as the operator calls it: a service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_name: Option<NamespaceName>,
    /// The issuer in stored documents that have it in the member of 2021-11-01-preview alone.
    #[serde(default, skip_serializing)]
    pub client_certificate_issuance_policy: Option<IssuancePolicy>,
    /// The CA certificates that its devices shall trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle_id: Option<TrustBundleId>,
}

impl Settings {
    /// The issuer of its devices' certificates.
    #[must_use]
    pub fn issuer(&self) -> Option<&IssuerName> {
        let policy = self.client_certificate_issuance_policy.as_ref();
        let older = policy.map(|policy| &policy.certificate_authority_name);
        self.certificate_authority_name.as_ref().or(older)
    }

    /// The issuer in the newest members, as it is stored now.
    #[must_use]
    pub fn with_newest_issuer_members(self) -> Self {
        Self {
            certificate_authority_name: self.issuer().cloned(),
            client_certificate_issuance_policy: None,
            ..self
        }
    }
}

/// Which version of a record this is; absent in what is stored beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordVersion {
    /// Changes with every write. With quotes inside, as Azure's have.
    pub etag: QuotedEtag,
    /// When the record was created.
    pub created_date_time_utc: Timestamp,
    /// When it was changed last.
    pub last_updated_date_time_utc: Timestamp,
}

/// The enrollment of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndividualEnrollment {
    /// Which device; its certificate's common name.
    pub registration_id: RegistrationId,
    /// The hub device's name, when it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Its registration; shown, never stored with the enrollment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationState>,
    /// What the operator noted about the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional_device_information: Option<Value>,
    /// What it has in common with the other kind.
    #[serde(flatten)]
    pub settings: Settings,
    /// `etag` and times; absent where it is stored.
    #[serde(flatten)]
    pub version: Option<RecordVersion>,
}

/// The enrollment of all devices that prove a credential of the group: a certificate below one of
/// its CAs, or a key derived from its symmetric key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentGroup {
    /// The name of the group.
    pub enrollment_group_id: EnrollmentId,
    /// What it has in common with the other kind.
    #[serde(flatten)]
    pub settings: Settings,
    /// `etag` and times; absent where it is stored.
    #[serde(flatten)]
    pub version: Option<RecordVersion>,
}
