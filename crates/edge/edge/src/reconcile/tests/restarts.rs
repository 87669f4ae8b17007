//! Modules that have exited.

use super::*;
use crate::plan::KnownExit;
use crate::runtime::{ContainerState, EndedBy};

#[tokio::test]
async fn a_crash_has_the_statuses_that_azure_has() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.end(&module("a"), 3);
    bench.round().await;
    let status = bench.details("a").status;
    assert_eq!(status.runtime_status.status, RuntimeStatus::Failed);
    assert_eq!(status.exit_status.unwrap().status_code, "3");
    assert_eq!(bench.reported()["modules"]["a"]["runtimeStatus"], "backoff");
    assert_eq!(bench.reported()["modules"]["a"]["exitCode"], 3);
}

const POLICIES: [&str; 3] = ["never", "on-failure", "on-unhealthy"];

/// A module for each policy, named by it.
fn a_module_for_each_policy() -> Value {
    let modules = POLICIES.iter().map(|policy| {
        let module = with("img:1", json!({"restartPolicy": policy}));
        ((*policy).to_owned(), module)
    });
    modules.collect::<Map<_, _>>().into()
}

async fn running(bench: &Bench) -> Vec<String> {
    let found = bench.agent.runtime.list().await.unwrap();
    found
        .iter()
        .filter(|container| container.state == ContainerState::Running)
        .map(|container| container.module.to_string())
        .collect()
}

fn exit_all_by_themselves(bench: &Bench) {
    for policy in POLICIES {
        bench.agent.runtime.end(&module(policy), 0);
    }
}

#[tokio::test]
async fn a_module_that_was_stopped_from_outside_is_started() {
    let mut bench = Bench::new();
    bench.desire(1, a_module_for_each_policy(), &POLICIES);
    bench.round().await;
    assert_eq!(running(&bench).await.len(), 3);
    for policy in POLICIES {
        bench.agent.runtime.stop(&module(policy)).await.unwrap();
    }
    bench.round().await;
    assert_eq!(running(&bench).await, ["on-failure", "on-unhealthy"]);
}

#[tokio::test]
async fn a_program_that_exited_with_0_by_itself_is_not_started() {
    let mut bench = Bench::new();
    bench.desire(1, a_module_for_each_policy(), &POLICIES);
    bench.round().await;
    exit_all_by_themselves(&bench);
    for _ in 0..2 {
        bench.round().await;
        assert_eq!(running(&bench).await, [] as [&str; 0]);
    }
}

#[tokio::test]
async fn the_engine_is_asked_once_about_exits_that_matter() {
    let mut bench = Bench::new();
    let module_with = |status: &str| {
        let more = json!({"restartPolicy": "on-failure", "status": status});
        json!({"a": with("img:1", more)})
    };
    bench.desire(1, module_with("running"), &["a"]);
    bench.round().await;
    bench.agent.runtime.end(&module("a"), 0);
    for _ in 0..3 {
        bench.round().await;
    }
    assert_eq!(bench.agent.runtime.ended_by_calls(), 1);

    let id = bench.containers().await[0].1.clone();
    let at = clock::now();
    let exit = |ended_by| KnownExit {
        container: id.clone(),
        at,
        ended_by,
    };
    let found = Observed {
        state: ContainerState::Exited { code: 0, at },
        ..bench.agent.runtime.list().await.unwrap().remove(0)
    };
    for (status, known, calls) in [
        ("stopped", None, 1),
        ("running", Some(exit(EndedBy::Request)), 1),
        ("running", None, 2),
    ] {
        bench.agent.memory.exits = known.map(|exit| (module("a"), exit)).into_iter().collect();
        bench.desire(2, module_with(status), &["a"]);
        let cloud_state = bench.agent.shared.cloud_state.borrow().clone();
        let manifest = cloud_state.desired.as_ref().unwrap().manifest().unwrap();
        let modules = bench.agent.target(manifest, 2, &cloud_state).modules;
        let observed = std::slice::from_ref(&found);
        bench
            .agent
            .find_own_exits(&modules, observed)
            .await
            .unwrap();
        assert_eq!(bench.agent.runtime.ended_by_calls(), calls, "{status}");
    }
}

#[tokio::test]
async fn modules_are_started_when_the_engine_comes_back() {
    let mut bench = Bench::new();
    bench.desire(1, a_module_for_each_policy(), &POLICIES);
    bench.round().await;
    exit_all_by_themselves(&bench);
    bench.round().await;

    bench.agent.runtime.set_away(true);
    let error = bench.agent.round().await.unwrap_err();
    bench.agent.round_failed(&error);
    bench.agent.runtime.set_away(false);
    bench.round().await;
    assert_eq!(running(&bench).await, ["on-failure", "on-unhealthy"]);
}

#[tokio::test]
async fn modules_are_started_when_the_daemon_comes_back() {
    let mut bench = Bench::new();
    let modules = a_module_for_each_policy();
    bench.desire(1, modules.clone(), &POLICIES);
    bench.round().await;
    exit_all_by_themselves(&bench);
    bench.round().await;

    let runtime = bench.agent.runtime.clone();
    bench.agent = Bench::agent(bench._dir.path(), runtime);
    bench.desire(1, modules, &POLICIES);
    bench.round().await;
    assert_eq!(running(&bench).await, ["on-failure", "on-unhealthy"]);
    assert_eq!(bench.reported()["modules"]["on-failure"]["restartCount"], 0);
}

#[tokio::test]
async fn a_stopped_module_runs_again_whatever_its_restart_policy() {
    let mut bench = Bench::new();
    for (version, status, state) in [
        (1, "running", "Running"),
        (2, "stopped", "Exited"),
        (3, "running", "Running"),
    ] {
        let module = with("img:1", json!({"restartPolicy": "never", "status": status}));
        bench.desire(version, json!({"a": module}), &["a"]);
        bench.round().await;
        let found = bench.containers().await;
        assert!(found[0].2.starts_with(state), "{status}: {found:?}");
        // A restart of the daemon in between changes nothing.
        let runtime = bench.agent.runtime.clone();
        bench.agent = Bench::agent(bench._dir.path(), runtime);
    }
}

/// D16.
#[tokio::test]
async fn an_unhealthy_module_is_reported_and_restarted() {
    let mut bench = Bench::new();
    let on_unhealthy = with("img:1", json!({"restartPolicy": "on-unhealthy"}));
    let never = with("img:1", json!({"restartPolicy": "never"}));
    bench.desire(1, json!({"a": on_unhealthy, "b": never}), &["a", "b"]);
    set_first_pause(&bench, "0");
    bench.round().await;
    for name in ["a", "b"] {
        bench.agent.runtime.fail_health_check(&module(name));
    }
    bench.round().await;
    let reported = bench.reported();
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "running");
    assert_eq!(reported["modules"]["a"]["restartCount"], 1);
    assert_eq!(reported["modules"]["b"]["runtimeStatus"], "unhealthy");
    assert_eq!(reported["modules"]["b"]["restartCount"], 0);
    assert_eq!(
        bench.details("b").status.runtime_status.status,
        RuntimeStatus::Unhealthy
    );
}

/// D14: the agent's variables in the deployment.
#[tokio::test]
async fn limits_of_restarts_are_those_of_the_deployment() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    set_first_pause(&bench, "0");
    bench.round().await;
    bench.agent.runtime.end(&module("a"), 3);
    bench.round().await;
    assert_eq!(running(&bench).await, ["a"]);
    set_first_pause(&bench, "300");
    bench.agent.runtime.end(&module("a"), 3);
    bench.round().await;
    assert_eq!(running(&bench).await, [] as [&str; 0]);
    assert_eq!(bench.reported()["modules"]["a"]["restartCount"], 1);
}

fn set_first_pause(bench: &Bench, seconds: &str) {
    let env = json!({"CoolOffTimeUnitInSeconds": {"value": seconds}, "Odd": {"value": 1}});
    let agent = json!({"edgeAgent": {"settings": {"image": "x"}, "env": env}});
    bench.agent.shared.cloud_state.send_modify(|cloud_state| {
        let desired = cloud_state.desired.as_mut().unwrap();
        desired.properties.insert("systemModules".into(), agent);
    });
}
