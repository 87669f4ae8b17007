use std::sync::Arc;

use ids::{
    DeviceId, EnrollmentId, Etag, GenerationId, HubHost, HubName, IssuerName, RegistrationId,
    Thumbprint, Timestamp,
};
use registry::{InitialTwin, StorageError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::Substatus;
use wire::muster_api::issuer::PinnedCertificates;
use wire::service_api::identity::{Authentication, CertificateThumbprint, KeyText};

use crate::detail::Detail;
use crate::issued::IssuedCertificate;
use crate::pins::Proven;

/// The enrollment through which a device registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnrolledBy {
    /// Its own individual enrollment, of the same registration id.
    Individual,
    Group(EnrollmentId),
}

/// What becomes of an earlier assignment when a device registers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReprovisionPolicy {
    /// Re-evaluate the hub; twin and modules move along. The default.
    MigrateData,
    /// Re-evaluate the hub; the twin starts again from the enrollment's initial one.
    ResetData,
    /// Stay with the hub and device of the first assignment.
    Never,
}

/// What the device proved itself with, and the hub shall accept from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceProof {
    /// The SHA-256 of its leaf certificate: becomes primary and secondary thumbprint.
    Certificate(Thumbprint),
    /// A certificate issued as it registered: becomes the primary thumbprint. The leaf it proved
    /// itself with, if it did so with one, stays good as the secondary.
    Issued {
        /// SHA-256 of the certificate issued.
        issued: Thumbprint,
        /// SHA-256 of the leaf that it showed.
        attested: Option<Thumbprint>,
    },
    /// The keys it holds.
    Keys {
        /// The key in daily use.
        primary: KeyText,
        /// The key to roll over to.
        secondary: KeyText,
    },
}

impl DeviceProof {
    /// The same, as a hub stores it.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        match self {
            Self::Certificate(leaf) => {
                let leaf = Some(CertificateThumbprint::Sha256(*leaf));
                Authentication::SelfSigned {
                    primary: leaf,
                    secondary: leaf,
                }
            }
            Self::Issued { issued, attested } => Authentication::SelfSigned {
                primary: Some(CertificateThumbprint::Sha256(*issued)),
                secondary: Some(CertificateThumbprint::Sha256(attested.unwrap_or(*issued))),
            },
            Self::Keys { primary, secondary } => Authentication::Sas {
                primary: primary.clone(),
                secondary: secondary.clone(),
            },
        }
    }
}

/// A device that proved itself, and what its enrollment says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Registrant {
    /// Who registers. The spelling of the first registration is kept.
    pub registration_id: RegistrationId,
    pub enrollment: EnrolledBy,
    /// The enrollment's version that the device proved itself against. Should it have changed by
    /// the time of writing, it must do so again: a moment ago somebody may have shut it out.
    #[serde(alias = "entry")]
    pub enrollment_etag: Etag,
    /// The hub device, the enrollment's `deviceId` or the registration id.
    pub device_id: DeviceId,
    /// `capabilities.iotEdge`, for a device that is created or reset.
    pub iot_edge: bool,
    /// What the hub shall accept.
    pub proof: DeviceProof,
    /// The twin of a device that is created or reset.
    pub initial_twin: InitialTwin,
    /// What becomes of an earlier assignment.
    pub policy: ReprovisionPolicy,
    /// Members of the answer that describe the attestation (`x509`, `symmetricKey`); kept for
    /// later polls and lookups.
    pub detail: Option<Detail>,
    /// Whether its leaf is the secondary one of the two that its individual enrollment pins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_secondary: bool,
    /// The certificate that the transaction of this registration writes.
    #[serde(skip)]
    pub issued: Option<Arc<IssuedCertificate>>,
}

impl Registrant {
    /// The leaf that it proved, when the certificates that its individual enrollment pins may follow
    /// from that.
    pub(crate) fn proven_pin(&self) -> Option<Proven> {
        let leaf = match &self.proof {
            DeviceProof::Certificate(leaf) if self.by_secondary => *leaf,
            DeviceProof::Issued { attested, .. } => {
                let follow = PinnedCertificates::Follow;
                let issued = self.issued.as_ref();
                issued.filter(|issued| issued.pinned_certificates == follow)?;
                (*attested)?
            }
            _ => return None,
        };
        (self.enrollment == EnrolledBy::Individual).then(|| Proven {
            leaf,
            successor: self.issued.clone(),
        })
    }
}

/// What allocation decided for a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The hub; not looked at when the policy is [`ReprovisionPolicy::Never`]
    /// and an assignment exists.
    pub hub: HubName,
    /// The device's twin whatever the policy says: a custom allocation answered with one.
    pub twin: Option<InitialTwin>,
    /// `payload` of the answer: what a custom allocation returned.
    pub payload: Option<Value>,
    /// Hubs that were no candidates although they might have been. A device that is in one
    /// of them stays there.
    #[serde(default, alias = "passed_over")]
    pub skipped: Vec<SkippedHub>,
}

/// A hub that gets no device for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedHub {
    pub hub: HubName,
    /// Why, for the operator.
    pub why: String,
}

/// One successful registration, decided upon and ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Assign {
    pub registrant: Registrant,
    pub choice: Choice,
}

/// Where a registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationState {
    /// The device has a hub.
    Assigned {
        hub: HubName,
        /// Its hub's host as it is now; what `assignedHub` says. `None` when the hub
        /// is no longer linked.
        host: Option<HubHost>,
        device_id: DeviceId,
        /// How it came about.
        substatus: Substatus,
    },
    /// It waits for somebody outside this process.
    Assigning {
        /// An assignment from before that still stands.
        previous: Option<(HubName, DeviceId)>,
    },
    /// The device was refused because its enrollment is disabled.
    Disabled {
        /// An assignment from before, for when it is enabled again.
        previous: Option<(HubName, DeviceId)>,
    },
    /// The last attempt failed after the device had proved itself.
    Failed {
        /// DPS error code, such as 400207.
        code: u32,
        /// What went wrong, fit for the device and the operator.
        message: String,
        /// An assignment from before that still stands.
        previous: Option<(HubName, DeviceId)>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct RegistrationRecord {
    pub registration_id: RegistrationId,
    /// Through which enrollment the last attempt went.
    pub enrollment: EnrolledBy,
    pub state: RegistrationState,
    pub etag: Etag,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub payload: Option<Value>,
    pub detail: Option<Detail>,
}

impl RegistrationRecord {
    /// The hub device that this registration is assigned to, also while a later attempt has failed.
    #[must_use]
    pub fn assignment(&self) -> Option<(&HubName, &DeviceId)> {
        match &self.state {
            RegistrationState::Assigned { hub, device_id, .. } => Some((hub, device_id)),
            RegistrationState::Assigning { previous }
            | RegistrationState::Disabled { previous }
            | RegistrationState::Failed { previous, .. } => {
                previous.as_ref().map(|(hub, device)| (hub, device))
            }
        }
    }
}

/// A registration that has been written.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    pub registration: RegistrationRecord,
    /// The hub device's generation.
    pub generation_id: GenerationId,
    /// Whether the hub device was created by this registration.
    pub device_created: bool,
}

/// What became of a registration that was to be assigned.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "on the way of every registration: nothing is boxed"
)]
pub enum AssignOutcome {
    Assigned(Assigned),
    /// It cannot be done in a transaction: the device is, or shall be, in a remote hub, which has
    /// to be asked. Nothing was written.
    NeedsRemoteHub,
}

impl AssignOutcome {
    /// The registration, when it was written.
    #[must_use]
    pub fn assigned(self) -> Option<Assigned> {
        match self {
            Self::Assigned(assigned) => Some(assigned),
            Self::NeedsRemoteHub => None,
        }
    }
}

/// What a registration would come to if it were made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its hub; where it was assigned before when the policy is [`ReprovisionPolicy::Never`].
    pub hub: HubName,
    pub device_id: DeviceId,
    /// Where it is assigned to now, if the hub is still linked.
    pub previous: Option<(HubName, DeviceId)>,
    /// What would be done there.
    pub at: PreviewAt,
}

/// What would be done at the hub of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewAt {
    /// It would be over at once.
    Here {
        /// What the device would be told.
        substatus: Substatus,
        /// Whether the hub device would be made.
        creates_device: bool,
        /// Whether the enrollment makes IoT Edge devices, but the hub device is not
        /// one and stays so.
        stays_plain: bool,
    },
    /// A hub that does not live here would be asked first: the device's own, or the previous one.
    NeedsRemoteHub,
}

/// Why nothing was assigned.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    /// The enrollment is not the one that the device proved itself against, or a nearer one has
    /// come. It may try again.
    #[error("the enrollment was changed while the device registered; register again")]
    EnrollmentChanged,
    /// The issuer was deleted, or the CA that signed the device's certificate is not its any more.
    /// The device may try again.
    #[error("device issuer {0} was changed while the device registered; register again")]
    IssuerChanged(IssuerName),
    /// The hub is not linked (any more).
    #[error("hub {0} is not linked to the provisioning service")]
    UnknownHub(HubName),
    /// Another registration owns the hub device: two enrollments name one device id.
    #[error("device {device_id} of hub {hub} belongs to registration {owner}")]
    DeviceTaken {
        hub: HubName,
        device_id: DeviceId,
        /// The registration that has it.
        owner: RegistrationId,
    },
    /// A registration of another provisioning service owns the hub device; whose is
    /// not this one's business.
    #[error("device {device_id} of hub {hub} belongs to another provisioning service")]
    DeviceOfOtherService { hub: HubName, device_id: DeviceId },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for AssignError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// An attempt that failed after the device had proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailRegistration {
    pub registration_id: RegistrationId,
    pub enrollment: EnrolledBy,
    pub failure: RegistrationFailure,
}

/// What is remembered of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationFailure {
    /// DPS error code, such as 400207.
    pub code: u32,
    pub message: String,
}

/// Why a registration record was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// No such record. DPS answers 404.
    #[error("registration {0} does not exist")]
    NotFound(RegistrationId),
    /// The etag is not the stored one. DPS answers 412.
    #[error("registration {0} has changed since the etag sent")]
    PreconditionFailed(RegistrationId),
    /// Its device is blocked: by its record the hub device is found when the block is taken
    /// back. DPS answers 409.
    #[error(
        "the device of registration {0} is blocked; take the block back first: muster dps unblock --registration-id {0}"
    )]
    Blocked(RegistrationId),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<store::StoreError> for RegistrationError {
    fn from(error: store::StoreError) -> Self {
        Self::Storage(error.into())
    }
}
