//! `auto_reprovisioning_mode`: how the three differ, one test a difference.

use ReprovisioningMode::{AlwaysOnStartup, Dynamic, OnErrorOnly};

use super::*;

/// Whether a machine that starts registers although its assignment fits the configuration.
fn registers_at_start(mode: ReprovisioningMode) -> bool {
    let mut machine = Machine::new(mode, Some(kept()));
    let effects = run(&mut machine, [Event::Begin, Event::Read(Ok(usual()))]);
    effects.iter().any(is_register)
}

/// Whether it registers in the round after its hub has failed.
fn registers_after(mut machine: Machine, kind: FailureKind) -> bool {
    let lost = Event::SessionEnded {
        lasted: Duration::from_secs(60),
        problem: "closed by the hub".to_owned(),
    };
    let first = [lost, Event::PauseOver, Event::Read(Ok(usual()))];
    let effects = run(&mut machine, first);
    assert_eq!(
        connects_to(&effects),
        Some(("hub.example", 0)),
        "{effects:?}"
    );
    run(&mut machine, [Event::Refused(failed(kind))]);
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    effects.iter().any(is_register)
}

#[test]
fn only_always_on_startup_registers_at_each_start() {
    assert!(registers_at_start(AlwaysOnStartup));
    assert!(!registers_at_start(Dynamic));
    assert!(!registers_at_start(OnErrorOnly));
}

#[test]
fn always_on_startup_goes_on_with_what_is_kept_when_the_service_is_away() {
    let mut machine = Machine::new(AlwaysOnStartup, Some(kept()));
    let offline = Failed::unavailable("no network".to_owned());
    let effects = run(
        &mut machine,
        [
            Event::Begin,
            Event::Read(Ok(usual())),
            Event::Registered(Err(offline)),
        ],
    );
    assert_eq!(connects_to(&effects), Some(("hub.example", 0)));
    let effects = run(&mut machine, [Event::Connected]);
    assert!(effects.contains(&Effect::StartSession));
    // It registers when the service is back, while the session goes on.
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    assert!(effects.iter().any(is_register), "{effects:?}");
    let effects = run(&mut machine, [Event::Registered(Ok(kept()))]);
    assert!(matches!(effects[..], [Effect::Wait(_)]), "{effects:?}");
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    assert!(!effects.iter().any(is_register), "once a start");
}

#[test]
fn while_running_a_refusal_makes_dynamic_register_and_not_on_error_only() {
    for kind in [
        FailureKind::Device,
        FailureKind::OtherName,
        FailureKind::KeyLost,
    ] {
        assert!(registers_after(in_session(Dynamic), kind), "{kind:?}");
        assert!(!registers_after(in_session(OnErrorOnly), kind), "{kind:?}");
        let mut machine = Machine::new(AlwaysOnStartup, Some(kept()));
        run(
            &mut machine,
            [
                Event::Begin,
                Event::Read(Ok(usual())),
                Event::Registered(Ok(kept())),
                Event::Connected,
            ],
        );
        assert!(registers_after(machine, kind), "{kind:?}");
    }
}

#[test]
fn at_a_start_a_refusal_makes_on_error_only_register() {
    let mut machine = Machine::new(OnErrorOnly, Some(kept()));
    run(
        &mut machine,
        [
            Event::Begin,
            Event::Read(Ok(usual())),
            Event::Refused(failed(FailureKind::Device)),
        ],
    );
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    assert!(effects.iter().any(is_register), "{effects:?}");
}

#[test]
fn on_error_only_says_what_it_waits_for() {
    let mut machine = in_session(OnErrorOnly);
    let lost = Event::SessionEnded {
        lasted: Duration::from_secs(60),
        problem: "closed by the hub".to_owned(),
    };
    let refused = Event::Refused(failed(FailureKind::Device));
    run(
        &mut machine,
        [lost, Event::PauseOver, Event::Read(Ok(usual())), refused],
    );
    let problem = machine.problem().unwrap();
    assert!(problem.contains("at its next start, or when it is asked to"));
}

#[test]
fn every_mode_registers_when_it_is_asked_to() {
    for mode in [Dynamic, AlwaysOnStartup, OnErrorOnly] {
        let mut machine = in_session_of(mode);
        let effects = run(&mut machine, [Event::Asked, Event::Read(Ok(usual()))]);
        assert!(effects.iter().any(is_register), "{mode:?}");
        let effects = run(&mut machine, [Event::Registered(Ok(kept()))]);
        assert!(effects.contains(&Effect::Answer(Ok(()))), "{effects:?}");
        let session = effects.contains(&Effect::StartSession);
        assert!(!session, "the session that runs is good enough");
    }
}

/// As [`in_session`], with the registration that `AlwaysOnStartup` wants first.
fn in_session_of(mode: ReprovisioningMode) -> Machine {
    let mut machine = Machine::new(mode, Some(kept()));
    let effects = run(&mut machine, [Event::Begin, Event::Read(Ok(usual()))]);
    if effects.iter().any(is_register) {
        run(&mut machine, [Event::Registered(Ok(kept()))]);
    }
    run(&mut machine, [Event::Connected]);
    machine
}

#[test]
fn the_agents_token_alone_writes_the_keys_anew_before_anything_is_registered() {
    let mut machine = in_session(Dynamic);
    let lost = Event::SessionEnded {
        lasted: Duration::from_secs(60),
        problem: "closed by the hub".to_owned(),
    };
    let refused = || Event::Refused(failed(FailureKind::Agent));
    run(
        &mut machine,
        [lost, Event::PauseOver, Event::Read(Ok(usual())), refused()],
    );
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    let renewed = effects.iter().any(|e| {
        matches!(
            e,
            Effect::Connect {
                renew_keys: true,
                ..
            }
        )
    });
    assert!(renewed, "{effects:?}");
    run(&mut machine, [refused()]);
    let effects = run(&mut machine, [Event::PauseOver, Event::Read(Ok(usual()))]);
    assert!(effects.iter().any(is_register), "{effects:?}");
}
