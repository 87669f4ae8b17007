use proptest::prelude::*;
use wire::service_api::identity::KeyText;

use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_000_000);

fn remote(key: &str) -> LinkedHub {
    LinkedHub {
        name: "remote".parse().unwrap(),
        host: "remote.example".parse().unwrap(),
        allocation_weight: None,
        apply_allocation_policy: true,
        latencies: Vec::new(),
        former_hosts: Vec::new(),
        access: HubAccess::Remote(RemoteAccess {
            policy: "iothubowner".to_owned(),
            key: KeyText::parse(key).unwrap(),
        }),
    }
}

fn state(health: &Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Suspect(_) => "suspect",
        Health::Unhealthy(_) => "unhealthy",
    }
}

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

#[test]
fn a_burst_of_failures_is_one_failure_and_an_answer_heals() {
    let mut health = Health::default();
    for _ in 0..100 {
        health = health.after_failure("refused".to_owned(), START);
    }
    assert_eq!(state(&health), "suspect");
    health = health.after_failure("refused".to_owned(), at(10));
    assert_eq!(state(&health), "unhealthy");
    let failing = health.failing().unwrap();
    assert_eq!((failing.since, failing.failures), (START, 101));
    assert_eq!(health.after_success(), Health::Healthy);
}

#[test]
fn another_key_is_another_chance() {
    let (old, new) = (
        remote("AAECAwQFBgcICQoLDA0ODw=="),
        remote("EBESExQVFhcYGRobHB0eHw=="),
    );
    let hub_health = HubHealth::default();
    for second in [0, 5, 10] {
        hub_health.observe(&old, Some("401".to_owned()), at(second));
    }
    let why = hub_health.unhealthy_reason(&old).unwrap();
    assert!(
        why.starts_with("hub remote was skipped: unhealthy since "),
        "{why}"
    );
    assert!(why.ends_with("last error: 401"), "{why}");
    assert_eq!(hub_health.next_probe_in(&old, at(10)), FAILING_PAUSE);
    assert_eq!(hub_health.unhealthy_reason(&new), None);
    assert_eq!(hub_health.next_probe_in(&new, at(10)), Duration::ZERO);
    hub_health.observe(&old, None, at(12));
    assert_eq!(hub_health.unhealthy_reason(&old), None);
    assert_eq!(
        hub_health.next_probe_in(&old, at(20)),
        HEALTHY_PAUSE - Duration::from_secs(8)
    );
    hub_health.retain(&[]);
    assert_eq!(hub_health.next_probe_in(&old, at(20)), Duration::ZERO);
}

#[test]
fn hubs_of_this_server_are_well() {
    let mut here = remote("AAECAwQFBgcICQoLDA0ODw==");
    here.access = HubAccess::Local;
    let hub_health = HubHealth::default();
    for second in 0..100 {
        hub_health.observe(&here, Some("no".to_owned()), at(second));
    }
    assert_eq!(hub_health.get(&here), Health::Healthy);
}

proptest! {
    /// Whatever comes: a hub is healthy exactly after an answer, unhealthy only after enough
    /// failures over enough time without one, and once unhealthy stays so until an answer.
    #[test]
    fn health_follows_the_outcome_of_calls(
        calls in prop::collection::vec((any::<bool>(), 0_u64..8), 1..60),
    ) {
        let (mut health, mut now) = (Health::default(), START);
        let mut failed: Vec<Timestamp> = Vec::new();
        for (answered, later) in calls {
            now = now.plus(Duration::from_secs(later));
            let was_unhealthy = state(&health) == "unhealthy";
            health = match answered {
                true => { failed.clear(); health.after_success() }
                false => { failed.push(now); health.after_failure("x".to_owned(), now) }
            };
            let long = failed.first().is_some_and(|first| now.since(*first) >= PATIENCE);
            let unhealthy = !answered && (was_unhealthy || (failed.len() >= 3 && long));
            let expected = match (answered, unhealthy) {
                (true, _) => "healthy",
                (false, true) => "unhealthy",
                (false, false) => "suspect",
            };
            prop_assert_eq!(state(&health), expected);
            if let Some(failing) = health.failing() {
                prop_assert_eq!(failing.since, failed[0]);
                prop_assert_eq!(failing.failures as usize, failed.len());
            }
        }
    }
}

/// D4: calls that end at the same time all count.
#[test]
fn no_failure_is_lost_among_many_at_once() {
    let (hub_health, hub) = (HubHealth::default(), remote("AAECAwQFBgcICQoLDA0ODw=="));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    hub_health.observe(&hub, Some("refused".to_owned()), START);
                }
            });
        }
    });
    let failing = hub_health.get(&hub).failing().cloned().unwrap();
    assert_eq!(failing.failures, 16_000);
}
