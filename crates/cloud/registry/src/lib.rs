//! What is true in the cloud: provisioning service, enrollments, registrations, devices, modules, twins, deployments.
//!
//! Rules are pure functions in a file each (`twin`, `condition`, `resolve`, …). [`Registry`] applies them in transactions of
//! the store and returns only after the commit is durable. `dps` and `hub` are written against this crate and know no SQL.
//!
//! Clocks and randomness come from outside: methods take `now`, [`Init`] takes an [`Entropy`].

mod actor;
mod entropy;
mod error;
mod etag;
mod key;
mod page;
mod precondition;

mod service;

mod ca_certificate;
mod detail;
mod enrollment;
mod pending;
mod placement;
mod refusal;
mod registration;
mod resource;

mod identity;
mod register;
pub mod twin;

pub mod condition;
mod deployment;
pub mod resolve;

mod change;
mod event;

mod registry;

pub use actor::Actor;
pub use ca_certificate::{
    CaCertificate, CaCertificateDraft, CaCertificateError, CaCertificateState, PossessionShown,
    VerificationCode,
};
pub use change::{Change, Watcher};
pub use deployment::{
    ConfigurationDraft, ConfigurationError, ConfigurationRecord, ContentKind, EvaluationPass,
    MetricResults,
};
pub use detail::Detail;
pub use enrollment::{
    AttestationKind, CertificateSlot, EnrolledCaCertificate, EnrolledCertificate, EnrollmentDraft,
    EnrollmentError, EnrollmentKey, EnrollmentKind, EnrollmentRecord,
};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{NotWritable, OpenError, StorageError};
pub use event::{Event, EventError, EventPage, StoredEvent, TelemetryState};
pub use identity::{Credentials, DeviceRecord, IdentityError, IdentityRecord, ModuleRecord};
pub use key::SecretBytes;
pub use page::{BadContinuation, Continuation, Page, PageRequest};
pub use pending::{
    AllocationNote, AllocationRecord, PendingRegistration, PendingStep, Placement, WebhookQuestion,
};
pub use placement::{LocatedDevice, PlacementSources, Plan, PlanStep, RemoteTask, RemoteTaskKind};
pub use precondition::IfMatch;
pub use refusal::{RefusalDraft, RefusalQuery, RefusalRecord};
pub use registration::{
    Assign, AssignError, Assigned, Choice, DeviceProof, EnrolledBy, FailRegistration, IssuedNote,
    PassedOver, Preview, PreviewAt, Registrant, RegistrationError, RegistrationFailure,
    RegistrationRecord, RegistrationState, ReprovisionPolicy, Substatus,
};
pub use registry::{
    Act, AuditQuery, AuditReadError, AuditRecord, AuditVerifyError, BLOCKED, Block, BlockError,
    Busy, Carried, CompletedPlacement, Init, LastSeen, ListError, MAX_CA_CERTIFICATES,
    MAX_CONFIGURATIONS, MAX_HUBS, MAX_KEYED_GROUPS, MAX_LINKED_HUBS, MAX_MODULES, MAX_POLICIES,
    MAX_RESOURCES, MAX_SERVICES, PendingHandle, PlacementOutcome, Registry, Renamed, Retention,
    TelemetryLimits, TelemetryRetention,
};
pub use resource::{
    DeletedIssuer, EnrolledResources, IssuerDraft, IssuerRecord, ResourceError, ResourceName,
    TrustBundleDraft, TrustBundleRecord,
};
pub use service::{
    AllocationWeight, FormerHost, HubReach, KeyChoice, LinkDraft, LinkedHub, LocalHub, PolicyDraft,
    PolicyDraftError, ProvisioningService, RemoteAccess, Right, Served, ServingError,
    SharedAccessPolicy,
};
pub use store::audit::{
    AuditLimits, Book as AuditBook, Known as KnownAudit, Verified as VerifiedAudit,
};
pub use twin::{
    ConfigurationStatus, InitialTwin, Section, Twin, TwinError, TwinPatch, TwinRecord,
    TwinReplacement,
};
