//! The engine on SQLite: a writer thread, connections for readers, and a file of SQL for each table.

pub(crate) mod connection;
pub(crate) mod job;
pub(crate) mod lanes;
pub(crate) mod reader;
mod rehearsal;
mod schema;
mod transaction;
pub(crate) mod tx;
pub(crate) mod writer;

pub(crate) mod anchors;
pub(crate) mod audit;
pub(crate) mod blocks;
pub(crate) mod ca_certificates;
pub(crate) mod configurations;
pub(crate) mod enrollments;
pub(crate) mod former_hosts;
pub(crate) mod hubs;
pub(crate) mod identities;
pub(crate) mod pending;
pub(crate) mod presences;
pub(crate) mod refusals;
pub(crate) mod registrations;
pub(crate) mod remote_tasks;
pub(crate) mod resources;
pub(crate) mod services;
pub(crate) mod targeting;
pub(crate) mod twins;
