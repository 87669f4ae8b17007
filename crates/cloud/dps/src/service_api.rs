//! The HTTP API for operators, one file a noun.

pub mod access;
pub mod allocations;
pub mod audit;
pub mod blocks;
pub mod ca_certificates;
pub mod enrollments;
pub mod explain;
pub mod hubs;
pub mod issuers;
pub mod linked_hubs;
pub mod policies;
pub mod query_text;
pub mod registrations;
pub mod services;
pub mod serving;
