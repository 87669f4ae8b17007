//! Pulls that take long.

use super::*;

/// Only modules that start after it wait. The pull ends when no deployment needs it any more.
#[tokio::test]
async fn a_long_pull_does_not_hold_up_other_modules() {
    let mut bench = Bench::new();
    bench.agent.runtime.hold("img:2", true);
    let first = with("img:2", json!({"startupOrder": 0}));
    let modules = json!({"slow": first, "after": image("img:1")});
    bench.desire(1, json!({"after": image("img:1")}), &["slow", "after"]);
    bench.round().await;
    bench.desire(2, modules, &["slow", "after"]);
    bench.agent.runtime.end(&module("after"), 1);
    bench.agent.memory.restarts.clear();
    bench.round().await;
    assert_eq!(
        bench.details("slow").status.runtime_status.description,
        "its image is being pulled: 50 % of 1 MB"
    );
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);

    // A new module of a later order waits. Old containers are stopped and removed meanwhile.
    let modules =
        json!({"slow": with("img:2", json!({"startupOrder": 0})), "later": image("img:1")});
    bench.desire(3, modules, &["slow", "later"]);
    bench.round().await;
    assert_eq!(bench.containers().await, []);
    assert_eq!(
        bench.agent.runtime.pulls("img:2"),
        1,
        "one pull, however many rounds"
    );

    bench.agent.runtime.hold("img:2", false);
    bench.round().await;
    let names: Vec<_> = bench
        .containers()
        .await
        .into_iter()
        .map(|(name, ..)| name)
        .collect();
    assert_eq!(names, ["later", "slow"]);

    bench.agent.runtime.hold("img:1", true);
    bench.desire(
        4,
        json!({"other": with("img:1", json!({"version": "2"}))}),
        &["other"],
    );
    bench.round().await;
    assert_eq!(bench.agent.pulls.progress().len(), 1);
    bench.desire(5, json!({"slow": image("img:2")}), &["slow"]);
    bench.round().await;
    assert_eq!(
        bench.agent.pulls.progress().len(),
        0,
        "no deployment needs it any more"
    );
}

fn set_agent_env(bench: &Bench, env: &[(&str, &str)]) {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({"value": value})));
    let env: Map<String, Value> = env.collect();
    let agent = json!({"edgeAgent": {"settings": {"image": "x"}, "env": env}});
    bench.agent.shared.cloud_state.send_modify(|cloud_state| {
        let desired = cloud_state.desired.as_mut().unwrap();
        desired.properties.insert("systemModules".into(), agent);
    });
}

/// `ModuleUpdateMode` `WaitForAllPulls`.
#[tokio::test]
async fn no_module_is_touched_before_all_images_are_there() {
    let mut bench = Bench::new();
    let before = json!({"a": image("img:1"), "b": image("img:1"), "gone": image("img:1")});
    bench.desire(1, before, &["a", "b", "gone"]);
    bench.round().await;
    let before = bench.containers().await;

    bench.agent.runtime.hold("img:2", true);
    let after = json!({"a": image("img:2"), "b": with("img:1", json!({"version": "2"}))});
    let desire = |bench: &Bench, version, modules: &Value| {
        bench.desire(version, modules.clone(), &["a", "b", "gone"]);
        set_agent_env(bench, &[("ModuleUpdateMode", "WaitForAllPulls")]);
    };
    desire(&bench, 2, &after);
    for _ in 0..2 {
        bench.round().await;
        assert_eq!(bench.containers().await, before);
    }
    let failing = json!({"a": image("nowhere:1"), "b": with("img:1", json!({"version": "2"}))});
    desire(&bench, 3, &failing);
    for _ in 0..2 {
        bench.round().await;
        assert_eq!(bench.containers().await, before);
        assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 500);
    }
    bench.agent.runtime.hold("img:2", false);
    desire(&bench, 4, &after);
    bench.round().await;
    let now = bench.containers().await;
    assert_eq!(now.len(), 2);
    assert!(
        now.iter().all(|container| !before.contains(container)),
        "{now:?}"
    );
    let pulls = bench.agent.runtime.pulls("img:2");
    assert_eq!(pulls, 2, "one that was withdrawn, and one");
}

/// Modules that ignore SIGTERM took ten seconds each, one after the other.
#[tokio::test]
async fn modules_are_stopped_side_by_side() {
    let mut bench = Bench::new();
    let names = ["a", "b", "c", "d", "e"];
    let modules: Map<_, _> = names
        .map(|name| (name.to_owned(), image("img:1")))
        .into_iter()
        .collect();
    bench.desire(1, Value::Object(modules), &names);
    bench.round().await;
    bench.agent.runtime.set_ending(Duration::from_millis(400));
    bench.desire(2, json!({}), &[]);
    let begun = tokio::time::Instant::now();
    bench.round().await;
    assert_eq!(bench.containers().await, []);
    assert!(
        begun.elapsed() < Duration::from_millis(1200),
        "{:?}",
        begun.elapsed()
    );
}
