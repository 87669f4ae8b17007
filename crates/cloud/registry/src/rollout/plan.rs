use wire::muster_api::rollout::{GateDocument, RingDocument};

use super::RolloutError;
use crate::condition::{Condition, Facts};
use crate::query::Limits;

/// Most rings of a rollout.
const MAX_RINGS: usize = 20;
/// Longest soak, timeout and grace: 30 days.
const MAX_SECONDS: u32 = 30 * 24 * 3600;

/// A rollout that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RolloutPlan {
    pub(crate) documents: Vec<RingDocument>,
    pub(crate) gate: GateDocument,
    pub(crate) max_in_change: u32,
}

/// Who belongs to which ring.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rings(Vec<Members>);

#[derive(Debug, Clone, PartialEq)]
enum Members {
    Matching(Condition),
    Share(u8),
}

impl RolloutPlan {
    pub(crate) fn new(
        documents: Vec<RingDocument>,
        gate: GateDocument,
        max_in_change: u32,
    ) -> Result<Self, RolloutError> {
        Rings::new(&documents, Limits::Usual)?;
        let seconds = [
            ("gate.soakSeconds", gate.soak_seconds),
            ("gate.deviceTimeoutSeconds", gate.device_timeout_seconds),
            ("gate.graceSeconds", gate.grace_seconds),
        ];
        for (path, given) in seconds {
            if given > MAX_SECONDS {
                return Err(invalid(path, format!("{given} is more than {MAX_SECONDS}")));
            }
        }
        if gate.max_failed_percent >= 100 {
            return Err(invalid("gate.maxFailedPercent", "0 to 99 was expected"));
        }
        if max_in_change == 0 {
            return Err(invalid("maxInChange", "1 at least was expected"));
        }
        Ok(Self {
            documents,
            gate,
            max_in_change,
        })
    }
}

impl Rings {
    pub(crate) fn new(documents: &[RingDocument], limits: Limits) -> Result<Self, RolloutError> {
        if documents.len() > MAX_RINGS {
            return Err(invalid("rings", format!("{MAX_RINGS} at most are allowed")));
        }
        if documents
            .last()
            .is_none_or(|last| last.percent != Some(100))
        {
            return Err(invalid("rings", "the last ring must be 100 percent"));
        }
        let mut rings = Vec::new();
        let mut share = 0;
        for (index, document) in documents.iter().enumerate() {
            let path = format!("rings[{index}]");
            rings.push(match (&document.target_condition, document.percent) {
                (Some(text), None) => {
                    let path = format!("{path}.targetCondition");
                    let condition = Condition::of_devices(text, limits).map_err(|cause| {
                        let path = path.clone();
                        RolloutError::Condition { path, cause }
                    })?;
                    if condition.reads_reported() {
                        let problem = "a device would change its ring by what it reports; use tags";
                        return Err(invalid(&path, problem));
                    }
                    Members::Matching(condition)
                }
                (None, Some(percent)) if percent > share && percent <= 100 => {
                    share = percent;
                    Members::Share(percent)
                }
                (None, Some(_)) => {
                    let path = format!("{path}.percent");
                    let problem = "1 to 100, and more than the rings before, was expected";
                    return Err(invalid(&path, problem));
                }
                _ => {
                    let problem = "either targetCondition or percent was expected";
                    return Err(invalid(&path, problem));
                }
            });
        }
        Ok(Self(rings))
    }

    /// The first ring that a device belongs to. `salt` gives each deployment other first devices.
    pub(crate) fn ring_of(&self, salt: &str, facts: Facts<'_>) -> u32 {
        let place = share_of(salt, facts.device_id);
        let belongs = |members: &Members| match members {
            Members::Matching(condition) => condition.matches(facts),
            Members::Share(percent) => place < u64::from(*percent) * 100,
        };
        let ring = self.0.iter().position(belongs);
        // The last ring has everybody.
        u32::try_from(ring.unwrap_or(self.0.len() - 1)).unwrap_or(u32::MAX)
    }
}

/// A place from 0 to 9999 that a device keeps: FNV-1a with a final mix of its bits.
fn share_of(salt: &str, device_id: &str) -> u64 {
    let bytes = salt.bytes().chain([0]).chain(device_id.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed ^ (mixed >> 33)) % 10_000
}

fn invalid(path: &str, problem: impl Into<String>) -> RolloutError {
    RolloutError::Invalid {
        path: path.to_owned(),
        problem: problem.into(),
    }
}
