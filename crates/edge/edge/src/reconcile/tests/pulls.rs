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
        "its image is being pulled"
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
    assert_eq!(bench.agent.pulls.modules().len(), 1);
    bench.desire(5, json!({"slow": image("img:2")}), &["slow"]);
    bench.round().await;
    assert_eq!(
        bench.agent.pulls.modules().len(),
        0,
        "no deployment needs it any more"
    );
}
