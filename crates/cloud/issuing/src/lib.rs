//! Issuing certificates as a service: for devices that register, for EST, for devices that renew at
//! their hub, for operators. Each certificate is durable and listed before anybody gets it.

mod issue;
mod profile;

pub use issue::{IssueError, Signed, Wanted, issue, sign};
pub use profile::profile;
