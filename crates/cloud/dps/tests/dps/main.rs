//! The provisioning service through its APIs, on a real store in a temporary directory.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod harness;

mod api_versions;
mod audit;
mod az;
mod blocks;
mod ca_certificates;
mod ca_references;
mod certificate_log;
mod certificate_report;
mod clients;
mod cross_certificates;
mod custom_allocation;
mod enrollment_lists;
mod enrollments;
mod est;
mod est_certificates;
mod est_edge_cas;
mod est_refusals;
mod est_requests;
mod explain;
mod explain_credentials;
mod explain_matches_register;
mod hub_health;
mod hub_moves;
mod issued_certificates;
mod issuer_profiles;
mod issuer_users;
mod issuers_and_trust_bundles;
mod issuing;
mod mqtt;
mod muster_api;
mod pinned_certificates;
mod precedence;
mod refusal_reasons;
mod refusals;
mod register;
mod remote_hubs;
mod renewals;
mod requests;
mod revocation_lists;
mod revocations;
mod roll_of_a_fleet;
mod rolls;
mod routes;
mod symmetric_key;
mod taken_devices;
mod tenants;
mod throttling;
mod tpm;
