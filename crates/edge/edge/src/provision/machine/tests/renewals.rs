//! Two credentials at once: a certificate that was renewed, and the one before.

use super::*;

fn both() -> Vec<Offer> {
    let newer = Basis {
        key_digest: "key 2".to_owned(),
        ..basis(service("0ne1"), "c2")
    };
    vec![offer(newer), usual().remove(0)]
}

#[test]
fn a_renewed_certificate_opens_the_hub_before_the_session_changes() {
    let mut machine = in_session(ReprovisioningMode::Dynamic);
    let effects = run(&mut machine, [Event::Woken, Event::Read(Ok(both()))]);
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
    let effects = run(&mut machine, [Event::Connected]);
    assert!(effects.contains(&Effect::Proven("c2".to_owned())));
    assert!(effects.contains(&Effect::StartSession));
    let kept = machine.kept().unwrap();
    assert_eq!(kept.basis.certificate_digest.as_deref(), Some("c2"));
    // The source drops the older one; nothing is left to do.
    let newer = both().into_iter().take(1).collect();
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(newer))]);
    assert!(matches!(effects[..], [Effect::Wait(_)]), "{effects:?}");
}

#[test]
fn a_hub_that_does_not_know_the_new_certificate_learns_it_by_a_registration() {
    let mut machine = in_session(ReprovisioningMode::OnErrorOnly);
    let effects = run(
        &mut machine,
        [
            Event::Woken,
            Event::Read(Ok(both())),
            Event::Refused(failed(FailureKind::Device)),
        ],
    );
    assert!(effects.iter().any(is_register), "{effects:?}");
    let again = assigned("hub.example", &both()[0]);
    let effects = run(&mut machine, [Event::Registered(Ok(again))]);
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
    let effects = run(&mut machine, [Event::Connected]);
    assert!(effects.contains(&Effect::Proven("c2".to_owned())));
}

#[test]
fn a_certificate_is_given_up_only_when_the_hub_accepts_the_other_one() {
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, Some(kept()));
    let refused = || Event::Refused(failed(FailureKind::Device));
    let again = assigned("hub.example", &both()[0]);
    let effects = run(
        &mut machine,
        [
            Event::Begin,
            Event::Read(Ok(both())),
            refused(),
            Event::Registered(Ok(again)),
            refused(),
        ],
    );
    assert_eq!(connects_to(&effects), Some(("hub.example", 1)));
    let effects = run(&mut machine, [Event::Connected]);
    assert!(effects.contains(&Effect::Disproven("c2".to_owned())));
    assert_eq!(machine.kept().unwrap().basis, usual()[0].basis);
}

fn is_disproven(effect: &Effect) -> bool {
    *effect == Effect::Disproven("c2".to_owned())
}

#[test]
fn a_certificate_that_the_service_refuses_too_is_given_up() {
    let refused = || Event::Refused(failed(FailureKind::Device));
    let by_service = || Event::Registered(Err(failed(FailureKind::Device)));
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, Some(kept()));
    let effects = run(
        &mut machine,
        [
            Event::Begin,
            Event::Read(Ok(both())),
            refused(),
            by_service(),
        ],
    );
    assert_eq!(connects_to(&effects), Some(("hub.example", 1)));
    let effects = run(&mut machine, [Event::Connected]);
    assert!(effects.iter().any(is_disproven), "{effects:?}");
    // And while a session goes on with the other one.
    let mut machine = in_session(ReprovisioningMode::Dynamic);
    let effects = run(
        &mut machine,
        [
            Event::Woken,
            Event::Read(Ok(both())),
            refused(),
            by_service(),
        ],
    );
    assert!(effects.iter().any(is_disproven), "{effects:?}");
    assert!(machine.session().is_some() && pause(&effects).is_some());
}

#[test]
fn a_service_that_does_not_answer_disproves_nothing() {
    let events = [
        Event::Read(Ok(both())),
        Event::Refused(failed(FailureKind::Device)),
        Event::Registered(Err(Failed::unavailable("no network".to_owned()))),
    ];
    let mut machine = in_session(ReprovisioningMode::Dynamic);
    run(&mut machine, [Event::Woken]);
    let effects = run(&mut machine, events.clone());
    assert!(!effects.iter().any(is_disproven), "{effects:?}");
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, Some(kept()));
    run(&mut machine, [Event::Begin]);
    run(&mut machine, events);
    let effects = run(&mut machine, [Event::Connected]);
    assert!(!effects.iter().any(is_disproven), "{effects:?}");
}

#[test]
fn an_unreachable_hub_disproves_nothing() {
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, Some(kept()));
    let offline = || Event::Refused(Failed::unavailable("no network".to_owned()));
    let effects = run(
        &mut machine,
        [Event::Begin, Event::Read(Ok(both())), offline()],
    );
    assert_eq!(connects_to(&effects), Some(("hub.example", 1)));
    let effects = run(&mut machine, [Event::Connected]);
    let disproven = |effect: &Effect| matches!(effect, Effect::Disproven(_));
    assert!(!effects.iter().any(disproven), "{effects:?}");
}

#[test]
fn a_certificate_that_the_service_issues_is_used_in_the_round_of_its_registration() {
    let keyed = |hub_credential: Option<&str>| {
        vec![Offer {
            basis: Basis {
                method: Method::SymmetricKey,
                certificate_digest: None,
                ..basis(service("0ne1"), "")
            },
            hub_credential: hub_credential.map(str::to_owned),
        }]
    };
    let mut machine = Machine::new(ReprovisioningMode::Dynamic, None);
    let first = assigned("hub.example", &keyed(None)[0]);
    let effects = run(
        &mut machine,
        [
            Event::Begin,
            Event::Read(Ok(keyed(None))),
            Event::Registered(Ok(first)),
        ],
    );
    assert!(effects.contains(&Effect::Read), "{effects:?}");
    let effects = run(&mut machine, [Event::Read(Ok(keyed(Some("issued"))))]);
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
}
