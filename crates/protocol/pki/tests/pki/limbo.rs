//! x509-limbo (<https://x509-limbo.com>, Apache-2.0): every case agrees with the suite, or stands
//! in a list with its reason.

use std::collections::BTreeSet;

#[path = "limbo/differences.rs"]
mod differences;
#[path = "limbo/suite.rs"]
mod suite;

use differences::DIFFERENCES;
use suite::Suite;

fn suite() -> Suite {
    serde_json::from_str(include_str!("../data/x509-limbo.json")).unwrap()
}

#[test]
fn every_case_agrees_or_differs_for_a_reason() {
    let suite = suite();
    assert!(suite.testcases.len() >= 208, "the suite shrank");
    let faults: Vec<String> = suite
        .run()
        .iter()
        .filter(|outcome| outcome.is_fault())
        .map(|outcome| {
            let (id, expected) = (&outcome.case.id, &outcome.case.expected_result);
            let refused = outcome.refused.as_ref();
            let why =
                refused.map_or_else(String::new, |one| [one.rule, ": ", &one.message].concat());
            format!("{id}: expected {expected}, ours {} {why}", outcome.ours())
        })
        .collect();
    assert!(
        faults.is_empty(),
        "{} cases:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn every_difference_is_one_of_a_case() {
    let suite = suite();
    let ids: BTreeSet<&str> = suite
        .testcases
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    let listed: Vec<&str> = DIFFERENCES
        .iter()
        .flat_map(|(_, ids)| *ids)
        .copied()
        .collect();
    let unknown: Vec<_> = listed.iter().filter(|id| !ids.contains(*id)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let distinct: BTreeSet<_> = listed.iter().collect();
    assert_eq!(
        distinct.len(),
        listed.len(),
        "a case stands in the list twice"
    );
}
