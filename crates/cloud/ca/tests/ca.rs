//! The hierarchy in a folder and the server's own CA, verified by the OpenSSL command line.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a test that meets an error has failed"
)]

#[path = "ca/directory.rs"]
mod directory;
#[path = "ca/identities.rs"]
mod identities;
#[path = "ca/interrupted_root_rolls.rs"]
mod interrupted_root_rolls;
#[path = "ca/kinds.rs"]
mod kinds;
#[path = "ca/requests.rs"]
mod requests;
#[path = "ca/revocations.rs"]
mod revocations;
#[path = "ca/roll.rs"]
mod roll;
#[path = "ca/root_roll.rs"]
mod root_roll;
#[path = "ca/server.rs"]
mod server;
#[path = "ca/tools.rs"]
mod tools;
