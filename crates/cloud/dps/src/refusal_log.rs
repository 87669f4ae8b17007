//! Refusals that are kept for operators. Cheap under a flood: the same refusal that comes again
//! soon is only counted, and a bounded number of them is written in a second.

pub mod expiry;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{Thumbprint, Timestamp};
use metrics::counter;
use provisioning::{EnrolledBy, EnrollmentKey, RefusalDraft};
use wire::muster_api::refusal::RefusalReport;

use crate::registration::refusal::{Refusal, RefusalReason};

/// The same refusal is written at most once in this time.
const AGAIN: Duration = Duration::from_secs(10);
/// Different refusals remembered at once, about 100 bytes each.
const REMEMBERED: usize = 8192;
/// Refusals of one service written in one second, at most.
const PER_SECOND: u32 = 200;

/// What makes two refusals the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    id_scope: String,
    folded: String,
    reason: &'static str,
    credential: [u8; 32],
}

#[derive(Debug, Default)]
struct Recent {
    /// When it was last written, and how often it came since.
    kinds: HashMap<Kind, (Timestamp, u32)>,
    second: i64,
    /// In this second, by ID scope: one service's flood is not another's.
    written: HashMap<String, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// It counts for so many.
    Write {
        times: u32,
    },
    CountOnly(Cause),
}

/// Why a refusal is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The same was written a moment ago: it is counted with the next of its kind.
    Again,
    /// Too many were written in this second, or are remembered.
    Flood,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Again => "again",
            Self::Flood => "flood",
        }
    }
}

/// Decides which refusals are written.
#[derive(Debug, Default)]
pub struct RefusalLog(Mutex<Recent>);

impl RefusalLog {
    /// The refusal, when it is to be written; otherwise it is counted with the next of its kind.
    pub fn admit(
        &self,
        id_scope: &str,
        refusal: &Refusal,
        error_code: u32,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<RefusalDraft> {
        let reason = refusal.reason.code();
        let kind = Kind {
            id_scope: id_scope.to_owned(),
            folded: refusal.registration_id.folded().to_owned(),
            reason,
            credential: credential(refusal),
        };
        let credential = kind.credential;
        counter!("muster_dps_refusals_total", "reason" => reason).increment(1);
        let times = match self.times(kind, now) {
            Admission::Write { times } => times,
            Admission::CountOnly(cause) => {
                let cause = cause.name();
                let unwritten = "muster_dps_refusals_unwritten_total";
                counter!(unwritten, "reason" => reason, "cause" => cause).increment(1);
                return None;
            }
        };
        let report = serde_json::to_value(report(refusal)).unwrap_or_default();
        Some(RefusalDraft {
            registration_id: refusal.registration_id.clone(),
            reason,
            error_code,
            credential,
            times,
            address,
            report,
            disabled: disabled(refusal),
        })
    }

    fn times(&self, kind: Kind, now: Timestamp) -> Admission {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((written, since)) = recent.kinds.get_mut(&kind)
            && written.plus(AGAIN) > now
        {
            *since = since.saturating_add(1);
            return Admission::CountOnly(Cause::Again);
        }
        if recent.kinds.len() >= REMEMBERED {
            recent
                .kinds
                .retain(|_, (written, _)| written.plus(AGAIN) > now);
        }
        if recent.second != now.unix_seconds() {
            recent.second = now.unix_seconds();
            recent.written.clear();
        }
        let full = recent.kinds.len() >= REMEMBERED && !recent.kinds.contains_key(&kind);
        let written = recent.written.entry(kind.id_scope.clone()).or_default();
        if *written >= PER_SECOND || full {
            // It is in the metrics, and the log line of the refusal is written all the same.
            return Admission::CountOnly(Cause::Flood);
        }
        *written += 1;
        let (_, since) = recent.kinds.insert(kind, (now, 0)).unwrap_or((now, 0));
        let times = since.saturating_add(1);
        Admission::Write { times }
    }
}

/// The enrollment that refused because it is disabled.
fn disabled(refusal: &Refusal) -> Option<EnrolledBy> {
    match &refusal.reason {
        RefusalReason::Disabled(EnrollmentKey::Individual(_)) => Some(EnrolledBy::Individual),
        RefusalReason::Disabled(EnrollmentKey::Group(id)) => Some(EnrolledBy::Group(id.clone())),
        _ => None,
    }
}

/// A refusal as operators read it.
pub fn report(refusal: &Refusal) -> RefusalReport {
    RefusalReport {
        reason: refusal.reason.code().to_owned(),
        message: ids::error_chain(&refusal.reason),
        enrollment: refusal.enrollment.as_ref().map(ToString::to_string),
        chain: refusal.chain.clone(),
    }
}

/// The leaf that the device presented. Tokens differ each time, so that they all count as one here.
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
            id_scope: "0ne1".to_owned(),
            folded: name.to_owned(),
            reason: "not_enrolled",
            credential: [0; 32],
        }
    }

    #[test]
    fn the_same_refusal_is_counted_and_written_again_after_a_while() {
        let log = RefusalLog::default();
        let start = Timestamp::from_unix_seconds(1000);
        assert_eq!(log.times(kind("a"), start), Admission::Write { times: 1 });
        for _ in 0..5 {
            let again = Admission::CountOnly(Cause::Again);
            assert_eq!(log.times(kind("a"), start), again);
        }
        let later = start.plus(AGAIN);
        assert_eq!(log.times(kind("a"), later), Admission::Write { times: 6 });
        assert_eq!(log.times(kind("b"), later), Admission::Write { times: 1 });
    }

    #[test]
    fn a_flood_of_different_refusals_is_written_at_a_bounded_rate_and_remembered_within_bounds() {
        let log = RefusalLog::default();
        let (mut written, mut unwritten) = (0, 0);
        for second in 0..5 {
            let now = Timestamp::from_unix_seconds(second);
            for n in 0..5000 {
                let name = format!("{second}-{n}");
                match log.times(kind(&name), now) {
                    Admission::Write { .. } => written += 1,
                    Admission::CountOnly(cause) => {
                        assert_eq!(cause, Cause::Flood);
                        unwritten += 1;
                    }
                }
            }
        }
        assert_eq!(
            (written, unwritten),
            (5 * PER_SECOND, 25_000 - 5 * PER_SECOND)
        );
        assert!(log.0.lock().unwrap().kinds.len() <= REMEMBERED);
    }
}
