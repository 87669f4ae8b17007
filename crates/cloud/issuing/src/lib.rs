//! Issuing certificates as a service: for devices that register, for EST, for devices that renew at
//! their hub, for operators. Each certificate is durable and listed before anybody gets it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test that meets an error has failed and may say so by panicking"
    )
)]

mod authority;
mod issue;
pub mod log;
mod profile;

pub mod password;

pub mod est;

pub mod public;

pub mod roll;

pub use authority::authority;
pub use issue::{IssueError, Signed, Wanted, issue, sign};
