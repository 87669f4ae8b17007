//! The device's side against servers that are made up here, over real sockets and real TLS.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed and may say so by panicking"
)]

#[path = "story/clock.rs"]
mod clock;
#[path = "story/est.rs"]
mod est;
#[path = "story/hub.rs"]
mod hub;
#[path = "story/modules.rs"]
mod modules;
#[path = "story/provision.rs"]
mod provision;
#[path = "story/proxy.rs"]
mod proxy;
#[path = "story/renewal.rs"]
mod renewal;
#[path = "story/server.rs"]
mod server;
#[path = "story/tpm.rs"]
mod tpm;
#[path = "story/workload.rs"]
mod workload;
