use std::collections::HashMap;

use registry::HubReach;

use super::*;

fn hub(name: &str, weight: Option<u16>, apply: bool) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        host: HubHost::parse(&format!("{name}.example")).unwrap(),
        allocation_weight: weight,
        apply_allocation_policy: apply,
        reach: HubReach::Here,
    }
}

fn shares(hubs: &[LinkedHub], count: usize) -> (HashMap<String, usize>, Vec<String>) {
    let hubs: Vec<&LinkedHub> = hubs.iter().collect();
    let mut shares = HashMap::new();
    let mut chosen = Vec::new();
    for number in 0..count {
        let id = RegistrationId::parse(&format!("device-{number}")).unwrap();
        let name = hashed(&id, &hubs).unwrap().name.to_string();
        *shares.entry(name.clone()).or_default() += 1;
        chosen.push(name);
    }
    (shares, chosen)
}

#[test]
fn hashed_follows_the_weights() {
    let hubs = [
        hub("a", None, true),
        hub("b", Some(1), true),
        hub("c", Some(2), true),
    ];
    let (shares, _) = shares(&hubs, 10_000);
    // Five standard deviations of a binomial with p = 1/4 and 1/2.
    assert!(shares["a"].abs_diff(2500) < 217, "{shares:?}");
    assert!(shares["b"].abs_diff(2500) < 217, "{shares:?}");
    assert!(shares["c"].abs_diff(5000) < 250, "{shares:?}");
}

#[test]
fn a_hub_that_joins_moves_only_its_share() {
    let hubs = [
        hub("a", None, true),
        hub("b", None, true),
        hub("c", None, true),
    ];
    let (_, before) = shares(&hubs[..2], 3000);
    let (_, after) = shares(&hubs, 3000);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
    assert!(moved.iter().all(|(_, to)| *to == "c"));
    assert!(moved.len().abs_diff(1000) < 130, "{}", moved.len());
}

#[test]
fn the_letter_case_of_an_id_changes_nothing() {
    let hubs = [hub("a", None, true), hub("b", None, true)];
    let hubs: Vec<&LinkedHub> = hubs.iter().collect();
    for number in 0..50 {
        let lower = RegistrationId::parse(&format!("edge-{number}")).unwrap();
        let upper = RegistrationId::parse(&format!("EDGE-{number}")).unwrap();
        assert_eq!(
            hashed(&lower, &hubs).unwrap().name,
            hashed(&upper, &hubs).unwrap().name
        );
    }
}

#[test]
fn candidates_are_the_listed_hubs_that_take_part() {
    let hubs = [hub("a", None, true), hub("b", None, false)];
    let host = |text: &str| HubHost::parse(text).unwrap();
    assert_eq!(candidates(&[], &hubs).unwrap().len(), 1);
    assert_eq!(
        candidates(&[host("A.example:443")], &hubs).unwrap()[0].name,
        hubs[0].name
    );
    assert!(matches!(
        candidates(&[host("b.example")], &hubs),
        Err(AllocationError::NoneLinked(hosts)) if hosts == "b.example"
    ));
    assert_eq!(
        candidates(&[], &hubs[1..]).unwrap_err(),
        AllocationError::NoHub
    );
}

#[test]
fn static_takes_exactly_one() {
    let hubs = [hub("a", None, true), hub("b", None, true)];
    let all: Vec<&LinkedHub> = hubs.iter().collect();
    let host = HubHost::parse("a.example").unwrap();
    assert_eq!(
        single(std::slice::from_ref(&host), &all[..1]).unwrap().name,
        hubs[0].name
    );
    assert_eq!(single(&[], &all).unwrap_err(), AllocationError::NotOne(0));
    assert_eq!(
        single(&[host.clone(), host], &all).unwrap_err(),
        AllocationError::NotOne(2)
    );
}
