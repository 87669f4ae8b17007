//! Rows and transactions in one SQLite file, and the event log beside it. The only crate that spells SQL.
//!
//! [`Store::write`] runs a job on the one writer thread; jobs that arrive together share one transaction and one fsync, and
//! are answered after it. Inside a job [`Tx`] reads and writes; [`Store::read`] and [`Store::scan`] give a [`View`], which only
//! reads. What the rows mean is decided in `registry`.

mod directory;
mod error;
mod secret;
mod sqlite;
mod store;
mod unit;

pub mod audit;
pub mod log;

pub use directory::DataDirectory;
pub use error::{OpenError, StoreError};
pub use secret::Secret;
pub use sqlite::blocks::BlockedRow;
pub use sqlite::ca_certificates::CaCertificateRow;
pub use sqlite::configurations::ConfigurationRow;
pub use sqlite::connection::{PageRows, View};
pub use sqlite::enrollments::{CertificateRow, Deciding, EnrollmentRow};
pub use sqlite::former_hosts::FormerHostRow;
pub use sqlite::hubs::{HubRow, LinkRow};
pub use sqlite::identities::{IdentityKey, IdentityRow};
pub use sqlite::pending::{AllocationRow, PendingRow};
pub use sqlite::presences::PresenceRow;
pub use sqlite::reader::ReadOnlyStore;
pub use sqlite::refusals::{RefusalFilter, RefusalRow};
pub use sqlite::registrations::RegistrationRow;
pub use sqlite::remote_tasks::RemoteTaskRow;
pub use sqlite::resources::ResourceRow;
pub use sqlite::services::{PolicyRow, ServiceRow};
pub use sqlite::targeting::MetricCounts;
pub use sqlite::twins::{Oversized, SectionWrite, TwinRow, TwinWrite};
pub use sqlite::tx::Tx;
pub use store::{Store, StoreOptions};
pub use unit::{Lock, Unit, unit};
