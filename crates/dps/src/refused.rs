//! Refusals kept for operators. Cheap under a flood: the same refusal that comes again soon is only counted, and no more than
//! so many are written in a second, whoever sends them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{Thumbprint, Timestamp};
use registry::RefusalDraft;
use wire::verdict::RefusalReport;

use crate::refusal::Refusal;

/// The same refusal is written at most once in this time.
const AGAIN: Duration = Duration::from_secs(10);
/// Different refusals remembered at once, about 100 bytes each.
const REMEMBERED: usize = 8192;
/// Refusals written in one second, at most.
const PER_SECOND: u32 = 200;

/// What makes two refusals the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    folded: String,
    reason: &'static str,
    credential: [u8; 32],
}

#[derive(Debug, Default)]
struct Seen {
    /// When it was last written, and how often it came since.
    kinds: HashMap<Kind, (Timestamp, u32)>,
    second: i64,
    written: u32,
}

/// Which refusals are worth writing now.
#[derive(Debug, Default)]
pub struct Refused(Mutex<Seen>);

impl Refused {
    /// The refusal to be written, when it is its turn; otherwise it is counted with the next of its kind.
    #[must_use]
    pub fn turn(&self, refusal: &Refusal, error_code: u32, now: Timestamp) -> Option<RefusalDraft> {
        let kind = Kind {
            folded: refusal.registration_id.folded().to_owned(),
            reason: refusal.reason.code(),
            credential: credential(refusal),
        };
        let credential = kind.credential;
        let times = self.times(kind, now)?;
        let report = serde_json::to_value(report(refusal)).unwrap_or_default();
        Some(RefusalDraft {
            registration_id: refusal.registration_id.clone(),
            reason: refusal.reason.code(),
            error_code,
            credential,
            times,
            report,
        })
    }

    fn times(&self, kind: Kind, now: Timestamp) -> Option<u32> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((written, since)) = seen.kinds.get_mut(&kind)
            && written.plus(AGAIN) > now
        {
            *since = since.saturating_add(1);
            return None;
        }
        if seen.kinds.len() >= REMEMBERED {
            seen.kinds
                .retain(|_, (written, _)| written.plus(AGAIN) > now);
        }
        if seen.second != now.unix_seconds() {
            (seen.second, seen.written) = (now.unix_seconds(), 0);
        }
        let full = seen.kinds.len() >= REMEMBERED && !seen.kinds.contains_key(&kind);
        if seen.written >= PER_SECOND || full {
            // Not silent: the log line of the refusal is written all the same.
            return None;
        }
        seen.written += 1;
        let (_, since) = seen.kinds.insert(kind, (now, 0)).unwrap_or((now, 0));
        Some(since.saturating_add(1))
    }
}

/// What operators read.
#[must_use]
pub fn report(refusal: &Refusal) -> RefusalReport {
    RefusalReport {
        reason: refusal.reason.code().to_owned(),
        message: crate::refusal::with_causes(&refusal.reason),
        enrollment: refusal.enrollment.as_ref().map(ToString::to_string),
        chain: refusal.chain.clone(),
    }
}

/// What the device showed: its leaf. Tokens are another one each time, so that they are all the same here.
fn credential(refusal: &Refusal) -> [u8; 32] {
    let leaf = refusal.chain.first();
    let leaf = leaf.and_then(|leaf| Thumbprint::parse(&leaf.sha256_thumbprint).ok());
    leaf.map_or([0; 32], |leaf| *leaf.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Kind {
        Kind {
            folded: name.to_owned(),
            reason: "not_enrolled",
            credential: [0; 32],
        }
    }

    #[test]
    fn the_same_refusal_is_counted_and_written_when_its_time_has_come() {
        let refused = Refused::default();
        let start = Timestamp::from_unix_seconds(1000);
        assert_eq!(refused.times(kind("a"), start), Some(1));
        for _ in 0..5 {
            assert_eq!(refused.times(kind("a"), start), None);
        }
        let later = start.plus(AGAIN);
        assert_eq!(refused.times(kind("a"), later), Some(6));
        assert_eq!(refused.times(kind("b"), later), Some(1));
    }

    #[test]
    fn a_flood_of_different_refusals_is_written_at_a_bounded_rate_and_remembered_within_bounds() {
        let refused = Refused::default();
        let mut written = 0;
        for second in 0..5 {
            let now = Timestamp::from_unix_seconds(second);
            for n in 0..5000 {
                let name = format!("{second}-{n}");
                written += u32::from(refused.times(kind(&name), now).is_some());
            }
        }
        assert_eq!(written, 5 * PER_SECOND);
        assert!(refused.0.lock().unwrap().kinds.len() <= REMEMBERED);
    }
}
