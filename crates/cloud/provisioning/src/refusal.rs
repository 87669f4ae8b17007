use std::net::IpAddr;

use ids::{RegistrationId, Timestamp};
use registry::Continuation;
use serde_json::Value;

use crate::registration::EnrolledBy;

/// A registration that was not let in, for the operator. Its device learned less.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusalDraft {
    /// Who wanted to register.
    pub registration_id: RegistrationId,
    /// The stable name of the reason.
    pub reason: &'static str,
    /// What the device was answered, six digits.
    pub error_code: u32,
    /// SHA-256 of what it showed: the same device with the same fault is the same refusal.
    pub credential: [u8; 32],
    /// How often since it was last written.
    pub times: u32,
    /// Where the device's connection came from, when it is known.
    pub address: Option<IpAddr>,
    /// What was seen and tried, and what to do.
    pub report: Value,
    /// The enrollment that refused it because it is disabled: the record of the registration says
    /// so.
    pub disabled: Option<EnrolledBy>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RefusalRecord {
    /// Who wanted to register, as last spelled.
    pub registration_id: RegistrationId,
    /// The stable name of the reason.
    pub reason: String,
    /// What the device was answered, six digits.
    pub error_code: u32,
    pub times: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// What was seen and tried, and what to do.
    pub report: Value,
    pub(crate) number: i64,
}

/// Which refusals are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalQuery {
    /// Of this registration only.
    pub registration_id: Option<RegistrationId>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Go on behind this.
    pub after: Option<Continuation>,
    /// At most so many, 1 to 1000.
    pub limit: usize,
}
