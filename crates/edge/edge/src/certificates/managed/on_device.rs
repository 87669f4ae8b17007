//! What is next about a certificate that this device issues itself, by a clock that may be wrong.
//!
//! A certificate of the future, in place of one that was good, is of no use for years. So only the
//! time that has certainly passed makes a renewal due.

use ids::Timestamp;
use pki::Certificate;

use super::{Managed, Step};
use crate::provision::clock_guard::{Reading, TOLERANCE};

impl Managed {
    /// What is next, and the time to do it by.
    #[must_use]
    pub fn next_on_device(&self, reading: Reading) -> (Step, Timestamp) {
        let active = self.active_chain();
        let Some(leaf) = active.first() else {
            return (self.next(reading.time), reading.time);
        };
        let now = reading.passed;
        let step = match self.next(now) {
            Step::Wait(Some(_)) if reading.is_certain() && !has_begun(leaf, now) => Step::MakeKey,
            step => step,
        };
        (step, now)
    }
}

/// Whether the validity of a certificate has begun, by a time that is certain.
pub fn has_begun(leaf: &Certificate, now: Timestamp) -> bool {
    leaf.not_before() <= now.plus(TOLERANCE)
}
