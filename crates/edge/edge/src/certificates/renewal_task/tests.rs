//! The pauses of the task, and a certificate that is due as soon as it is issued.

use std::sync::atomic::{AtomicUsize, Ordering};

use device::renewal::{RenewalPolicy, Threshold};
use pki::{KeyType, Profile, Subject};
use tokio::time::timeout;

use super::*;
use crate::certificates::keys_in;
use crate::certificates::managed::{Renewal, Wanted};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[test]
fn attempts_come_closer_together_when_time_runs_out() {
    let retry = RenewalTime::Percent(4);
    let (life, usual) = (30 * DAY, DAY.mul_f64(1.2));
    assert_eq!(retry_after(retry, life, 6 * DAY, 0.0), usual);
    assert_eq!(retry_after(retry, life, 6 * DAY, 1.0), usual.mul_f64(0.9));
    assert_eq!(retry_after(retry, life, DAY, 0.0), DAY / 4);
    assert_eq!(retry_after(retry, life, Duration::ZERO, 0.0), FIRST_PAUSE);
    let time = RenewalTime::Time(2 * DAY);
    assert_eq!(retry_after(time, 90 * DAY, 30 * DAY, 0.0), 2 * DAY);
}

#[test]
fn a_certificate_is_used_for_a_share_of_what_is_left_of_it() {
    let seconds = Duration::from_secs;
    assert_eq!(shortest_use(30 * DAY), DAY.mul_f64(1.5));
    assert_eq!(shortest_use(seconds(600)), seconds(60));
    assert_eq!(shortest_use(seconds(60)), seconds(30));
    assert_eq!(shortest_use(Duration::ZERO), Duration::ZERO);
}

/// How many certificates of this lifetime are issued within a time. They begin minutes before that,
/// and so they are due at once.
async fn issued_within(time: Duration, lifetime: Duration) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let wanted = Wanted {
        id: "device-ca".to_owned(),
        profile: Profile::EdgeCa,
        subject: Subject::common_name("d").unwrap(),
        key_type: KeyType::Ec,
        issuer: "self_signed".to_owned(),
        renewal: Some(Renewal {
            policy: RenewalPolicy {
                threshold: Threshold::Percent(80),
                spread_percent: 5,
            },
            rotate_key: true,
        }),
        bootstrap: None,
    };
    let keys = keys_in(&dir.path().join("keys"));
    let managed = Managed::open(wanted, dir.path().join("slots.json"), keys).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let task = RenewalTask {
        managed: Arc::new(managed),
        issuer: Box::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
            0..5 => Ok(CertificateIssuer::SelfSigned { lifetime }),
            _ => Err(IssuanceError::NoCa),
        }),
        proof: Proof::AtOnce,
        issued_by: IssuedBy::Server,
        retry: RenewalTime::Percent(4),
        shared: SharedState::default(),
    };
    assert!(timeout(time, task.run()).await.is_err());
    asked.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_certificate_that_is_due_at_once_is_not_renewed_in_a_loop() {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    assert_eq!(issued_within(second, minute).await, 1);
    let issued = issued_within(second * 5, second * 6).await;
    assert!((2..5).contains(&issued), "{issued} were issued");
}
