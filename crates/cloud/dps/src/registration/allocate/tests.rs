use std::collections::HashMap;

use provisioning::HubAccess;

use ids::RegistrationId;

use super::*;

fn hub(name: &str, weight: Option<u16>, apply: bool) -> LinkedHub {
    LinkedHub {
        name: HubName::parse(name).unwrap(),
        host: HubHost::parse(&format!("{name}.example")).unwrap(),
        allocation_weight: weight,
        apply_allocation_policy: apply,
        latencies: Vec::new(),
        former_hosts: Vec::new(),
        access: HubAccess::Local,
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
fn t8_hashed_follows_the_weights() {
    const DEVICES: usize = 10_000;
    let hubs = [
        hub("a", Some(1), true),
        hub("b", Some(1), true),
        hub("c", Some(2), true),
    ];
    let (shares, _) = shares(&hubs, DEVICES);
    let expected = [("a", 2500.0), ("b", 2500.0), ("c", 5000.0)];
    let chi_square: f64 = expected
        .iter()
        .map(|(name, wanted)| {
            let found = u32::try_from(shares[*name]).map(f64::from).unwrap();
            (found - wanted).powi(2) / wanted
        })
        .sum();
    // Two degrees of freedom: one honest draw in a thousand is beyond.
    assert!(chi_square < 13.816, "{shares:?} {chi_square}");
}

#[test]
fn t8_a_hub_that_is_added_moves_at_most_its_share() {
    const DEVICES: usize = 10_000;
    let hubs = [
        hub("a", Some(1), true),
        hub("b", Some(1), true),
        hub("c", Some(2), true),
        hub("d", Some(1), true),
    ];
    let (_, before) = shares(&hubs[..3], DEVICES);
    let (_, after) = shares(&hubs, DEVICES);
    let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
    assert!(
        moved.iter().all(|(_, to)| *to == "d"),
        "nobody moves between hubs that were there"
    );
    // One of five weights, and five standard deviations.
    assert!(moved.len().abs_diff(2000) < 200, "{}", moved.len());
}

#[test]
fn t9_a_hub_without_allocation_is_never_chosen() {
    let hubs = [
        hub("a", None, true),
        hub("b", Some(1000), false),
        hub("c", None, true),
    ];
    let listed: Vec<HubHost> = hubs.iter().map(|hub| hub.host.clone()).collect();
    for listed in [&[][..], &listed[..]] {
        let candidates = candidates(listed, &hubs).unwrap();
        for number in 0..10_000 {
            let id = RegistrationId::parse(&format!("device-{number}")).unwrap();
            assert_ne!(hashed(&id, &candidates).unwrap().name, hubs[1].name);
        }
    }
    let only = [hubs[1].host.clone()];
    assert!(
        candidates(&only, &hubs).is_err(),
        "also when it is the only one listed"
    );
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
    let twice = [host.clone(), HubHost::parse("A.example").unwrap()];
    assert_eq!(single(&twice, &all[..1]).unwrap().name, hubs[0].name);
    let other = HubHost::parse("b.example").unwrap();
    assert_eq!(
        single(&[host, other], &all).unwrap_err(),
        AllocationError::NotOne(2)
    );
}

fn with_latencies(mut hub: LinkedHub, latencies: &[(&str, u32)]) -> LinkedHub {
    let latency = |(network, milliseconds): &(&str, u32)| wire::muster_api::linked_hub::Latency {
        network: network.parse().unwrap(),
        milliseconds: *milliseconds,
    };
    hub.latencies = latencies.iter().map(latency).collect();
    hub
}

#[test]
fn the_nearest_hub_is_the_one_of_the_clients_narrowest_network() {
    let hubs = [
        with_latencies(
            hub("a", None, true),
            &[("10.0.0.0/8", 40), ("10.9.0.0/16", 5)],
        ),
        with_latencies(hub("b", None, true), &[("10.0.0.0/8", 20), ("::/0", 7)]),
        with_latencies(hub("c", None, true), &[("10.0.0.0/8", 20)]),
        hub("d", None, true),
    ];
    let hubs: Vec<&LinkedHub> = hubs.iter().collect();
    let names = |client: Option<&str>| {
        let client = client.map(|client| client.parse().unwrap());
        let nearest = nearest(client, &hubs);
        nearest
            .iter()
            .map(|hub| hub.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(Some("10.9.1.1")),
        ["a"],
        "its narrower network counts"
    );
    assert_eq!(
        names(Some("10.1.1.1")),
        ["b", "c"],
        "a draw, for the hash to decide"
    );
    assert_eq!(names(Some("::ffff:10.9.1.1")), ["a"]);
    assert_eq!(
        names(Some("2001:db8::1")),
        ["b"],
        "the others say nothing about it"
    );
    let all = ["a", "b", "c", "d"];
    assert_eq!(names(Some("192.0.2.1")), all, "no latency for this network");
    assert_eq!(names(None), all);
}

fn remote(name: &str) -> LinkedHub {
    let access = provisioning::RemoteAccess {
        policy: "iothubowner".to_owned(),
        key: wire::service_api::identity::KeyText::parse("AAECAwQFBgcICQoLDA0ODw==").unwrap(),
    };
    LinkedHub {
        access: HubAccess::Remote(access),
        ..hub(name, None, true)
    }
}

#[test]
fn ports_tell_hubs_of_one_name_apart() {
    let host = |text: &str| HubHost::parse(text).unwrap();
    let at = |name: &str, text: &str| LinkedHub {
        host: host(text),
        ..hub(name, None, true)
    };
    let found = |listed: &str, hubs: &[LinkedHub]| {
        let found = candidates(&[host(listed)], hubs).unwrap_or_default();
        let names = found.iter().map(|hub| hub.name.to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    let one = [at("a", "localhost:8443")];
    assert_eq!(found("LOCALHOST", &one), "a");
    assert_eq!(found("localhost:8443", &one), "a");
    assert_eq!(found("localhost:9443", &one), "");
    let two = [at("a", "localhost:8443"), at("b", "localhost:9443")];
    assert_eq!(found("localhost:9443", &two), "b");
    assert_eq!(found("localhost", &two), "a b", "it may mean both");
    let mixed = [at("a", "localhost"), at("b", "localhost:8443")];
    assert_eq!(found("localhost", &mixed), "a");
    assert_eq!(found("localhost:443", &mixed), "a");
    assert_eq!(found("localhost:8443", &mixed), "b");
    assert_eq!(found("localhost:9443", &mixed), "a", "no port of its own");
}

#[test]
fn unhealthy_hubs_are_skipped_and_no_other_device_moves() {
    let hubs = [remote("a"), remote("b"), hub("c", None, true)];
    let all: Vec<&LinkedHub> = hubs.iter().collect();
    let hub_health = HubHealth::default();
    assert_eq!(healthy(all.clone(), &hub_health).unwrap().1, []);
    for second in [0, 5, 10] {
        let now = ids::Timestamp::from_unix_seconds(1_000_000 + second);
        hub_health.observe(&hubs[0], Some("silent".to_owned()), now);
    }
    let (left, skipped) = healthy(all.clone(), &hub_health).unwrap();
    assert_eq!(skipped[0].hub, hubs[0].name);
    assert!(skipped[0].why.contains("silent"));
    for number in 0..1000 {
        let id = RegistrationId::parse(&format!("device-{number}")).unwrap();
        let (before, now) = (hashed(&id, &all).unwrap(), hashed(&id, &left).unwrap());
        assert!(now.name != hubs[0].name, "the unhealthy one gets no device");
        let is_moved = before.name != now.name;
        assert_eq!(
            is_moved,
            before.name == hubs[0].name,
            "only its share is handed out"
        );
    }
    let alone = healthy(vec![&hubs[0]], &hub_health);
    let Err(AllocationError::AllUnhealthy(why)) = alone else {
        panic!("{alone:?}");
    };
    assert!(why.contains("hub a was skipped"), "{why}");
}

/// R1: an enrollment lists the name that the hub had when it was written.
#[test]
fn a_name_that_no_hub_has_any_more_means_the_hub_that_had_it() {
    let host = |text: &str| HubHost::parse(text).unwrap();
    let renamed = LinkedHub {
        former_hosts: vec![host("old.example")],
        ..hub("a", None, true)
    };
    let other = hub("b", None, true);
    let names = |hubs: &[LinkedHub]| {
        let found = candidates(&[host("OLD.example:8443")], hubs).unwrap_or_default();
        let names = found.iter().map(|hub| hub.name.to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[renamed.clone(), other.clone()]), "a");
    let successor = LinkedHub {
        host: host("old.example"),
        ..other
    };
    assert_eq!(names(&[renamed, successor]), "b", "it has the name now");
}
