use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use wire::muster_api::rollout::OpenRing;

use super::*;
use crate::condition::Facts;
use crate::query::Limits;

const GATE: GateDocument = GateDocument {
    soak_seconds: 60,
    device_timeout_seconds: 300,
    grace_seconds: 30,
    max_failed_percent: 0,
    max_restarts: 2,
};

fn at(seconds: u32) -> Timestamp {
    Timestamp::from_unix_seconds(i64::from(seconds))
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn ring(percent: Option<u8>, condition: Option<&str>) -> RingDocument {
    RingDocument {
        name: None,
        target_condition: condition.map(str::to_owned),
        percent,
    }
}

#[test]
fn shares_are_stable_and_grow() {
    let rings = [
        ring(None, Some("tags.canary = true")),
        ring(Some(10), None),
        ring(Some(100), None),
    ];
    let rings = Rings::new(&rings, Limits::Stored).unwrap();
    let (none, canary) = (Map::new(), map(json!({"canary": true})));
    let ring_of = |name: &str, tags| {
        let facts = Facts {
            device_id: name,
            module_id: None,
            tags,
            reported: &none,
        };
        rings.ring_of("dep", facts)
    };
    assert_eq!(ring_of("d", &canary), 0);
    let names: Vec<_> = (0..10_000).map(|n| format!("device-{n}")).collect();
    let tenth = names
        .iter()
        .filter(|name| ring_of(name, &none) == 1)
        .count();
    assert!((900..1100).contains(&tenth), "{tenth}");
    assert!(names.iter().all(|name| ring_of(name, &none) > 0));
}

#[test]
fn faults_of_plans_name_their_path() {
    for (rings, wanted) in [
        (vec![], "the last ring"),
        (vec![ring(Some(50), None)], "the last ring"),
        (
            vec![
                ring(Some(50), None),
                ring(Some(50), None),
                ring(Some(100), None),
            ],
            "rings[1].percent",
        ),
        (vec![ring(None, None), ring(Some(100), None)], "rings[0]"),
        (
            vec![ring(None, Some("tags.a =")), ring(Some(100), None)],
            "rings[0].targetCondition",
        ),
        (
            vec![
                ring(None, Some("properties.reported.a = 1")),
                ring(Some(100), None),
            ],
            "'rings[0].targetCondition': a device would change its ring by what it reports; use tags",
        ),
    ] {
        let refused = RolloutPlan::new(rings, GATE, 1).unwrap_err().to_string();
        assert!(refused.contains(wanted), "{refused}");
    }
    assert!(RolloutPlan::new(vec![ring(Some(100), None)], GATE, 0).is_err());
}

fn report(applied: bool, reported: Value) -> AgentReport {
    AgentReport {
        since: at(0),
        unsettled: None,
        applied,
        superseded: false,
        desired_version: 7,
        desired: map(
            json!({"modules": {"m": {"status": "running"}, "off": {"status": "stopped"}}}),
        ),
        reported: map(reported),
        restarts_before: BTreeMap::from([("m".to_owned(), 5)]),
    }
}

/// What an agent reported, so many seconds after the admission, and how the device is.
fn reports() -> Vec<(Value, u32, Health)> {
    let done = |module: Value| {
        json!({"lastDesiredVersion": 7, "lastDesiredStatus": {"code": 200},
            "modules": {"m": module}})
    };
    let failed = |text: &str| Health::Failed(text.to_owned());
    let running = json!({"runtimeStatus": "running", "restartCount": 5});
    vec![
        (done(running), 1, Health::Healthy),
        (
            done(json!({"runtimeStatus": "running", "restartCount": 8})),
            31,
            failed("module m was restarted 3 times"),
        ),
        (
            done(json!({"runtimeStatus": "running", "restartCount": 2})),
            31,
            Health::Healthy,
        ),
        (
            done(json!({"runtimeStatus": "backoff"})),
            29,
            Health::Changing,
        ),
        (
            done(json!({"runtimeStatus": "backoff"})),
            30,
            failed("module m is backoff"),
        ),
        (
            done(json!({"runtimeStatus": "unknown"})),
            31,
            Health::Changing,
        ),
        (
            done(json!({"runtimeStatus": "unknown"})),
            300,
            failed("no success within 300 s"),
        ),
        (
            json!({"lastDesiredVersion": 7, "lastDesiredStatus": {"code": 500, "description": "pull"}}),
            31,
            failed("the agent reports 500 pull"),
        ),
        (
            json!({"lastDesiredVersion": 6, "lastDesiredStatus": {"code": 200}}),
            299,
            Health::Changing,
        ),
        (json!({}), 300, failed("no success within 300 s")),
    ]
}

#[test]
fn health_is_what_the_agent_reports() {
    for (reported, seconds, wanted) in reports() {
        let report = report(true, reported.clone());
        assert_eq!(
            health(&report, GATE, at(seconds)),
            wanted,
            "{reported} after {seconds} s"
        );
    }
    let done = reports().swap_remove(0).0;
    let unwritten = report(false, done);
    assert_eq!(health(&unwritten, GATE, at(1)), Health::Changing);
}

#[test]
fn a_module_that_ended_well_and_is_not_started_again_is_good() {
    for (policy, code, wanted) in [
        ("never", 0, Health::Healthy),
        ("on-failure", 0, Health::Healthy),
        ("on-unhealthy", 0, Health::Healthy),
        ("always", 0, Health::Changing),
        ("never", 1, Health::Changing),
    ] {
        let mut report = report(
            true,
            json!({"lastDesiredVersion": 7, "lastDesiredStatus": {"code": 200},
                "modules": {"m": {"runtimeStatus": "stopped", "exitCode": code}}}),
        );
        report.desired =
            map(json!({"modules": {"m": {"status": "running", "restartPolicy": policy}}}));
        assert_eq!(health(&report, GATE, at(1)), wanted, "{policy} {code}");
    }
}

#[test]
fn the_clock_of_a_device_starts_again_with_what_it_is_to_do() {
    let behind = json!({"lastDesiredVersion": 6, "lastDesiredStatus": {"code": 200}});
    let mut late = report(true, behind);
    late.since = at(1000);
    assert_eq!(health(&late, GATE, at(1299)), Health::Changing);
    assert!(matches!(health(&late, GATE, at(1300)), Health::Failed(_)));
    // What comes while it owes an answer gives it no more time.
    late.unsettled = Some(at(700));
    assert_eq!(health(&late, GATE, at(999)), Health::Changing);
    let failed = health(&late, GATE, at(1000));
    assert!(matches!(failed, Health::Failed(_)), "{failed:?}");
    assert_eq!(unsettled(&late, &failed, at(1000)), None);
    assert_eq!(unsettled(&late, &Health::Healthy, at(1000)), Some(None));
    late.unsettled = None;
    assert_eq!(
        unsettled(&late, &Health::Changing, at(1100)),
        Some(Some(at(1000)))
    );
    assert_eq!(unsettled(&late, &Health::Healthy, at(1000)), None);
    let mut superseded = report(false, json!({}));
    superseded.superseded = true;
    assert_eq!(health(&superseded, GATE, at(9999)), Health::Superseded);
    // The other base is gone, and the deployment is not there again: it owes an answer from now on.
    superseded.superseded = false;
    assert_eq!(health(&superseded, GATE, at(9999)), Health::Changing);
    let noted = unsettled(&superseded, &Health::Changing, at(9999));
    assert_eq!(noted, Some(Some(at(9999))));
}

fn counts() -> impl Strategy<Value = RolloutCounts> {
    let few = 0..6_u64;
    (few.clone(), few.clone(), few.clone(), few).prop_map(|(waiting, changing, healthy, failed)| {
        RolloutCounts {
            waiting,
            changing,
            healthy,
            failed,
        }
    })
}

proptest! {
    #[test]
    fn a_step_keeps_the_budget_and_the_gate(
        counts in counts(),
        admitted_in_ring in 0..3_u64,
        superseded in 0..2_u64,
        late: bool,
        complete: bool,
        paused: bool,
        ring in 0..3_u32,
        soaking in prop::option::of(0..200_u32),
        tolerated in 0..60_u8,
        max_in_change in 1..5_u32,
    ) {
        let gate = GateDocument { max_failed_percent: tolerated, ..GATE };
        let pace = Pace { rings: 3, gate, max_in_change };
        // Of a ring that was good at 0: four soaks of 60 s and a timeout of 300 s.
        let now = if late { at(540) } else { at(200) };
        let first_good = soaking.map(|_| at(0));
        let open = OpenRing { ring, soaking_since: soaking.map(at), first_good };
        let seen = Observation {
            counts, admitted_in_ring, superseded, complete, ..Observation::default()
        };
        let step = decide(pace, open, paused, &seen, now);
        let admitted = counts.changing + counts.healthy + counts.failed;
        let bad = counts.failed * 100 > u64::from(tolerated) * admitted;
        prop_assert_eq!(bad, matches!(step, Step::Return { .. }));
        if paused && !bad {
            prop_assert_eq!(&step, &Step::Wait);
        }
        match step {
            Step::Admit { at_most } => {
                prop_assert!(at_most > 0 && at_most <= counts.waiting);
                prop_assert!(counts.changing + at_most <= u64::from(max_in_change));
            }
            Step::BeginSoak | Step::OpenNextRing | Step::Complete => {
                let unsettled = counts.waiting + counts.changing;
                let overdue = late && first_good.is_some() && counts.healthy > 0
                    && unsettled <= u64::from(max_in_change);
                prop_assert!(complete && (unsettled == 0 || overdue));
                prop_assert!(!overdue || step != Step::BeginSoak);
                prop_assert!(admitted_in_ring > 0 || ring == 2);
                prop_assert!(counts.healthy > 0 || superseded == 0);
            }
            Step::Wait | Step::Return { .. } => {}
        }
        if matches!(step, Step::OpenNextRing | Step::Complete) {
            prop_assert!(late || soaking.unwrap() <= 140);
            prop_assert_eq!(step == Step::Complete, ring == 2);
        }
    }

    /// However devices answer: a rollout ends, and never changes more devices at once than it may.
    #[test]
    fn a_rollout_comes_to_an_end(
        sizes in prop::collection::vec(1..8_u64, 1..4),
        fails in prop::option::of(0..20_u64),
        max_in_change in 1..5_u32,
    ) {
        let rings = u32::try_from(sizes.len()).unwrap();
        let pace = Pace { rings, gate: GATE, max_in_change };
        let mut open = OpenRing { ring: 0, soaking_since: None, first_good: None };
        let mut seen = Observation { complete: true, ..Observation::default() };
        seen.counts.waiting = sizes[0];
        for now in (0..).step_by(10).map(at).take(1000) {
            match decide(pace, open, false, &seen, now) {
                Step::Wait if seen.counts.changing > 0 => {
                    seen.counts.changing -= 1;
                    let answers = seen.counts.healthy + seen.counts.failed;
                    match fails == Some(answers) {
                        true => seen.counts.failed += 1,
                        false => seen.counts.healthy += 1,
                    }
                }
                Step::Wait => {}
                Step::Admit { at_most } => {
                    seen.counts.waiting -= at_most;
                    seen.counts.changing += at_most;
                    seen.admitted_in_ring += at_most;
                }
                Step::BeginSoak => open.soaking_since = Some(now),
                Step::OpenNextRing => {
                    open = OpenRing { ring: open.ring + 1, soaking_since: None, first_good: None };
                    seen.admitted_in_ring = 0;
                    seen.counts.waiting = sizes[open.ring as usize];
                }
                Step::Complete => {
                    prop_assert_eq!(seen.counts.failed, 0);
                    prop_assert_eq!(seen.counts.healthy, sizes.iter().sum::<u64>());
                    return Ok(());
                }
                Step::Return { .. } => {
                    prop_assert_eq!(seen.counts.failed, 1);
                    return Ok(());
                }
            }
            prop_assert!(seen.counts.changing <= u64::from(max_in_change));
        }
        prop_assert!(false, "no end");
    }
}
