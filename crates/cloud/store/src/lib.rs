//! Rows and transactions; the only crate that spells SQL.
//!
//! [`Store::write`] runs a [`Unit`]: it decides on a [`View`], which only reads, then writes what
//! it decided with a [`Tx`]. [`Store::read`] and [`Store::scan`] give a [`View`] alone. The rules
//! that units follow are in `registry` and `provisioning`; the engine, today SQLite with one writer
//! thread, is in `sqlite/`.

mod directory;
mod error;
mod rows;
mod secret;
mod sqlite;
mod store;
mod unit;

pub mod audit;

pub use directory::DataDirectory;
pub use error::{OpenError, StoreError};
pub use rows::{
    AdmittedRow, AllocationRow, AttestationKind, AuthKind, BlockedRow, CaCertificateReference,
    CaCertificateRow, CaCertificateState, CertificateOrigin, CertificateRow, CertificateSlot,
    ConfigurationHead, ConfigurationRow, ConfigurationVersion, ConsumerGroupRow, ContentKind,
    CountedRange, Deciding, DeviceLocation, DeviceOwner, DeviceRange, EXPIRY_BOUNDS,
    EndpointCursorRow, EnrollmentChange, EnrollmentKey, EnrollmentKind, EnrollmentRow,
    EnrollmentVersion, ExpiredMessage, ExpiredUploadRow, FileUploadRow, FormerHostRow, FullPassRow,
    HoldingRollout, HubRow, IdentityCounts, IdentityKey, IdentityKind, IdentityRow,
    IdentityVersion, IssuedCertificateRow, IssuedCountRow, IssuedFilter, IssuedState, IssuerRow,
    IssuerUserRow, JobCounts, JobDeviceError, JobDeviceRow, JobDeviceState, JobKind, JobRow,
    JobState, KeptSubscriptions, LinkRow, ListContent, ListSource, Listed, ListedAdmitted,
    ListedMessage, ListedRow, LockHolder, MAX_TAG_PATH, MessageContentRow, MessageLockRow,
    MetricCounts, NewMessageRow, NotificationKind, NotificationRow, OpenJobRow, OpenUploadRow,
    Oversized, PassScope, PendingDue, PendingRow, PolicyOwner, PolicyRow, PresenceRow,
    QueueOwnerRow, QueuedMessageRow, ReferredCaCertificate, RefusalFilter, RefusalRow,
    RegistrationRow, RegistrationStatus, RemoteAccessRow, RemoteTaskKind, RemoteTaskRow,
    RevocationListRow, RevokedCertificateRow, RevokedRow, RevokingCaRow, Right,
    RolloutDeviceCounts, RolloutDeviceRow, RolloutHold, RolloutRow, RoutingRow, SectionWrite,
    ServiceRow, SettingsRow, StalePolicy, Substatus, TagEntry, TagRange, TagValue, TakeoverRow,
    TargetRow, TargetingChange, TrustBundleRow, TwinParts, TwinRow, TwinWrite, VerificationCode,
    WrittenFileRow,
};
pub use secret::Secret;
pub use sqlite::connection::{PageRows, View};
pub use sqlite::issuer_users::UserOwner;
pub use sqlite::reader::ReadOnlyStore;
pub use sqlite::tx::Tx;
pub use store::{Store, StoreOptions};
pub use unit::{Lock, Unit, unit};
