//! The `[audit]` and `[refusals]` tables of the configuration file.

use std::num::NonZeroU32;
use std::time::Duration;

use registry::{AuditLimits, Retention};
use serde::Deserialize;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much of the audit is kept. Every key is optional; unknown keys are errors, and so is 0 where nothing would be kept.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditTable {
    acts_mib: Option<NonZeroU32>,
    decisions_mib: Option<NonZeroU32>,
    refusals_mib: Option<NonZeroU32>,
    keep_days: Option<u32>,
}

/// How long the list of refusals goes back.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalsTable {
    keep_days: Option<NonZeroU32>,
}

/// What the tables say, over the defaults.
pub fn of(audit: AuditTable, refusals: RefusalsTable) -> Retention {
    let usual = Retention::default();
    let bytes =
        |mib: Option<NonZeroU32>, usual| mib.map_or(usual, |mib| u64::from(mib.get()) << 20);
    let keep_days = audit.keep_days.filter(|days| *days > 0);
    Retention {
        audit: AuditLimits {
            acts: bytes(audit.acts_mib, usual.audit.acts),
            decisions: bytes(audit.decisions_mib, usual.audit.decisions),
            refusals: bytes(audit.refusals_mib, usual.audit.refusals),
            keep: keep_days.map(|days| DAY * days),
            segment: usual.audit.segment,
        },
        refusals: refusals
            .keep_days
            .map_or(usual.refusals, |days| DAY * days.get()),
    }
}
