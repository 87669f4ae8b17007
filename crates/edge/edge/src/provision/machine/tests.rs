mod modes;
mod properties;
mod renewals;

use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};

use super::*;
use crate::provision::assignment::DeviceLocation;
use crate::provision::basis::{Basis, Method, Origin};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_796_000_000);

fn service(scope: &str) -> Origin {
    Origin::Dps {
        endpoint: HubHost::parse("dps.example").unwrap(),
        id_scope: IdScope::parse(scope).unwrap(),
        registration_id: RegistrationId::parse("d1").unwrap(),
    }
}

fn basis(origin: Origin, certificate: &str) -> Basis {
    Basis {
        origin,
        method: Method::X509,
        key_digest: "key".to_owned(),
        certificate_digest: Some(certificate.to_owned()),
    }
}

fn offer(basis: Basis) -> Offer {
    let hub_credential = basis.certificate_digest.clone();
    Offer {
        basis,
        hub_credential,
    }
}

/// What a device with one certificate offers.
fn usual() -> Vec<Offer> {
    vec![offer(basis(service("0ne1"), "c1"))]
}

fn assigned(hub: &str, offer: &Offer) -> KeptAssignment {
    KeptAssignment {
        location: DeviceLocation {
            hub: HubHost::parse(hub).unwrap(),
            device_id: DeviceId::parse("d1").unwrap(),
        },
        basis: offer.basis.clone(),
        since: NOW,
        tpm_key: None,
    }
}

fn kept() -> KeptAssignment {
    assigned("hub.example", &usual()[0])
}

fn failed(kind: FailureKind) -> Failed {
    Failed {
        kind,
        problem: format!("{kind:?}"),
        retry_after: None,
    }
}

/// Steps a machine through events, each with a chance in the middle; the last effects.
fn run(machine: &mut Machine, events: impl IntoIterator<Item = Event>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for event in events {
        effects = machine.step(event, NOW, 0.5);
    }
    effects
}

fn is_register(effect: &Effect) -> bool {
    matches!(effect, Effect::Register { .. })
}

fn connects_to(effects: &[Effect]) -> Option<(&str, usize)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Connect { target, .. } => {
            Some((target.assignment.location.hub.as_str(), target.offer))
        }
        _ => None,
    })
}

fn pause(effects: &[Effect]) -> Option<Duration> {
    effects.iter().find_map(|effect| match effect {
        Effect::Wait(pause) => Some(*pause),
        _ => None,
    })
}

/// A machine with a session at the kept hub.
fn in_session(mode: ReprovisioningMode) -> Machine {
    let mut machine = Machine::new(mode, Some(kept()));
    let effects = run(
        &mut machine,
        [Event::Begin, Event::Read(Ok(usual())), Event::Connected],
    );
    assert!(effects.contains(&Effect::StartSession), "{effects:?}");
    machine
}

#[test]
fn a_first_boot_without_network_waits_longer_each_time() {
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, None);
    let mut last = Duration::ZERO;
    let mut event = Event::Begin;
    for _ in 0..9 {
        let effects = run(&mut machine, [event, Event::Read(Ok(usual()))]);
        assert!(effects.iter().any(is_register), "{effects:?}");
        let offline = Failed::unavailable("no network".to_owned());
        let effects = run(&mut machine, [Event::Registered(Err(offline))]);
        let now = pause(&effects).unwrap();
        assert!(now > last || now > Duration::from_secs(150), "{now:?}");
        last = now;
        event = Event::PauseOver;
    }
    assert_eq!(machine.failures(), 9);
    assert_eq!(machine.problem(), Some("no network"));
}

#[test]
fn a_reboot_without_network_needs_nothing_of_the_service() {
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, Some(kept()));
    let effects = run(&mut machine, [Event::Begin, Event::Read(Ok(usual()))]);
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
    let offline = Failed::unavailable("no network".to_owned());
    let effects = run(&mut machine, [Event::Refused(offline)]);
    assert!(matches!(effects[..], [Effect::Wait(_)]), "{effects:?}");
    assert_eq!(machine.kept(), Some(&kept()));
}

#[test]
fn a_move_keeps_the_old_hub_until_the_new_one_has_accepted_the_device() {
    let mut machine = in_session(ReprovisioningMode::Dynamic);
    let moved = assigned("other.example", &usual()[0]);
    let effects = run(
        &mut machine,
        [
            Event::Asked,
            Event::Read(Ok(usual())),
            Event::Registered(Ok(moved.clone())),
        ],
    );
    assert_eq!(connects_to(&effects), Some(("other.example", 0)));
    let offline = Failed::unavailable("no route".to_owned());
    let effects = run(&mut machine, [Event::Refused(offline)]);
    assert!(
        pause(&effects).unwrap() < Duration::from_secs(2),
        "{effects:?}"
    );
    assert_eq!(machine.kept(), Some(&kept()));
    assert!(machine.session().is_some(), "the session goes on");
    let effects = run(
        &mut machine,
        [Event::PauseOver, Event::Read(Ok(usual())), Event::Connected],
    );
    assert!(
        effects.contains(&Effect::Keep(moved.clone())),
        "{effects:?}"
    );
    assert!(effects.contains(&Effect::StartSession), "{effects:?}");
    assert_eq!(machine.kept(), Some(&moved));
}

#[test]
fn t18_a_changed_scope_or_key_registers_and_a_failure_keeps_what_works() {
    let mut machine = in_session(ReprovisioningMode::OnErrorOnly);
    let changed = vec![offer(basis(service("0ne2"), "c1"))];
    let effects = run(
        &mut machine,
        [Event::Woken, Event::Read(Ok(changed.clone()))],
    );
    let [Effect::Register { reason, .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(reason, "id_scope changed");
    run(
        &mut machine,
        [Event::Registered(Err(failed(FailureKind::Device)))],
    );
    assert_eq!(machine.kept(), Some(&kept()));
    assert!(machine.session().is_some());
    // It is tried again until the service assigns a hub.
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(changed))]);
    assert!(effects.iter().any(is_register), "{effects:?}");
}

#[test]
fn the_pause_that_a_server_asks_for_is_kept() {
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, None);
    run(&mut machine, [Event::Begin, Event::Read(Ok(usual()))]);
    let busy = Failed {
        retry_after: Some(Duration::from_secs(120)),
        ..failed(FailureKind::Unavailable)
    };
    let effects = run(&mut machine, [Event::Registered(Err(busy))]);
    assert!(pause(&effects).unwrap() >= Duration::from_secs(120));
}

#[test]
fn a_configured_hub_needs_no_service_and_a_new_one_replaces_it_when_it_accepts() {
    let manual = |hub: &str| {
        vec![offer(basis(
            Origin::Manual {
                hub: HubHost::parse(hub).unwrap(),
                device_id: DeviceId::parse("d1").unwrap(),
            },
            "c1",
        ))]
    };
    let mut machine = Machine::new(ReprovisioningMode::AlwaysOnStartup, None);
    let first = manual("hub.example");
    let effects = run(&mut machine, [Event::Begin, Event::Read(Ok(first.clone()))]);
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
    run(&mut machine, [Event::Connected]);
    let second = manual("other.example");
    let effects = run(
        &mut machine,
        [Event::Woken, Event::Read(Ok(second.clone()))],
    );
    assert_eq!(connects_to(&effects), Some(("other.example", 0)));
    let effects = run(&mut machine, [Event::Refused(failed(FailureKind::Device))]);
    assert!(pause(&effects).is_some() && machine.session().is_some());
    assert_eq!(machine.kept().unwrap().location.hub.as_str(), "hub.example");
    run(
        &mut machine,
        [
            Event::PauseOver,
            Event::Read(Ok(second.clone())),
            Event::Connected,
        ],
    );
    assert_eq!(
        machine.kept().unwrap().location.hub.as_str(),
        "other.example"
    );
    let effects = run(&mut machine, [Event::Asked, Event::Read(Ok(second))]);
    assert!(effects.contains(&Effect::Answer(Ok(()))), "{effects:?}");
}
