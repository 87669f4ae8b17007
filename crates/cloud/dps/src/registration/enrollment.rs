use ids::{DeviceId, Etag, HubHost, RegistrationId, Thumbprint};
use provisioning::{
    AttestationKind, EnrolledResources, EnrollmentKey, EnrollmentKind, EnrollmentRecord,
    ReprovisionPolicy,
};
use registry::InitialTwin;
use serde::Deserialize;
use wire::binary::Base64Bytes;
use wire::service_api::allocation::CustomAllocation;
use wire::service_api::enrollment::{
    AllocationPolicy, Attestation as Document, EnrollmentGroup, IndividualEnrollment, Settings,
};

pub use ca::Anchor;

mod ca;
use crate::registration::attest::{KeyPair, TpmIdentity};

/// What devices are compared with.
#[derive(Debug, Clone)]
pub enum Attestation {
    /// Their own certificates, by SHA-256 (individual enrollments).
    Leaves(Vec<Thumbprint>),
    /// Certificates of CAs that their chain must lead to: groups, and entries that refer to uploaded CA certificates.
    Anchors(Vec<Anchor>),
    /// Symmetric keys: an individual device's own, or those that a group's devices derive theirs from.
    Keys(KeyPair),
    /// The device's TPM (individual enrollments).
    Tpm(Box<TpmIdentity>),
}

impl Attestation {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> AttestationKind {
        match self {
            Self::Leaves(_) | Self::Anchors(_) => AttestationKind::X509,
            Self::Keys(_) => AttestationKind::SymmetricKey,
            Self::Tpm(_) => AttestationKind::Tpm,
        }
    }
}

/// Whether an entry lets devices in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Enabled,
    /// An operator has disabled it.
    Disabled,
    /// An operator has shut its device out everywhere.
    Blocked,
}

/// An enrollment as registration sees it.
#[derive(Debug, Clone)]
pub struct Entry {
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
    resources: EnrolledResources,
}

/// A stored entry that cannot be read: written by another version, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("the stored {key} cannot be read: {problem}")]
pub struct BadRecord {
    /// Which one.
    pub key: EnrollmentKey,
    /// What is wrong with it.
    pub problem: String,
}

impl Entry {
    /// Reads a stored entry.
    ///
    /// # Errors
    /// When it is not what this version writes.
    pub fn read(record: &EnrollmentRecord) -> Result<Self, BadRecord> {
        let bad = |problem: String| BadRecord {
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
            resources: EnrolledResources {
                issuer: settings.issuer().cloned(),
                trust_bundle: settings.trust_bundle_id,
            },
            allocation: settings.allocation_policy,
            hubs: settings.iot_hubs,
            webhook: settings.custom_allocation_definition,
        })
    }

    /// Its name.
    #[must_use]
    pub fn key(&self) -> &EnrollmentKey {
        &self.key
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Etag {
        &self.version
    }

    /// Whether it lets devices in.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What devices are compared with.
    #[must_use]
    pub fn attestation(&self) -> &Attestation {
        &self.attestation
    }

    /// The hub device of a registration: the entry's own name for it, or the registration id.
    ///
    /// The individual entry's spelling wins over the certificate's, because hubs tell letter cases apart.
    #[must_use]
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
    #[must_use]
    pub fn is_iot_edge(&self) -> bool {
        self.iot_edge
    }

    /// Their first twin.
    #[must_use]
    pub fn initial_twin(&self) -> &InitialTwin {
        &self.initial_twin
    }

    /// What happens when a device registers again.
    #[must_use]
    pub fn reprovision(&self) -> ReprovisionPolicy {
        self.reprovision
    }

    /// How a hub is chosen; `None` follows the service.
    #[must_use]
    pub fn allocation(&self) -> Option<AllocationPolicy> {
        self.allocation
    }

    /// Among which hubs; empty means all linked ones.
    #[must_use]
    pub fn hubs(&self) -> &[HubHost] {
        &self.hubs
    }

    /// What issues certificates to its devices, and what they are told to trust.
    #[must_use]
    pub fn resources(&self) -> &EnrolledResources {
        &self.resources
    }

    /// Who chooses, when allocation is custom.
    #[must_use]
    pub fn webhook(&self) -> Option<&CustomAllocation> {
        self.webhook.as_ref()
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
            let identity = TpmIdentity::read(tpm.endorsement_key.as_bytes(), storage_root);
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
    Anchor::of_entry(record).map(Attestation::Anchors)
}

fn reprovision(settings: &Settings) -> ReprovisionPolicy {
    let policy = settings.reprovision_policy;
    match (policy.update_hub_assignment, policy.migrate_device_data) {
        (false, _) => ReprovisionPolicy::Never,
        (true, true) => ReprovisionPolicy::MigrateData,
        (true, false) => ReprovisionPolicy::ResetData,
    }
}
