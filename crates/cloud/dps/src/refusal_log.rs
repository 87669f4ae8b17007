//! Refusals that are kept for operators. Cheap under a flood: the same refusal that comes again
//! soon is only counted, and a bounded number of them is written in a second.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{RegistrationId, Thumbprint, Timestamp};
use metrics::counter;
use provisioning::{EnrolledBy, EnrollmentKey, RefusalDraft};
use wire::muster_api::refusal::{RefusalReport, SeenCertificate};

use crate::registration::refusal::{Refusal, RefusalReason};

/// The same refusal is written at most once in this time.
const AGAIN: Duration = Duration::from_secs(10);
/// Different refusals remembered at once, about 100 bytes each.
const REMEMBERED: usize = 8192;
/// Refusals of one service written in one second, at most.
const PER_SECOND: u32 = 200;

/// A refusal that is kept for operators.
pub trait KeptRefusal {
    /// Under which id operators find it.
    fn registration_id(&self) -> &RegistrationId;
    fn reason_code(&self) -> &'static str;
    /// Six digits; the first three are the HTTP status of the answer.
    fn answered_code(&self) -> u32;
    /// The certificates that the client presented, leaf first.
    fn chain(&self) -> Vec<SeenCertificate>;
    /// SHA-256 of the leaf that the client presented, zeros without one. Tokens and passwords
    /// count as one.
    fn credential(&self) -> [u8; 32];
    fn message(&self) -> String;
    /// The enrollment that decided.
    fn enrollment(&self) -> Option<String>;
    /// The enrollment that refused because it is disabled: the registration's record says so.
    fn disabled(&self) -> Option<EnrolledBy>;
}

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
        refusal: &impl KeptRefusal,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<RefusalDraft> {
        let reason = refusal.reason_code();
        let kind = Kind {
            id_scope: id_scope.to_owned(),
            folded: refusal.registration_id().folded().to_owned(),
            reason,
            credential: refusal.credential(),
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
            registration_id: refusal.registration_id().clone(),
            reason,
            error_code: refusal.answered_code(),
            credential,
            times,
            address,
            report,
            disabled: refusal.disabled(),
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

impl KeptRefusal for Refusal {
    fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    fn reason_code(&self) -> &'static str {
        self.reason.code()
    }

    fn answered_code(&self) -> u32 {
        self.error_code().code()
    }

    fn chain(&self) -> Vec<SeenCertificate> {
        self.chain.clone()
    }

    fn credential(&self) -> [u8; 32] {
        let leaf = self.chain.first();
        let leaf = leaf.and_then(|leaf| Thumbprint::parse(&leaf.sha256_thumbprint).ok());
        leaf.map_or([0; 32], |leaf| *leaf.as_bytes())
    }

    fn message(&self) -> String {
        ids::error_chain(&self.reason)
    }

    fn enrollment(&self) -> Option<String> {
        self.enrollment.as_ref().map(ToString::to_string)
    }

    fn disabled(&self) -> Option<EnrolledBy> {
        match &self.reason {
            RefusalReason::Disabled(EnrollmentKey::Individual(_)) => Some(EnrolledBy::Individual),
            RefusalReason::Disabled(EnrollmentKey::Group(id)) => {
                Some(EnrolledBy::Group(id.clone()))
            }
            _ => None,
        }
    }
}

/// A refusal as operators read it.
pub fn report(refusal: &impl KeptRefusal) -> RefusalReport {
    RefusalReport {
        reason: refusal.reason_code().to_owned(),
        message: refusal.message(),
        enrollment: refusal.enrollment(),
        chain: refusal.chain(),
    }
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
