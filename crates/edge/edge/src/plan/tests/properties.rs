//! What holds for every plan.

use proptest::prelude::*;
use wire::edge_api::manifest::{DesiredStatus, PullPolicy, RestartPolicy};

use super::*;

/// A module of a deployment.
fn desired() -> impl Strategy<Value = DesiredModule> {
    let policy = prop_oneof![
        Just(RestartPolicy::Never),
        Just(RestartPolicy::OnFailure),
        Just(RestartPolicy::OnUnhealthy),
        Just(RestartPolicy::Always),
    ];
    (policy, any::<bool>(), any::<bool>(), 0_u32..3, 0_u8..6).prop_map(
        |(policy, runs, pulls, order, spec)| {
            let (_, mut module) = desired_module("m", json!({}));
            module.settings.restart_policy = policy;
            if !runs {
                module.settings.status = DesiredStatus::Stopped;
            }
            if !pulls {
                module.settings.pull_policy = PullPolicy::Never;
            }
            module.settings.startup_order = order;
            match spec {
                0 => module.spec = Err(NoSpec::Identity),
                1 => module.spec = Err(NoSpec::Faulty("faulty".to_owned())),
                _ => {}
            }
            module
        },
    )
}

/// A container, of the current settings or of earlier ones.
fn container() -> impl Strategy<Value = Observed> {
    let state = prop_oneof![
        1 => Just(ContainerState::Created),
        4 => Just(ContainerState::Running),
        1 => Just(ContainerState::Dead),
        1 => Just(ContainerState::Other),
        3 => (0_i64..3, -1000_i64..1000).prop_map(|(code, ago)| exited(code, ago)),
    ];
    (state, any::<bool>(), any::<bool>(), -1000_i64..1000).prop_map(
        |(state, current, unhealthy, ago)| Observed {
            digest: Some(if current { "digest of m" } else { "another" }.to_owned()),
            unhealthy: unhealthy && state == ContainerState::Running,
            started: Some(at(NOW - ago)),
            ..observed("m", state)
        },
    )
}

fn named(name: &str) -> ModuleId {
    ModuleId::parse(name).unwrap()
}

/// Up to five modules, each perhaps with a container, and perhaps in the deployment.
fn device() -> impl Strategy<Value = (DesiredModules, Vec<Observed>, Memory)> {
    let module = (
        prop::option::of(desired()),
        prop::option::of(container()),
        0_u32..25,
    );
    prop::collection::vec(module, 0..5).prop_map(|modules| {
        let (mut desired, mut found) = (DesiredModules::new(), Vec::new());
        let mut memory = Memory::default();
        for (index, (wanted, container, count)) in modules.into_iter().enumerate() {
            let name = named(&format!("m{index}"));
            let restarts = Restarts { count, last: None };
            memory.restarts.insert(name.clone(), restarts);
            found.extend(container.map(|container| Observed {
                module: name.clone(),
                ..container
            }));
            desired.extend(wanted.map(|wanted| (name, wanted)));
        }
        (desired, found, memory)
    })
}

/// Carries out an action that succeeds.
fn carry_out(action: &Action, found: &mut Vec<Observed>, now: Timestamp) {
    for step in &action.steps {
        let position = found.iter().position(|c| c.module == action.module);
        match (step, position) {
            (Step::Fetch | Step::CheckImage, _) => {}
            (Step::Create, None) => found.push(Observed {
                module: action.module.clone(),
                started: None,
                ..observed("m", ContainerState::Created)
            }),
            (Step::Create, Some(_)) => panic!("there is a container already"),
            (_, None) => panic!("{step:?} without a container"),
            (Step::Remove, Some(at)) => drop(found.remove(at)),
            (Step::Stop, Some(at)) => {
                found[at].state = ContainerState::Exited { code: 0, at: now };
                found[at].unhealthy = false;
            }
            (Step::Start, Some(at)) => {
                assert_ne!(found[at].state, ContainerState::Running);
                found[at].state = ContainerState::Running;
                found[at].started = Some(now);
            }
        }
    }
}

proptest! {
    /// A device whose actions succeed is as desired after some rounds, and is then left alone.
    #[test]
    fn rounds_lead_to_what_is_desired((desired, mut found, mut memory) in device()) {
        let limits = RestartLimits::default();
        let mut now = at(NOW);
        for _ in 0..4 {
            let plan = plan(&desired, &found, &memory, &limits, now);
            for action in &plan.actions {
                carry_out(action, &mut found, now);
            }
            memory.restarts = plan.restarts;
            memory.stopped = plan.stopped;
            now = now.plus(std::time::Duration::from_secs(301));
        }
        let last = plan(&desired, &found, &memory, &limits, now);
        prop_assert_eq!(&last.actions, &[] as &[Action]);
        prop_assert!(found.iter().all(|container| desired.contains_key(&container.module)));
        for (module, wanted) in desired.iter().filter(|(_, wanted)| wanted.spec.is_ok()) {
            let container = found.iter().find(|container| container.module == *module).unwrap();
            prop_assert_eq!(container.digest.as_deref(), Some("digest of m"));
            let stopped = wanted.settings.status == DesiredStatus::Stopped;
            if stopped {
                prop_assert_ne!(container.state, ContainerState::Running);
            }
            if wanted.settings.restart_policy == RestartPolicy::Always && !stopped {
                let restarts = memory.restarts[module].count;
                let state = container.state;
                let other = state == ContainerState::Other;
                prop_assert!(
                    state == ContainerState::Running || restarts >= limits.most || other
                );
            }
        }
    }

    /// Nothing that works is taken away before the image of what replaces it is there.
    #[test]
    fn a_running_module_is_stopped_only_for_a_reason((desired, found, memory) in device()) {
        let plan = plan(&desired, &found, &memory, &RestartLimits::default(), at(NOW));
        for action in plan.actions.iter().filter(|a| a.steps.contains(&Step::Stop)) {
            let container = found.iter().find(|c| c.module == action.module).unwrap();
            let Some(wanted) = desired.get(&action.module) else {
                prop_assert_eq!(&action.steps, &[Step::Stop, Step::Remove]);
                continue;
            };
            let unwanted = wanted.settings.status == DesiredStatus::Stopped;
            let changed = wanted
                .spec
                .as_ref()
                .is_ok_and(|spec| container.digest.as_deref() != Some(&spec.digest));
            prop_assert!(unwanted || changed || container.unhealthy);
            if wanted.spec.is_err() {
                prop_assert!(!action.steps.contains(&Step::Remove));
            }
            if action.steps.contains(&Step::Create) {
                let first = match wanted.settings.pull_policy {
                    PullPolicy::OnCreate => Step::Fetch,
                    PullPolicy::Never => Step::CheckImage,
                };
                prop_assert_eq!(action.steps[0], first);
            }
        }
    }

    /// Removals come first, then modules by `startupOrder`; each module has at most one action.
    #[test]
    fn actions_are_in_order((desired, found, memory) in device()) {
        let plan = plan(&desired, &found, &memory, &RestartLimits::default(), at(NOW));
        let order = |action: &Action| {
            desired.get(&action.module).map(|wanted| wanted.settings.startup_order)
        };
        prop_assert!(plan.actions.is_sorted_by_key(order));
        let modules: BTreeSet<_> = plan.actions.iter().map(|action| &action.module).collect();
        prop_assert_eq!(modules.len(), plan.actions.len());
        prop_assert_eq!(plan.health.keys().collect::<Vec<_>>(), desired.keys().collect::<Vec<_>>());
    }

    /// While the last failure of an attempt has not reached its next time, the module is left alone.
    /// A time beyond the longest pause is from before the clock was set back, and over.
    #[test]
    fn a_failed_attempt_waits((desired, found, mut memory) in device(), next in 1_i64..1000) {
        for (module, wanted) in &desired {
            let problem = "it failed".to_owned();
            let failure = Failure {
                next: at(NOW + next),
                ..Failure::after(None, &wanted.attempt, problem, at(NOW))
            };
            memory.failures.insert(module.clone(), failure);
        }
        let limits = RestartLimits::default();
        let paused = plan(&desired, &found, &memory, &limits, at(NOW));
        if next <= 300 {
            let mut acted = paused.actions.iter();
            prop_assert!(acted.all(|action| !desired.contains_key(&action.module)));
        } else {
            memory.failures.clear();
            let free = plan(&desired, &found, &memory, &limits, at(NOW));
            prop_assert_eq!(paused.actions, free.actions);
        }
    }
}
