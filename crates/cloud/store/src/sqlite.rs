//! The engine on SQLite: a writer thread, connections for readers, and a file of
//! SQL for each table.

pub(crate) mod connection;
pub(crate) mod decode;
pub(crate) mod job;
pub(crate) mod lanes;
pub(crate) mod reader;
mod rehearsal;
mod schema;
mod transaction;
pub(crate) mod tx;
pub(crate) mod writer;

mod allocations;
mod audit;
mod blocks;
pub(crate) mod ca_certificates;
mod configurations;
mod consumer_groups;
mod enrollment_ca_certificates;
mod enrollment_certificates;
mod enrollments;
mod file_uploads;
mod former_hosts;
mod hub_events;
pub(crate) mod hubs;
pub(crate) mod identities;
pub(crate) mod identity_counts;
mod issuers;
mod job_devices;
mod jobs;
mod kept_subscriptions;
mod linked_hubs;
mod notifications;
mod pending_registrations;
mod policies;
mod presences;
mod queued_messages;
mod refusals;
mod registrations;
mod remote_tasks;
mod rollouts;
mod routing;
mod services;
mod tag_values;
mod targeting;
mod trust_bundles;
mod twins;
