//! Rules of provisioning services: enrollments, registrations, CA certificates, issuers, trust
//! bundles, linked hubs, policies, blocks.
//!
//! Rules are pure functions in a file each (`register`, `pending`, `placement`, …).
//! [`Provisioning`] applies them in transactions of the store and returns only after the commit is
//! durable. `dps` is written against this crate and knows no SQL.
//!
//! Devices are written through `registry`, in the transaction that registers them.

mod key;
mod limits;
mod policy;

mod service;

mod ca_certificate;
mod certificate_report;
mod describe;
mod detail;
mod enrollment;
mod issuance;
mod issued;
mod issuer;
mod pending;
mod pins;
mod placement;
mod refusal;
mod registration;
mod renewal;
mod revocation;

mod register;
mod roll;

mod provisioning;

pub use ca_certificate::{CaCertificate, CaCertificateDraft, CaCertificateError, PossessionProof};
pub use describe::describe;
pub use detail::Detail;
pub use enrollment::{
    EnrolledCaCertificate, EnrolledCertificate, EnrollmentDraft, EnrollmentError, EnrollmentRecord,
};
pub use issuance::{
    EnrolledIssuance, IssuanceError, IssuanceName, TrustBundleDraft, TrustBundleRecord,
};
pub use issued::{EnterError, IssuedCertificate, IssuedQuery, IssuedRecord, Requester};
pub use issuer::{
    DeletedIssuer, IssuerDraft, IssuerGeneration, IssuerGenerations, IssuerRecord, IssuerUser,
    IssuerUserDraft, IssuerUserError, IssuerUserReset,
};
pub use key::SecretBytes;
pub use limits::{
    MAX_CA_CERTIFICATES, MAX_ISSUERS, MAX_KEYED_GROUPS, MAX_LINKED_HUBS, MAX_POLICIES,
    MAX_SERVICES, MAX_TRUST_BUNDLES,
};
pub use pending::{
    AllocationNote, AllocationRecord, PendingRegistration, PendingStep, Placement, WebhookQuestion,
};
pub use placement::{LocatedDevice, PlacementSources, Plan, PlanStep, RemoteTask};
pub use policy::{KeyChoice, PolicyDraft, PolicyDraftError};
pub use provisioning::{
    Act, BLOCKED, Block, BlockError, Busy, CertificateLog, CompletedPlacement, Described,
    MovedData, OpenError, PendingHandle, PlacementOutcome, Provisioning, Retention, Services,
};
pub use refusal::{RefusalDraft, RefusalQuery, RefusalRecord};
pub use registration::{
    Assign, AssignError, AssignOutcome, Assigned, Choice, DeviceProof, EnrolledBy,
    FailRegistration, Preview, PreviewAt, Registrant, RegistrationError, RegistrationFailure,
    RegistrationRecord, RegistrationState, ReprovisionPolicy, SkippedHub,
};
pub use renewal::{IssuedToDevice, Renewal, RenewalError};
pub use revocation::{
    ListVersion, NewList, NotInForceCertificate, RevocationListDraft, RevocationListError,
    RevocationListRecord, RevokeError,
};
pub use roll::{AuthorityUse, NextAuthority, RollError, RollStatus};
pub use store::{
    AttestationKind, CaCertificateState, CertificateOrigin, CertificateSlot, DeviceOwner,
    EnrollmentKey, EnrollmentKind, IssuedState, RemoteTaskKind, RevokedCertificateRow, Secret,
    Substatus, VerificationCode,
};

pub use service::{
    AllocationWeight, HubAccess, LinkDraft, LinkedHub, ProvisioningService, RemoteAccess,
    ServiceSetupError,
};
