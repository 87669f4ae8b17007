use std::time::Duration;

use ids::Timestamp;
use wire::muster_api::rollout::{GateDocument, OpenRing, RolloutCounts};

/// What is fixed about a rollout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rings: u32,
    pub(crate) gate: GateDocument,
    pub(crate) max_in_change: u32,
}

/// What was seen of the devices of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Observation {
    pub(crate) counts: RolloutCounts,
    /// Devices of the open ring itself that got the deployment.
    pub(crate) admitted_in_ring: u64,
    /// Devices of the open ring itself that wait or are changing.
    pub(crate) unsettled_in_ring: u64,
    /// Admitted devices of all rings that another deployment has.
    pub(crate) superseded: u64,
    /// Whether every device has been looked at since configurations changed: until then, devices of
    /// the ring may be missing.
    pub(crate) complete: bool,
    /// A device that failed, and how.
    pub(crate) failure: Option<String>,
}

/// What is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    Admit { at_most: u64 },
    BeginSoak,
    OpenNextRing,
    Complete,
    Return { reason: String },
}

/// How many soaks, beside the timeout of a device, may pass from the first moment that all devices
/// of a ring were good until the ring is done, when devices join or change meanwhile.
const MAX_SOAKS: u32 = 4;

/// Decides the next step of an active rollout. The gate comes first, also while it is paused.
pub(crate) fn decide(
    pace: Pace,
    open: OpenRing,
    paused: bool,
    seen: &Observation,
    now: Timestamp,
) -> Step {
    let counts = seen.counts;
    let admitted = counts.changing + counts.healthy + counts.failed;
    if counts.failed * 100 > u64::from(pace.gate.max_failed_percent) * admitted {
        let reason = format!(
            "{} of {admitted} devices failed{}",
            counts.failed,
            seen.failure
                .as_ref()
                .map(|failure| format!(": {failure}"))
                .unwrap_or_default()
        );
        return Step::Return { reason };
    }
    if paused {
        return Step::Wait;
    }
    let soak = Duration::from_secs(pace.gate.soak_seconds.into());
    let timeout = Duration::from_secs(pace.gate.device_timeout_seconds.into());
    let longest = soak * MAX_SOAKS + timeout;
    // Devices that join or change again and again do not stop a ring that was good: no more of them
    // than may be changing are let through.
    let overdue = open
        .first_good
        .is_some_and(|first| now >= first.plus(longest))
        && counts.healthy > 0
        && counts.waiting + counts.changing <= u64::from(pace.max_in_change);
    if counts.waiting > 0 && !overdue {
        let room = u64::from(pace.max_in_change).saturating_sub(counts.changing);
        return match room.min(counts.waiting) {
            0 => Step::Wait,
            at_most => Step::Admit { at_most },
        };
    }
    if (counts.changing > 0 && !overdue) || !seen.complete {
        return Step::Wait;
    }
    let last = open.ring + 1 >= pace.rings;
    // A ring without devices proves nothing: a condition with a slip of the pen must not let the
    // whole fleet through.
    if seen.admitted_in_ring == 0 && !last {
        return Step::Wait;
    }
    // Devices that another deployment has prove nothing either, also in the last ring.
    if counts.healthy == 0 && seen.superseded > 0 {
        return Step::Wait;
    }
    match open.soaking_since {
        None if !overdue => Step::BeginSoak,
        Some(since) if now < since.plus(soak) && !overdue => Step::Wait,
        _ if last => Step::Complete,
        _ => Step::OpenNextRing,
    }
}
