mod properties;

use std::fmt::Write as _;

use serde_json::{Value, json};
use wire::edge_api::manifest::AgentDesired;

use super::*;
use crate::desired::modules::DesiredModule;
use crate::runtime::ContainerSpec;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

const NOW: i64 = 1_000_000;

fn desired_module(name: &str, manifest: Value) -> (ModuleId, DesiredModule) {
    let mut manifest = manifest;
    manifest["settings"] = json!({"image": format!("{name}:1")});
    let mut parsed =
        AgentDesired::parse(&json!({"schemaVersion": "1.1", "modules": {name: manifest}})).unwrap();
    let (module, settings) = parsed.modules.pop_first().unwrap();
    let spec = ContainerSpec {
        module: module.clone(),
        name: name.to_owned(),
        image: settings.image.clone(),
        body: Value::Null,
        digest: format!("digest of {name}"),
        mountpoints: Vec::new(),
        warnings: Vec::new(),
    };
    (
        module,
        DesiredModule {
            settings,
            attempt: spec.digest.clone(),
            spec: Ok(spec),
        },
    )
}

fn observed(name: &str, state: ContainerState) -> Observed {
    Observed {
        module: ModuleId::parse(name).unwrap(),
        id: format!("id of {name}"),
        image: format!("{name}:1"),
        image_id: None,
        digest: Some(format!("digest of {name}")),
        create_options: None,
        state,
        unhealthy: false,
        started: Some(at(NOW - 60)),
    }
}

fn exited(code: i64, ago: i64) -> ContainerState {
    ContainerState::Exited {
        code,
        at: at(NOW - ago),
    }
}

fn text_of(plan: &Plan) -> String {
    let mut text = String::new();
    for action in &plan.actions {
        writeln!(
            text,
            "{}: {:?} because {}",
            action.module, action.steps, action.why
        )
        .unwrap();
    }
    for (module, health) in &plan.health {
        let count = plan.restarts[module].count;
        writeln!(
            text,
            "{module} is {} ({}), {count} restarts",
            health.status.as_str(),
            health.description
        )
        .unwrap();
    }
    text
}

fn always(name: &str) -> (ModuleId, DesiredModule) {
    desired_module(name, json!({"restartPolicy": "always"}))
}

#[test]
fn a_first_deployment() {
    let desired = [
        desired_module("last", json!({})),
        desired_module("first", json!({"startupOrder": 0})),
        desired_module("resting", json!({"status": "stopped", "startupOrder": 1})),
        desired_module("local", json!({"imagePullPolicy": "never"})),
    ];
    let observed = [
        observed("gone", ContainerState::Running),
        observed("ended", exited(0, 5)),
    ];
    let plan = plan(
        &desired.into(),
        &observed,
        &Memory::default(),
        &RestartLimits::default(),
        at(NOW),
    );
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn modules_that_are_as_desired_are_left_alone() {
    let desired = [
        always("a"),
        desired_module("b", json!({"status": "stopped"})),
    ];
    let observed = [
        observed("a", ContainerState::Running),
        observed("b", exited(137, 5)),
    ];
    let plan = plan(
        &desired.into(),
        &observed,
        &Memory::default(),
        &RestartLimits::default(),
        at(NOW),
    );
    assert_eq!(plan.actions, []);
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn changed_crashed_and_dead_modules() {
    let (changed, mut wanted_changed) = always("changed");
    wanted_changed.spec.as_mut().unwrap().digest = "another digest".into();
    let desired = [
        (changed, wanted_changed),
        always("crashed-just-now"),
        always("crashed-before"),
        always("dead"),
        always("never-started"),
        desired_module("done", json!({"restartPolicy": "on-failure"})),
        desired_module("once", json!({"restartPolicy": "never"})),
        desired_module("unwanted", json!({"status": "stopped"})),
    ];
    let observed = [
        observed("changed", ContainerState::Running),
        observed("crashed-just-now", exited(1, 3)),
        observed("crashed-before", exited(1, 30)),
        observed("dead", ContainerState::Dead),
        observed("never-started", ContainerState::Created),
        observed("done", exited(0, 500)),
        observed("once", exited(2, 500)),
        observed("unwanted", ContainerState::Running),
    ];
    let plan = plan(
        &desired.into(),
        &observed,
        &Memory::default(),
        &RestartLimits::default(),
        at(NOW),
    );
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn restarts_and_failures_are_remembered() {
    let module = |name: &str| ModuleId::parse(name).unwrap();
    let restarted = |name, count, ago| {
        let last = Some(at(NOW - ago));
        (module(name), Restarts { count, last })
    };
    let restarts = [
        restarted("given-up", 20, 400),
        restarted("proven", 7, 700),
        restarted("trying", 3, 90),
    ];
    let failure = |name: &str, next: i64| {
        let attempt = format!("digest of {name}");
        (
            module(name),
            Failure {
                attempt,
                count: 1,
                next: at(next),
                problem: "no such image".into(),
                pulling: true,
            },
        )
    };
    let failures = [failure("unpullable", NOW + 10), failure("due", NOW)];
    let memory = Memory {
        restarts: restarts.into(),
        failures: failures.into(),
        ..Memory::default()
    };
    let desired = ["given-up", "proven", "trying", "unpullable", "due"].map(always);
    let mut proven = observed("proven", ContainerState::Running);
    proven.started = Some(at(NOW - 601));
    let observed = [
        observed("given-up", exited(1, 400)),
        proven,
        observed("trying", exited(1, 10)),
    ];
    let plan = plan(
        &desired.into(),
        &observed,
        &memory,
        &RestartLimits::default(),
        at(NOW),
    );
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn without_an_identity_nothing_is_created_and_nothing_stopped() {
    let (running, mut wanted_running) = always("running");
    wanted_running.spec = Err(NoSpec::Identity);
    let (new, mut wanted_new) = always("new");
    wanted_new.spec = Err(NoSpec::Identity);
    let desired = [(running, wanted_running), (new, wanted_new)];
    let plan = plan(
        &desired.into(),
        &[observed("running", ContainerState::Running)],
        &Memory::default(),
        &RestartLimits::default(),
        at(NOW),
    );
    assert_eq!(plan.actions, []);
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn a_clock_set_back_ends_a_pause() {
    let failure = Failure::after(None, "digest of a", "p".into(), at(NOW));
    for (now, acts) in [
        (NOW, 0),
        (NOW + 9, 0),
        (NOW + 10, 1),
        (NOW - 290, 0),
        (NOW - 291, 1),
    ] {
        let memory = Memory {
            failures: [(ModuleId::parse("a").unwrap(), failure.clone())].into(),
            ..Memory::default()
        };
        let limits = RestartLimits::default();
        let plan = plan(&[always("a")].into(), &[], &memory, &limits, at(now));
        assert_eq!(plan.actions.len(), acts, "{}", now - NOW);
    }
}

#[test]
fn attempts_become_rarer_and_start_over_with_a_new_deployment() {
    let mut failure = Failure::after(None, "d", "p".into(), at(0));
    let mut pauses = vec![failure.next.unix_seconds()];
    for _ in 0..6 {
        failure = Failure::after(Some(&failure), "d", "p".into(), at(0));
        pauses.push(failure.next.unix_seconds());
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(
        Failure::after(Some(&failure), "other", "p".into(), at(0)).next,
        at(10)
    );
}

fn unhealthy(name: &str) -> Observed {
    Observed {
        unhealthy: true,
        started: Some(at(NOW - 60)),
        ..observed(name, ContainerState::Running)
    }
}

/// D16.
#[test]
fn unhealthy_modules_are_restarted_as_their_policy_says() {
    let with = |policy: &str| desired_module(policy, json!({"restartPolicy": policy}));
    let policies = ["never", "on-failure", "on-unhealthy", "always"];
    let stopped = json!({"status": "stopped"});
    let mut desired: DesiredModules = policies.map(with).into();
    desired.extend([
        desired_module("given-up", json!({})),
        desired_module("waiting", json!({})),
        desired_module("unwanted", stopped),
    ]);
    let restarts = |count| Restarts { count, last: None };
    let module = |name: &str| ModuleId::parse(name).unwrap();
    let memory = Memory {
        restarts: [
            (module("given-up"), restarts(20)),
            (module("waiting"), restarts(3)),
        ]
        .into(),
        ..Memory::default()
    };
    let observed: Vec<_> = desired
        .keys()
        .map(|name| unhealthy(name.as_str()))
        .collect();
    let plan = plan(
        &desired,
        &observed,
        &memory,
        &RestartLimits::default(),
        at(NOW),
    );
    insta::assert_snapshot!(text_of(&plan));
}

/// D3: nothing is stopped or created, and the other modules are not concerned.
#[test]
fn a_module_with_faulty_options_fails_alone_and_goes_on_as_it_was() {
    let faulty = |name: &str| {
        let (module, mut desired) = always(name);
        desired.spec = Err(NoSpec::Faulty(
            "HostConfig.Binds is not an array".to_owned(),
        ));
        (module, desired)
    };
    let desired = [
        faulty("new"),
        faulty("running"),
        faulty("crashed"),
        always("other"),
    ];
    let mut running = observed("running", ContainerState::Running);
    running.image = "running:0".to_owned();
    let observed = [running, observed("crashed", exited(1, 30))];
    let memory = Memory::default();
    let plan = plan(
        &desired.into(),
        &observed,
        &memory,
        &RestartLimits::default(),
        at(NOW),
    );
    assert_eq!(plan.faulty.len(), 3);
    insta::assert_snapshot!(text_of(&plan));
}

#[test]
fn the_progress_of_a_pull_is_in_the_description() {
    let (module, mut wanted) = always("updated");
    wanted.spec.as_mut().unwrap().digest = "another digest".into();
    let progress = "30 % of 40 MB".to_owned();
    let desired = [always("new"), (module.clone(), wanted)];
    let memory = Memory {
        pulling: [(module, progress.clone()), (desired[0].0.clone(), progress)].into(),
        ..Memory::default()
    };
    let observed = [observed("updated", ContainerState::Running)];
    let plan = plan(
        &desired.into(),
        &observed,
        &memory,
        &RestartLimits::default(),
        at(NOW),
    );
    insta::assert_snapshot!(text_of(&plan));
}
