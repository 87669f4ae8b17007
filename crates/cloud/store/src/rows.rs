//! What the tables hold, in no dialect of SQL.

/// Gives an enum the names under which it is stored.
macro_rules! stored_names {
    ($type:ident { $($variant:ident => $name:literal,)+ }) => {
        impl $type {
            /// The name in the table.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            pub(crate) fn named(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

mod allocations;
mod audit;
mod blocks;
mod ca_certificates;
mod certificate_counts;
mod certificate_takeover;
mod configurations;
mod consumer_groups;
mod devices;
mod enrollment_certificates;
mod enrollments;
mod file_uploads;
mod former_hosts;
mod hubs;
mod identities;
mod issued_certificates;
mod issuer_users;
mod issuers;
mod jobs;
mod kept_subscriptions;
mod notifications;
mod pending_registrations;
mod policies;
mod presences;
mod queued_messages;
mod refusals;
mod registrations;
mod remote_tasks;
mod revocation_lists;
mod rollouts;
mod routing;
mod services;
mod tag_values;
mod targeting;
mod trust_bundles;
mod twins;

pub use allocations::AllocationRow;
pub use audit::BlockRow;
pub(crate) use audit::SegmentRow;
pub use blocks::{BlockedRow, EnrollmentChange};
pub use ca_certificates::{CaCertificateRow, CaCertificateState, VerificationCode};
pub use certificate_counts::{CountedRange, EXPIRY_BOUNDS, IssuedCountRow};
pub use certificate_takeover::TakeoverRow;
pub use configurations::{ConfigurationHead, ConfigurationRow, ConfigurationVersion, ContentKind};
pub use consumer_groups::ConsumerGroupRow;
pub use devices::DeviceLocation;
pub use enrollment_certificates::{
    CaCertificateReference, CertificateRow, CertificateSlot, ReferredCaCertificate,
};
pub use enrollments::{
    AttestationKind, Deciding, EnrollmentKey, EnrollmentKind, EnrollmentRow, EnrollmentVersion,
};
pub use file_uploads::{ExpiredUploadRow, FileUploadRow, OpenUploadRow, WrittenFileRow};
pub use former_hosts::FormerHostRow;
pub use hubs::{HubRow, LinkRow, RemoteAccessRow};
pub use identities::{AuthKind, IdentityCounts, IdentityKey, IdentityRow, IdentityVersion, Listed};
pub use issued_certificates::{
    CertificateOrigin, IssuedCertificateRow, IssuedFilter, IssuedState, RevokedCertificateRow,
};
pub use issuer_users::IssuerUserRow;
pub use issuers::IssuerRow;
pub use jobs::{
    JobCounts, JobDeviceError, JobDeviceRow, JobDeviceState, JobKind, JobRow, JobState, OpenJobRow,
};
pub use kept_subscriptions::KeptSubscriptions;
pub use notifications::{NotificationKind, NotificationRow};
pub use pending_registrations::{PendingDue, PendingRow};
pub use policies::{PolicyOwner, PolicyRow, Right};
pub use presences::PresenceRow;
pub use queued_messages::{
    ExpiredMessage, ListedMessage, LockHolder, MessageContentRow, MessageLockRow, NewMessageRow,
    QueueOwnerRow, QueuedMessageRow,
};
pub use refusals::{RefusalFilter, RefusalRow};
pub use registrations::{DeviceOwner, RegistrationRow, RegistrationStatus, Substatus};
pub use remote_tasks::{RemoteTaskKind, RemoteTaskRow};
pub use revocation_lists::{
    ListContent, ListSource, RevocationListRow, RevokedRow, RevokingCaRow, StalePolicy,
};
pub use rollouts::{
    AdmittedRow, HoldingRollout, ListedAdmitted, RolloutDeviceCounts, RolloutDeviceRow,
    RolloutHold, RolloutRow,
};
pub use routing::{EndpointCursorRow, RoutingRow};
pub use services::ServiceRow;
pub(crate) use tag_values::tag_entries;
pub use tag_values::{IdentityKind, MAX_TAG_PATH, TagEntry, TagRange, TagValue};
pub use targeting::{
    FullPassRow, MetricCounts, PassScope, SettingsRow, TargetRow, TargetingChange,
};
pub use trust_bundles::TrustBundleRow;
pub use twins::{DeviceRange, Oversized, SectionWrite, TwinParts, TwinRow, TwinWrite};

/// A row of a list. One that cannot be read keeps its place, so that the others are listed.
#[derive(Debug)]
pub struct ListedRow<T> {
    pub id: i64,
    /// As it is stored, also when it is not a valid one.
    pub key: String,
    pub row: Result<T, crate::StoreError>,
}
