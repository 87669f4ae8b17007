//! An enrollment as registration reads it.

use std::sync::Arc;

use ids::{DeviceId, Etag, HubHost, RegistrationId, Thumbprint};
use provisioning::{
    AttestationKind, EnrolledBy, EnrolledIssuance, EnrollmentKey, EnrollmentKind, EnrollmentRecord,
    ReprovisionPolicy,
};
use registry::InitialTwin;
use serde::Deserialize;
use wire::binary::Base64Bytes;
use wire::service_api::allocation::CustomAllocation;
use wire::service_api::enrollment::{
    AllocationPolicy, Attestation as Document, EnrollmentGroup, IndividualEnrollment, Settings,
};

use crate::registration::credential::{KeyPair, TpmIdentity};
use crate::registration::refusal::RefusalReason;

mod ca;

pub use ca::EnrollmentCa;

/// What devices are compared with.
#[derive(Debug, Clone)]
pub enum Attestation {
    /// Their own certificates, by SHA-256 (individual enrollments).
    Leaves(Vec<Thumbprint>),
    /// The CA certificates that their chains must lead to: of groups, and of individual enrollments
    /// that refer to uploaded CA certificates.
    CaCertificates(Vec<EnrollmentCa>),
    /// Symmetric keys: an individual device's own, or those that a
    /// group's devices derive theirs from.
    Keys(KeyPair),
    /// The device's TPM (individual enrollments).
    Tpm(Box<TpmIdentity>),
}

impl Attestation {
    pub fn kind(&self) -> AttestationKind {
        match self {
            Self::Leaves(_) | Self::CaCertificates(_) => AttestationKind::X509,
            Self::Keys(_) => AttestationKind::SymmetricKey,
            Self::Tpm(_) => AttestationKind::Tpm,
        }
    }
}

/// Whether an enrollment lets devices in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Enabled,
    Disabled,
    /// An operator has blocked its device in all services.
    Blocked,
}

#[derive(Debug, Clone)]
pub struct Enrollment {
    key: EnrollmentKey,
    version: Etag,
    standing: Standing,
    attestation: Attestation,
    device_id: Option<DeviceId>,
    iot_edge: bool,
    initial_twin: InitialTwin,
    reprovision: ReprovisionPolicy,
    allocation: Option<AllocationPolicy>,
    hubs: Vec<HubHost>,
    webhook: Option<CustomAllocation>,
    issuance: EnrolledIssuance,
}

/// A stored enrollment that was written by another version, or is damaged.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the stored {key} cannot be read: {problem}")]
pub struct UnreadableEnrollment {
    pub key: EnrollmentKey,
    pub problem: String,
}

impl Enrollment {
    /// Parses a stored enrollment.
    ///
    /// Fails when it is not in the form that this version writes.
    pub fn parse(record: &EnrollmentRecord) -> Result<Self, UnreadableEnrollment> {
        let bad = |problem: String| UnreadableEnrollment {
            key: record.key.clone(),
            problem,
        };
        let unreadable = |error: serde_json::Error| bad(error.to_string());
        let (device_id, settings) = match record.key {
            EnrollmentKey::Individual(_) => {
                let document =
                    IndividualEnrollment::deserialize(&record.document).map_err(unreadable)?;
                (document.device_id, document.settings)
            }
            EnrollmentKey::Group(_) => {
                let document =
                    EnrollmentGroup::deserialize(&record.document).map_err(unreadable)?;
                (None, document.settings)
            }
        };
        let twin = &settings.initial_twin;
        Ok(Self {
            key: record.key.clone(),
            version: record.etag.clone(),
            standing: match (record.enabled, record.blocked) {
                (_, true) => Standing::Blocked,
                (false, false) => Standing::Disabled,
                (true, false) => Standing::Enabled,
            },
            attestation: attestation(record, &settings.attestation).map_err(bad)?,
            device_id,
            iot_edge: settings.capabilities.iot_edge,
            initial_twin: InitialTwin::new(&twin.tags, &twin.properties.desired)
                .map_err(|error| bad(error.to_string()))?,
            reprovision: reprovision(&settings),
            issuance: EnrolledIssuance {
                issuer: settings.issuer().cloned(),
                trust_bundle: settings.trust_bundle_id,
            },
            allocation: settings.allocation_policy,
            hubs: settings.iot_hubs,
            webhook: settings.custom_allocation_definition,
        })
    }

    pub fn key(&self) -> &EnrollmentKey {
        &self.key
    }

    pub fn version(&self) -> &Etag {
        &self.version
    }

    pub fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// The hub device of a registration: the one that the enrollment names, or the registration id.
    ///
    /// An individual enrollment's spelling wins over the certificate's, because
    /// hubs tell letter cases apart.
    pub fn device_id(&self, registration_id: &RegistrationId) -> Option<DeviceId> {
        let spelled = match (&self.device_id, &self.key) {
            (Some(id), _) => return Some(id.clone()),
            (None, EnrollmentKey::Individual(enrolled)) => enrolled,
            (None, EnrollmentKey::Group(_)) => registration_id,
        };
        // Every registration id is a device id: fewer characters are allowed in it.
        DeviceId::parse(spelled.as_str()).ok()
    }

    /// Whether hub devices are IoT Edge devices.
    pub fn is_iot_edge(&self) -> bool {
        self.iot_edge
    }

    pub fn initial_twin(&self) -> &InitialTwin {
        &self.initial_twin
    }

    pub fn reprovision(&self) -> ReprovisionPolicy {
        self.reprovision
    }

    /// `None` follows the service.
    pub fn allocation(&self) -> Option<AllocationPolicy> {
        self.allocation
    }

    /// The hubs to choose among; empty means all linked ones.
    pub fn hubs(&self) -> &[HubHost] {
        &self.hubs
    }

    /// The issuer of its devices' certificates, and their trust bundle.
    pub fn issuance(&self) -> &EnrolledIssuance {
        &self.issuance
    }

    /// Set when allocation is custom.
    pub fn webhook(&self) -> Option<&CustomAllocation> {
        self.webhook.as_ref()
    }
}

/// An enrollment that decides about a device, and is enabled. Only this file makes one.
#[derive(Debug, Clone)]
pub struct EnrollmentMatch(Arc<Enrollment>);

impl EnrollmentMatch {
    /// Fails when the enrollment is disabled, or its device is blocked.
    pub fn enabled(enrollment: Arc<Enrollment>) -> Result<Self, RefusalReason> {
        match enrollment.standing {
            Standing::Enabled => Ok(Self(enrollment)),
            Standing::Disabled => Err(RefusalReason::Disabled(enrollment.key.clone())),
            Standing::Blocked => Err(RefusalReason::Blocked(enrollment.key.clone())),
        }
    }

    pub fn enrollment(&self) -> &Enrollment {
        &self.0
    }

    pub fn enrolled_by(&self) -> EnrolledBy {
        match &self.0.key {
            EnrollmentKey::Individual(_) => EnrolledBy::Individual,
            EnrollmentKey::Group(id) => EnrolledBy::Group(id.clone()),
        }
    }
}

fn attestation(record: &EnrollmentRecord, document: &Document) -> Result<Attestation, String> {
    match document {
        Document::X509 { .. } => certificates(record).map_err(|error| error.to_string()),
        Document::SymmetricKey {
            symmetric_key: Some(keys),
        } => Ok(Attestation::Keys(KeyPair {
            primary: keys.primary_key.clone(),
            secondary: keys.secondary_key.clone(),
        })),
        Document::SymmetricKey {
            symmetric_key: None,
        } => Err("its keys are missing".to_owned()),
        Document::Tpm { tpm } => {
            let storage_root = tpm.storage_root_key.as_ref().map(Base64Bytes::as_bytes);
            let identity = TpmIdentity::parse(tpm.endorsement_key.as_bytes(), storage_root);
            let identity = identity.map_err(|error| error.to_string())?;
            Ok(Attestation::Tpm(Box::new(identity)))
        }
    }
}

fn certificates(record: &EnrollmentRecord) -> Result<Attestation, pki::CertificateError> {
    let is_individual = record.key.kind() == EnrollmentKind::Individual;
    if is_individual && record.ca_certificates.is_empty() {
        let leaves = record.certificates.iter().map(|c| c.thumbprint);
        return Ok(Attestation::Leaves(leaves.collect()));
    }
    EnrollmentCa::all(record).map(Attestation::CaCertificates)
}

fn reprovision(settings: &Settings) -> ReprovisionPolicy {
    let policy = settings.reprovision_policy;
    match (policy.update_hub_assignment, policy.migrate_device_data) {
        (false, _) => ReprovisionPolicy::Never,
        (true, true) => ReprovisionPolicy::MigrateData,
        (true, false) => ReprovisionPolicy::ResetData,
    }
}
