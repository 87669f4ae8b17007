//! Modules that have exited.

use super::*;
use crate::runtime::ContainerState;

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

/// A module with another policy than `never` starts again after a stop from outside, and when the
/// daemon or the engine comes back. A program that exited with 0 by itself does not.
#[tokio::test]
async fn a_module_that_was_stopped_from_outside_is_started() {
    let mut bench = Bench::new();
    let policies = ["never", "on-failure", "on-unhealthy"];
    let modules: Value = policies
        .iter()
        .map(|policy| {
            let module = with("img:1", json!({"restartPolicy": policy}));
            ((*policy).to_owned(), module)
        })
        .collect::<Map<_, _>>()
        .into();
    bench.desire(1, modules.clone(), &policies);
    bench.round().await;
    let running = async |bench: &Bench| {
        let found = bench.agent.runtime.list().await.unwrap();
        let runs = |c: &&Observed| c.state == ContainerState::Running;
        found
            .iter()
            .filter(runs)
            .map(|c| c.module.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(running(&bench).await.len(), 3);

    for policy in policies {
        bench.agent.runtime.stop(&module(policy)).await.unwrap();
    }
    bench.round().await;
    assert_eq!(
        running(&bench).await,
        ["on-failure", "on-unhealthy"],
        "docker stop"
    );

    for policy in policies {
        bench.agent.runtime.end(&module(policy), 0);
    }
    for _ in 0..2 {
        bench.round().await;
        assert_eq!(
            running(&bench).await,
            [] as [&str; 0],
            "they exited by themselves"
        );
    }

    bench.agent.runtime.set_away(true);
    let problem = chain_of(&bench.agent.round().await.unwrap_err());
    bench.agent.engine_lost(&problem);
    bench.agent.runtime.set_away(false);
    bench.round().await;
    assert_eq!(
        running(&bench).await,
        ["on-failure", "on-unhealthy"],
        "the engine came back"
    );

    for policy in policies {
        bench.agent.runtime.end(&module(policy), 0);
    }
    bench.round().await;
    let runtime = bench.agent.runtime.clone();
    bench.agent = Bench::agent(bench._dir.path(), runtime);
    bench.desire(1, modules, &policies);
    bench.round().await;
    assert_eq!(
        running(&bench).await,
        ["on-failure", "on-unhealthy"],
        "the runtime came back"
    );
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
