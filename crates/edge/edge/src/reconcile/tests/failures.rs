//! Actions that fail, and what is reported of them.

use super::*;
use crate::plan::Failure;
use crate::runtime::PullProgress;

#[tokio::test]
async fn a_failed_pull_is_reported_and_does_not_stop_other_modules() {
    let mut bench = Bench::new();
    bench.desire(
        1,
        json!({"a": image("nowhere:1"), "b": image("img:1")}),
        &["a", "b"],
    );
    bench.round().await;
    assert_eq!(bench.containers().await.len(), 1);
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "failed");
    let state = bench.details("a").status.runtime_status;
    assert!(
        state.description.contains("nowhere:1") && state.description.contains("next attempt"),
        "{state:?}"
    );
    assert_eq!(bench.agent.memory.failures[&module("a")].count, 1);
    bench.round().await;
    assert_eq!(bench.agent.memory.failures[&module("a")].count, 1);
}

/// The report tells the image that runs from the image that the deployment names.
#[tokio::test]
async fn a_failed_update_is_reported_until_it_is_withdrawn() {
    let mut bench = Bench::new();
    let settings = json!({"image": "img:1", "createOptions": "{\"User\":\"1\"}"});
    let good = json!({"a": with("img:1", json!({"settings": settings}))});
    bench.desire(1, good.clone(), &["a"]);
    bench.round().await;
    let before = bench.containers().await;

    bench.desire(2, json!({"a": image("nowhere:1")}), &["a"]);
    bench.round().await;
    assert_eq!(bench.containers().await, before, "the old one goes on");
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    let settings = &reported["modules"]["a"]["settings"];
    assert_eq!(settings["image"], "img:1", "what runs");
    assert_eq!(settings["createOptions"], "{\"User\":\"1\"}");
    let description = reported["modules"]["a"]["statusDescription"]
        .as_str()
        .unwrap();
    assert!(
        description.contains("runs img:1") && description.contains("nowhere:1"),
        "{description}"
    );
    let details = bench.details("a");
    assert_eq!(
        (details.image(), details.status.runtime_status.status),
        ("img:1", RuntimeStatus::Running)
    );
    assert!(
        details
            .status
            .runtime_status
            .description
            .contains("nowhere:1 is wanted")
    );

    bench.desire(3, good, &["a"]);
    bench.round().await;
    assert_eq!(bench.containers().await, before);
    let reported = bench.reported();
    assert_eq!(
        reported["lastDesiredStatus"],
        json!({"code": 200, "description": ""})
    );
    assert_eq!(reported["modules"]["a"]["statusDescription"], "running");
    assert_eq!(
        bench.agent.shared.status().deployment_problems,
        [] as [&str; 0]
    );
}

/// Also when somebody else did what failed.
#[tokio::test]
async fn a_failure_ends_when_the_module_is_as_desired() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.stop(&module("a")).await.unwrap();
    let cloud_state = bench.agent.shared.cloud_state.borrow().clone();
    let manifest = cloud_state.desired.as_ref().unwrap().manifest().unwrap();
    let target = bench.agent.target(manifest, 1, &cloud_state);
    let attempt = &target.modules[&module("a")].attempt;
    let failure = Failure::after(None, attempt, "port in use".into(), clock::now());
    bench.agent.memory.failures.insert(module("a"), failure);
    bench.agent.runtime.start(&module("a")).await.unwrap();
    bench.round().await;
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);
    assert!(bench.agent.memory.failures.is_empty());
}

#[tokio::test]
async fn a_changed_credential_is_tried_at_once() {
    let mut bench = Bench::new();
    let desire = |bench: &Bench, version, password: &str| {
        bench.desire(version, json!({"a": image("reg.example/x:1")}), &["a"]);
        let credential = json!({"address": "reg.example", "username": "u", "password": password});
        let settings = json!({"registryCredentials": {"r": credential}});
        let runtime = json!({"type": "docker", "settings": settings});
        bench.agent.shared.cloud_state.send_modify(|cloud_state| {
            let desired = cloud_state.desired.as_mut().unwrap();
            desired.properties.insert("runtime".into(), runtime);
        });
    };
    for (version, password, pulls) in [(1, "wrong", 1), (2, "wrong", 1), (3, "right", 2)] {
        desire(&bench, version, password);
        bench.round().await;
        assert_eq!(
            bench.agent.runtime.pulls("reg.example/x:1"),
            pulls,
            "version {version}"
        );
    }
    assert!(!bench.reported().to_string().contains("right"));
}

#[tokio::test]
async fn without_the_engine_the_state_of_modules_is_unknown() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.set_away(true);
    let error = bench.agent.round().await.unwrap_err();
    bench.agent.round_failed(&error);
    let status = bench.details("a").status;
    assert_eq!(status.runtime_status.status, RuntimeStatus::Unknown);
    assert!(
        status
            .runtime_status
            .description
            .contains("does not answer"),
        "{status:?}"
    );
    assert_eq!(status.start_time, None);
    assert_eq!(
        bench.details("edgeAgent").status.runtime_status.status,
        RuntimeStatus::Running
    );
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "unknown");
    assert!(bench.agent.shared.status().engine.problem.is_some());

    bench.agent.runtime.set_away(false);
    bench.round().await;
    assert_eq!(
        bench.details("a").status.runtime_status.status,
        RuntimeStatus::Running
    );
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);
    assert_eq!(bench.agent.shared.status().engine.problem, None);
}

#[tokio::test]
async fn warnings_are_reported_as_long_as_the_container_exists() {
    let mut bench = Bench::new();
    bench
        .agent
        .runtime
        .pull(
            "img:1",
            None,
            Duration::from_secs(1),
            &PullProgress::default(),
        )
        .await
        .unwrap();
    bench.agent.runtime.unpublish("img:1");
    let options = json!({"hostConfig": {"Later": 1}}).to_string();
    let module = with(
        "img:1",
        json!({"settings": {"image": "img:1", "createOptions": options}}),
    );
    bench.desire(1, json!({"a": module}), &["a"]);
    for _ in 0..2 {
        bench.round().await;
        assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);
        let warnings = bench.agent.shared.status().deployment_warnings.join("\n");
        let description = bench.reported()["modules"]["a"]["statusDescription"].to_string();
        for text in [&warnings, &description] {
            assert!(
                text.contains("createOptions.HostConfig.Later")
                    && text.contains("the one on this device is used"),
                "{text}"
            );
        }
        let runtime = bench.agent.runtime.clone();
        let cloud_state = bench.agent.shared.cloud_state.borrow().clone();
        bench.agent = Bench::agent(bench._dir.path(), runtime);
        bench.agent.shared.cloud_state.send_replace(cloud_state);
    }
}

/// D3: a fault of createOptions fails its module, and keeps what runs.
#[tokio::test]
async fn faulty_create_options_fail_their_module_alone() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    let before = bench.containers().await;
    let options = json!({"HostConfig": {"Binds": "/a:/b"}}).to_string();
    let faulty = with(
        "img:2",
        json!({"settings": {"image": "img:2", "createOptions": options}}),
    );
    bench.desire(2, json!({"a": faulty, "b": image("img:1")}), &["a", "b"]);
    bench.round().await;
    let now = bench.containers().await;
    assert_eq!((now.len(), &now[0]), (2, &before[0]));
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    let description = reported["lastDesiredStatus"]["description"].to_string();
    assert!(
        description.contains("createOptions.HostConfig.Binds"),
        "{description}"
    );
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "running");
    assert_eq!(reported["modules"]["a"]["settings"]["image"], "img:1");
    assert_eq!(reported["modules"]["b"]["runtimeStatus"], "running");
}

#[tokio::test]
async fn a_missing_image_that_is_not_pulled_leaves_the_module_as_it_is() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    let before = bench.containers().await;
    let never = |image| json!({"a": with(image, json!({"imagePullPolicy": "never"}))});
    bench.desire(2, never("img:2"), &["a"]);
    bench.round().await;
    assert_eq!(bench.containers().await, before);
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    let description = reported["modules"]["a"]["statusDescription"].to_string();
    assert!(
        description.contains("img:2 is not on this device"),
        "{description}"
    );

    let progress = PullProgress::default();
    let pulled = bench
        .agent
        .runtime
        .pull("img:2", None, Duration::ZERO, &progress);
    pulled.await.unwrap();
    bench.agent.memory.failures.clear();
    bench.round().await;
    let after = bench.containers().await;
    assert_eq!(after[0].2, "Running");
    assert_ne!(after[0].1, before[0].1);
}

#[tokio::test]
async fn a_long_problem_does_not_make_a_report_that_the_hub_refuses() {
    let mut bench = Bench::new();
    let missing = json!({"a": image("nowhere:1"), "b": image("nowhere:1")});
    bench.desire(1, missing, &["a", "b"]);
    bench.round().await;
    for failure in bench.agent.memory.failures.values_mut() {
        failure.problem = "x".repeat(5000);
    }
    bench.round().await;
    let reported = bench.reported();
    for text in [
        &reported["lastDesiredStatus"]["description"],
        &reported["modules"]["a"]["statusDescription"],
    ] {
        assert_eq!(text.as_str().map(str::len), Some(4096));
    }
    // The owner of the device reads all of it.
    let problems = bench.agent.shared.status().deployment_problems;
    assert!(problems.iter().all(|problem| problem.len() > 5000));
}

#[tokio::test]
async fn an_engine_that_refuses_a_request_is_not_lost() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("nowhere:1")}), &["a"]);
    bench.round().await;
    assert_eq!(bench.agent.runtime.pulls("nowhere:1"), 1);
    bench.agent.runtime.refuse_list(true);
    let error = bench.agent.round().await.unwrap_err();
    bench.agent.round_failed(&error);
    let status = bench.details("a").status.runtime_status;
    assert_eq!(status.status, RuntimeStatus::Unknown);
    assert_eq!(bench.agent.shared.status().engine.problem, None);
    // The pause after the failure goes on.
    bench.agent.runtime.refuse_list(false);
    bench.round().await;
    assert_eq!(bench.agent.runtime.pulls("nowhere:1"), 1);
}
