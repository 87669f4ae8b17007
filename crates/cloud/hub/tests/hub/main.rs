//! The hub through MQTT and HTTP, on a real registry in a temporary directory.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

mod world;

mod access;
mod bulk;
mod cloud_messages;
mod configurations;
mod digital_twins;
mod endpoints;
mod event_streams;
mod events;
mod file_uploads;
mod hub_events;
mod identities;
mod jobs;
mod message_claims;
mod methods;
mod mqtt_rules;
mod queries;
mod renewals;
mod revocations;
mod routing;
mod sessions;
mod stamps;
mod streams;
mod throttling;
mod transfers;
mod twins;
