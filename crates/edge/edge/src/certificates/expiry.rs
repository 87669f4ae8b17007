//! When the certificates of the device expire: for the status, metrics and `iotedge check`, and
//! in the log once a day, weeks ahead.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ids::Timestamp;
use pki::Certificate;
use wire::edge_api::local::CertificateStatus;

use super::edge_ca::EdgeCa;
use super::identity_files::read_certificates;
use super::managed::{Managed, Step};
use crate::config::FileReference;
use crate::state::SharedState;

/// Between two looks at what is issued on or for the device.
const LOOK: Duration = Duration::from_secs(20);
/// Between two looks at files.
const LOOK_AT_FILES: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Before this time nothing is said.
const WEEKS_AHEAD: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate whose expiry matters.
#[derive(Debug)]
pub(super) enum Watched {
    Managed(Arc<Managed>),
    EdgeCa(Arc<EdgeCa>),
    /// The owner renews it.
    File {
        id: String,
        file: FileReference,
    },
}

/// Keeps the status up to date, and writes warnings to the log.
#[derive(Debug)]
pub(super) struct ExpiryTask {
    pub(super) watched: Vec<Watched>,
    pub(super) shared: SharedState,
}

impl ExpiryTask {
    /// Runs until its task is aborted.
    pub(super) async fn run(self) {
        let mut warnings = DailyWarnings::default();
        let mut files = Vec::new();
        let mut files_read_at = None;
        loop {
            let now = self.shared.now();
            if files_read_at.is_none_or(|at| now.since(at) >= LOOK_AT_FILES) {
                files = self.watched.iter().filter_map(Watched::of_file).collect();
                files_read_at = Some(now);
            }
            let issued = self.watched.iter().filter_map(|one| one.of_issued(now));
            let all: Vec<CertificateStatus> = issued.chain(files.iter().cloned()).collect();
            for warning in warnings.due(&all, now) {
                tracing::warn!("{warning}");
            }
            self.shared
                .update_status(|status| status.certificates = all);
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Watched {
    fn of_issued(&self, now: Timestamp) -> Option<CertificateStatus> {
        match self {
            Self::Managed(managed) => Some(of_managed(managed, now)),
            Self::EdgeCa(edge_ca) => {
                let managed = edge_ca.managed()?;
                Some(of_managed(&managed, now))
            }
            Self::File { .. } => None,
        }
    }

    fn of_file(&self) -> Option<CertificateStatus> {
        let Self::File { id, file } = self else {
            return None;
        };
        let read = read_certificates(file);
        let problem = read.as_ref().err().map(ToString::to_string);
        let leaf = read.ok().and_then(|chain| chain.into_iter().next());
        Some(status(id, leaf.as_ref(), None, problem))
    }
}

fn of_managed(managed: &Managed, now: Timestamp) -> CertificateStatus {
    let chain = managed.active_chain();
    let due = match managed.next(now) {
        Step::Wait(due) => due,
        // It is being renewed.
        _ => Some(now),
    };
    status(&managed.wanted().id, chain.first(), due, managed.problem())
}

fn status(
    id: &str,
    leaf: Option<&Certificate>,
    renewal_due: Option<Timestamp>,
    problem: Option<String>,
) -> CertificateStatus {
    CertificateStatus {
        id: id.to_owned(),
        subject: leaf.map(Certificate::subject),
        not_before: leaf.map(Certificate::not_before),
        not_after: leaf.map(Certificate::not_after),
        renewal_due,
        problem,
    }
}

/// What was said, so that it is said once a day.
#[derive(Debug, Default)]
struct DailyWarnings {
    said: BTreeMap<String, Timestamp>,
}

impl DailyWarnings {
    fn due(&mut self, all: &[CertificateStatus], now: Timestamp) -> Vec<String> {
        let mut due = Vec::new();
        for one in all {
            let Some(warning) = warning(one, now) else {
                self.said.remove(&one.id);
                continue;
            };
            let before = self.said.get(&one.id);
            if before.is_none_or(|at| now.since(*at) >= DAY) {
                self.said.insert(one.id.clone(), now);
                due.push(warning);
            }
        }
        due
    }
}

/// What there is to say about a certificate that nobody renews, or whose renewal is late.
pub fn warning(one: &CertificateStatus, now: Timestamp) -> Option<String> {
    let (from, until) = (one.not_before?, one.not_after?);
    let (life, left) = (until.since(from), until.since(now));
    let ahead = WEEKS_AHEAD.min(life / 3);
    // A renewal that works is over long before half of its time has passed.
    let is_late = match one.renewal_due {
        None => left < ahead,
        Some(due) => due <= now && one.problem.is_some() && left < ahead,
    };
    if until >= now && !is_late {
        return None;
    }
    let id = &one.id;
    let when = match until < now {
        true => format!("expired at {}", until.in_seconds()),
        false => format!("expires at {}, in {}", until.in_seconds(), in_words(left)),
    };
    let why = match (&one.renewal_due, &one.problem) {
        (None, _) => "it is not renewed by itself".to_owned(),
        (Some(_), Some(problem)) => format!("its renewal fails: {problem}"),
        (Some(_), None) => "it is about to be renewed".to_owned(),
    };
    Some(format!("the certificate {id} {when}; {why}"))
}

fn in_words(left: Duration) -> String {
    match left.as_secs() / 60 {
        minutes if minutes >= 2 * 24 * 60 => format!("{} days", minutes / (24 * 60)),
        minutes if minutes >= 120 => format!("{} hours", minutes / 60),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_780_272_000);

    fn one(days_left: u32, due: Option<i32>, problem: Option<&str>) -> CertificateStatus {
        let due = due.map(|days| match days < 0 {
            true => NOW.minus(DAY * days.unsigned_abs()),
            false => NOW.plus(DAY * days.unsigned_abs()),
        });
        CertificateStatus {
            id: "device-id".to_owned(),
            subject: Some("CN=d".to_owned()),
            not_before: Some(NOW.minus(DAY * 60)),
            not_after: Some(NOW.plus(DAY * days_left)),
            renewal_due: due,
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn what_nobody_renews_is_said_weeks_ahead() {
        assert_eq!(warning(&one(40, None, None), NOW), None);
        let said = warning(&one(20, None, None), NOW).unwrap();
        assert!(
            said.contains("in 20 days; it is not renewed by itself"),
            "{said}"
        );
        let over = warning(&one(20, None, None), NOW.plus(DAY * 21)).unwrap();
        assert!(over.contains("expired at"), "{over}");
    }

    #[test]
    fn a_renewal_is_mentioned_only_when_it_fails_for_long() {
        assert_eq!(warning(&one(20, Some(2), None), NOW), None);
        assert_eq!(warning(&one(20, Some(-2), None), NOW), None);
        assert_eq!(warning(&one(50, Some(-2), Some("no network")), NOW), None);
        let said = warning(&one(20, Some(-2), Some("no network")), NOW).unwrap();
        assert!(said.ends_with("its renewal fails: no network"), "{said}");
    }

    #[test]
    fn it_is_said_once_a_day_until_it_is_over() {
        let mut warnings = DailyWarnings::default();
        let late = [one(20, None, None)];
        assert_eq!(warnings.due(&late, NOW).len(), 1);
        assert_eq!(warnings.due(&late, NOW.plus(DAY / 2)).len(), 0);
        assert_eq!(warnings.due(&late, NOW.plus(DAY)).len(), 1);
        assert_eq!(warnings.due(&[one(50, None, None)], NOW.plus(DAY)).len(), 0);
        assert_eq!(warnings.due(&late, NOW.plus(DAY)).len(), 1);
    }
}
