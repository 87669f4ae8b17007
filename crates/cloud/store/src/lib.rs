//! Rows and transactions in one SQLite file, and the event log beside it. The only crate that spells SQL.
//!
//! [`Store::write`] runs a job on the one writer thread; jobs that arrive together share one transaction and one fsync, and
//! are answered after it. Inside a job [`Tx`] reads and writes; [`Store::read`] and [`Store::scan`] give a [`View`], which only
//! reads. What the rows mean is decided in `registry`.

mod directory;
mod error;
mod schema;

mod connection;
mod presences;
mod reader;
mod secret;
mod store;
mod writer;

mod anchors;
mod blocks;
mod ca_certificates;
mod configurations;
mod enrollments;
mod former_hosts;
mod hubs;
mod identities;
mod pending;
mod refusals;
mod registrations;
mod remote_tasks;
mod resources;
mod services;
mod targeting;
mod twins;

pub mod audit;
pub mod log;

pub use blocks::BlockedRow;
pub use ca_certificates::CaCertificateRow;
pub use configurations::ConfigurationRow;
pub use connection::{PageRows, Tx, View};
pub use directory::DataDirectory;
pub use enrollments::{CertificateRow, Deciding, EnrollmentRow};
pub use error::{OpenError, StoreError};
pub use former_hosts::FormerHostRow;
pub use hubs::{HubRow, LinkRow};
pub use identities::{IdentityKey, IdentityRow};
pub use pending::{AllocationRow, PendingRow};
pub use presences::PresenceRow;
pub use reader::ReadOnlyStore;
pub use refusals::{RefusalFilter, RefusalRow};
pub use registrations::RegistrationRow;
pub use remote_tasks::RemoteTaskRow;
pub use resources::ResourceRow;
pub use secret::Secret;
pub use services::{PolicyRow, ServiceRow};
pub use store::Store;
pub use targeting::MetricCounts;
pub use twins::{Oversized, SectionWrite, TwinRow, TwinWrite};
