//! Rules of devices: hubs that live here, identities, twins,
//! conditions, deployments, presences, telemetry.
//!
//! Rules are pure functions in a file each (`twin`, `condition`, `resolve`, …). [`Registry`]
//! applies them in transactions of the store and returns only after the commit is durable. `hub` is
//! written against this crate and knows no SQL.
//!
//! `provisioning` writes devices in transactions of its own: [`DeviceWriter`] is what it does that
//! with, [`AuditedStore`] what it writes through.
//!
//! Clocks and randomness come from outside: methods take `now`, [`Init`] takes an [`Entropy`].

mod actor;
mod entropy;
mod error;
pub mod etag;
mod limits;
mod page;
mod precondition;
mod rows;

mod hub;
mod policy;

mod identity;
pub mod twin;

pub mod condition;
mod deployment;
pub mod query;
pub mod resolve;
mod rollout;
pub mod routing;
mod settings;

mod job;

mod change;
mod cloud_message;
mod event;
mod file_upload;

pub mod revocation;

mod registry;

pub use actor::Actor;
pub use change::{Change, Watcher};
pub use cloud_message::{
    ClaimedMessages, CloudMessage, LOCK as MESSAGE_LOCK, LockedMessage, MessageDraft, MessageError,
    Settlement,
};
pub use deployment::{
    ConfigurationDraft, ConfigurationError, ConfigurationRecord, EvaluationPass, MetricResults,
};
pub use entropy::{Entropy, SystemEntropy, generate_key, random};
pub use error::{NotWritable, OpenError, StorageError};
pub use event::{Event, EventError, EventPage, StoredEvent, TelemetryState};
pub use file_upload::{FileUpload, UploadError, WrittenFile};
pub use hub::{FormerHost, HubError, LocalHub, LocalHubs};
pub use identity::{Credentials, DeviceRecord, IdentityError, IdentityRecord, ModuleRecord};
pub use job::{
    DeviceOutcome, JobCounts, JobDeviceError, JobDeviceState, JobDraft, JobError, JobKind,
    JobProgress, JobRecord, JobState, JobStep, JobTargets, OpenJob, TargetsError, TransferCursor,
    next_step,
};
pub use limits::{MAX_CONFIGURATIONS, MAX_HUBS, MAX_MODULES, MAX_OPEN_JOBS, MAX_RUNNING_JOBS};
pub use page::{BadContinuation, Continuation, Page, PageRequest};
pub use policy::{SharedAccessPolicy, new_policies, read_key, read_policies, read_policy};
pub use precondition::{IfMatch, PutDecision};
pub use registry::{
    Act, AppendedHubEvents, AuditQuery, AuditReadError, AuditRecord, AuditVerifyError,
    AuditedStore, Connections, ConsumerGroupError, ConsumerGroupRecord, DeviceWriter, FirstHub,
    FoundTwin, ImportError, Init, JOB_HISTORY, JobTarget, JobTwinUpdate, LastSeen, ListError,
    NewDevice, NotificationBatch, OperatorAct, Particulars, QueryError, QueryPage, QueryRows,
    Registry, RelayError, Renamed, Retention, RoutingRecord, RoutingWriteError, TelemetryLimits,
    TelemetryRetention, UpdateFault, Watchers, device_certificates, find_device, read_former_hosts,
    twin_etag,
};
pub use rollout::{RolloutCommand, RolloutError};
pub use store::EndpointCursorRow as EndpointCursor;
pub use store::audit::{AuditLimits, AuditStream, Known as KnownAudit, Verified as VerifiedAudit};
pub use store::{ContentKind, Right};
pub use store::{KeptSubscriptions, NotificationKind};
pub use store::{ListContent, ListSource, StalePolicy};
pub use twin::{
    ConfigurationStatus, InitialTwin, Section, Twin, TwinError, TwinPatch, TwinRecord,
    TwinReplacement,
};
