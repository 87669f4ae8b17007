//! The provisioning service through its doors, over a real registry in a temporary directory.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod harness;
mod hierarchy;
#[path = "../../../../protocol/pki/tests/pki/software_tpm.rs"]
mod software_tpm;
mod webhook;

mod audit;
mod az;
mod blocks;
mod ca_certificates;
mod ca_references;
mod clients;
mod custom_allocation;
mod enrollments;
mod explain;
mod foretold;
mod hub_health;
mod hub_moves;
mod issuing;
mod issuing_resources;
mod mqtt;
mod precedence;
mod reasons;
mod refusals;
mod register;
mod remote_hub;
mod remote_hubs;
mod requests;
mod routes;
mod serving;
mod symmetric_key;
mod tenants;
mod throttling;
mod tpm;
