//! The whole loop against a runtime that only remembers.

use std::path::Path;

use ids::{DeviceId, GenerationId, HubHost};
use serde_json::{Map, json};
use wire::edge_api::local::ModuleDetails;
use wire::edge_api::manifest::RuntimeStatus;

use super::*;
use crate::desired::DesiredDocument;
use crate::identities::master_key::MasterKey;
use crate::local_api::workload::Workload;
use crate::provision::assignment::Home;
use crate::runtime::FakeRuntime;

const CONFIG: &str = "[provisioning]\nsource = \"dps\"\nglobal_endpoint = \"https://dps.example\"\nid_scope = \"0ne1\"\n\
    [provisioning.attestation]\nmethod = \"x509\"\nidentity_cert = \"file:///c\"\nidentity_pk = \"file:///k\"\n";

struct Bench {
    agent: Agent<FakeRuntime>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let agent = Self::agent(
            dir.path(),
            Arc::new(FakeRuntime::new(
                ["img:1", "img:2"].map(str::to_owned),
                clock::now,
            )),
        );
        Self { agent, _dir: dir }
    }

    fn agent(root: &Path, runtime: Arc<FakeRuntime>) -> Agent<FakeRuntime> {
        let paths = Paths::under(root).unwrap();
        let board = Board::default();
        let master = Arc::new(MasterKey::load_or_make(&paths.state().join("key")).unwrap());
        let workload = Workload {
            board: board.clone(),
            master,
            trust_bundle: None,
        };
        let sockets = ModuleSockets::new(workload, paths.clone());
        let (config, _) = Config::parse(CONFIG).unwrap();
        Agent::new(
            runtime,
            board,
            paths,
            config,
            sockets,
            Arc::new(Notify::new()),
        )
    }

    /// As if the hub had sent these modules as version `version`, and knew the identities of `known`.
    fn desire(&self, version: u64, modules: Value, known: &[&str]) {
        let mut properties = Map::new();
        properties.insert("schemaVersion".into(), json!("1.1"));
        properties.insert("modules".into(), modules);
        self.agent.board.situation.send_modify(|situation| {
            let home = Home {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("d").unwrap(),
            };
            situation.home = Some(home);
            let identity = |name: &&str| (module(name), GenerationId::from_number(1));
            situation.identities = known.iter().map(identity).collect();
            situation.desired = Some(DesiredDocument {
                properties,
                version,
            });
        });
    }

    async fn round(&mut self) {
        self.agent.round().await.unwrap();
    }

    async fn containers(&self) -> Vec<(String, String, String)> {
        let found = self.agent.runtime.list().await.unwrap();
        found
            .into_iter()
            .map(|c| (c.module.to_string(), c.id, format!("{:?}", c.state)))
            .collect()
    }

    fn reported(&self) -> Value {
        Value::Object(self.agent.board.reported.borrow().clone().unwrap())
    }

    fn shown(&self, name: &str) -> ModuleDetails {
        let modules = self.agent.board.shown().modules;
        modules
            .into_iter()
            .find(|shown| shown.name.as_str() == name)
            .unwrap()
    }
}

fn module(name: &str) -> ModuleId {
    ModuleId::parse(name).unwrap()
}

fn image(image: &str) -> Value {
    json!({"restartPolicy": "always", "settings": {"image": image}})
}

#[tokio::test]
async fn a_deployment_is_followed_changed_and_reported() {
    let mut bench = Bench::new();
    bench.desire(
        1,
        json!({"a": image("img:1"), "b": image("img:1")}),
        &["a", "b"],
    );
    bench.round().await;
    let first = bench.containers().await;
    assert!(
        first.iter().all(|(_, _, state)| state == "Running") && first.len() == 2,
        "{first:?}"
    );
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredVersion"], 1);
    assert_eq!(reported["lastDesiredStatus"]["code"], 200);
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "running");
    assert_eq!(
        reported["systemModules"]["edgeAgent"]["runtimeStatus"],
        "running"
    );

    bench.round().await;
    assert_eq!(bench.containers().await, first);

    bench.desire(2, json!({"a": image("img:2")}), &["a"]);
    bench.round().await;
    let second = bench.containers().await;
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].1, first[0].1);
    assert_eq!(
        bench.reported()["modules"]["a"]["settings"]["image"],
        "img:2"
    );
    assert!(bench.reported()["modules"].get("b").is_none());
}

#[tokio::test]
async fn modules_wait_for_their_identities_and_say_so() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &[]);
    bench.round().await;
    assert!(bench.containers().await.is_empty());
    assert!(
        bench
            .agent
            .board
            .needed
            .borrow()
            .as_ref()
            .is_some_and(|needed| needed.contains(&module("a")))
    );
    assert!(
        bench
            .shown("a")
            .status
            .runtime_status
            .description
            .contains("identity")
    );
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    assert_eq!(
        bench.shown("a").status.runtime_status.status,
        RuntimeStatus::Running
    );
}

#[tokio::test]
async fn what_cannot_be_pulled_is_told_and_stops_nobody_else() {
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
    let shown = bench.shown("a").status.runtime_status;
    assert!(
        shown.description.contains("nowhere:1") && shown.description.contains("next attempt"),
        "{shown:?}"
    );
    assert_eq!(bench.agent.memory.failures[&module("a")].count, 1);
    bench.round().await;
    assert_eq!(bench.agent.memory.failures[&module("a")].count, 1);
}

#[tokio::test]
async fn unreadable_and_empty_deployments_remove_nothing() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    let before = bench.containers().await;
    bench.desire(2, json!({"a": {"settings": {}}}), &["a"]);
    bench.round().await;
    assert_eq!(bench.containers().await, before);
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 400);
    bench.agent.board.situation.send_modify(|s| {
        s.desired = Some(DesiredDocument {
            properties: Map::new(),
            version: 3,
        })
    });
    bench.round().await;
    assert_eq!(bench.containers().await, before);
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 417);
}

#[tokio::test]
async fn a_new_agent_finds_everything_as_it_was() {
    let mut bench = Bench::new();
    bench.desire(
        1,
        json!({"a": image("img:1"), "b": image("img:1")}),
        &["a", "b"],
    );
    bench.round().await;
    let before = bench.containers().await;
    let runtime = bench.agent.runtime.clone();
    bench.agent = Bench::agent(bench._dir.path(), runtime);
    bench.round().await;
    assert_eq!(bench.containers().await, before);
    bench.desire(
        1,
        json!({"a": image("img:1"), "b": image("img:1")}),
        &["a", "b"],
    );
    bench.round().await;
    assert_eq!(bench.containers().await, before);
}

#[tokio::test]
async fn a_crash_is_shown_as_azure_shows_it() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.end(&module("a"), 3);
    bench.round().await;
    let shown = bench.shown("a").status;
    assert_eq!(shown.runtime_status.status, RuntimeStatus::Failed);
    assert_eq!(shown.exit_status.unwrap().status_code, "3");
    assert_eq!(bench.reported()["modules"]["a"]["runtimeStatus"], "backoff");
    assert_eq!(bench.reported()["modules"]["a"]["exitCode"], 3);
}

fn with(image: &str, more: Value) -> Value {
    let mut module = json!({"settings": {"image": image}});
    for (name, value) in more.as_object().into_iter().flatten() {
        module[name] = value.clone();
    }
    module
}

/// D1: whatever is stopped with a policy above `never` is started when the runtime or the engine comes back, and after a
/// stop from outside; what chose to end is left alone.
#[tokio::test]
async fn what_was_stopped_from_outside_is_started() {
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
        assert_eq!(running(&bench).await, [] as [&str; 0], "they chose to end");
    }

    bench.agent.runtime.set_away(true);
    let problem = chain_of(&bench.agent.round().await.unwrap_err());
    bench.agent.engine_lost(problem);
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

/// A module that was to be stopped and is to run again runs, whatever its restart policy.
#[tokio::test]
async fn what_rested_runs_again() {
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
        // A restart of the runtime in between forgets nothing.
        let runtime = bench.agent.runtime.clone();
        bench.agent = Bench::agent(bench._dir.path(), runtime);
    }
}

/// D6, D7: a fault ends with its cause, and what runs is told apart from what is wanted.
#[tokio::test]
async fn a_failed_update_is_told_and_ends_with_its_cause() {
    let mut bench = Bench::new();
    let good = json!({"a": with("img:1", json!({"settings": {"image": "img:1", "createOptions": "{\"User\":\"1\"}"}}))});
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
    let shown = bench.shown("a");
    assert_eq!(
        (shown.image(), shown.status.runtime_status.status),
        ("img:1", RuntimeStatus::Running)
    );
    assert!(
        shown
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
        bench.agent.board.shown().deployment_problems,
        [] as [&str; 0]
    );
}

/// D6: also when somebody else did what failed.
#[tokio::test]
async fn a_fault_ends_when_the_module_is_as_desired() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.stop(&module("a")).await.unwrap();
    let attempt = bench.agent.wanted(
        &AgentDesired::parse(&Value::Object(
            bench
                .agent
                .board
                .situation
                .borrow()
                .desired
                .clone()
                .unwrap()
                .properties,
        ))
        .unwrap(),
        &bench.agent.board.situation.borrow().clone(),
    )[&module("a")]
        .attempt
        .clone();
    let failure = crate::plan::Failure::after(None, &attempt, "port in use".into(), clock::now());
    bench.agent.memory.failures.insert(module("a"), failure);
    bench.agent.runtime.start(&module("a")).await.unwrap();
    bench.round().await;
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);
    assert!(bench.agent.memory.failures.is_empty());
}

/// D10: a changed credential is tried at once, an unchanged one when its time comes.
#[tokio::test]
async fn a_changed_credential_is_tried_at_once() {
    let mut bench = Bench::new();
    let desire = |bench: &Bench, version, password: &str| {
        bench.desire(version, json!({"a": image("reg.example/x:1")}), &["a"]);
        let runtime = json!({"type": "docker", "settings": {"registryCredentials":
            {"r": {"address": "reg.example", "username": "u", "password": password}}}});
        bench.agent.board.situation.send_modify(|situation| {
            let desired = situation.desired.as_mut().unwrap();
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

/// D8: without the engine nothing is known, and that is told.
#[tokio::test]
async fn without_the_engine_nothing_is_known() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    bench.agent.runtime.set_away(true);
    let problem = chain_of(&bench.agent.round().await.unwrap_err());
    bench.agent.engine_lost(problem);
    let shown = bench.shown("a").status;
    assert_eq!(shown.runtime_status.status, RuntimeStatus::Unknown);
    assert!(
        shown.runtime_status.description.contains("does not answer"),
        "{shown:?}"
    );
    assert_eq!(shown.start_time, None);
    assert_eq!(
        bench.shown("edgeAgent").status.runtime_status.status,
        RuntimeStatus::Running
    );
    let reported = bench.reported();
    assert_eq!(reported["lastDesiredStatus"]["code"], 500);
    assert_eq!(reported["modules"]["a"]["runtimeStatus"], "unknown");
    assert!(bench.agent.board.shown().engine.problem.is_some());

    bench.agent.runtime.set_away(false);
    bench.round().await;
    assert_eq!(
        bench.shown("a").status.runtime_status.status,
        RuntimeStatus::Running
    );
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);
    assert_eq!(bench.agent.board.shown().engine.problem, None);
}

/// D17: what the engine or the registry remarks is reported as long as its container stands.
#[tokio::test]
async fn remarks_are_reported() {
    let mut bench = Bench::new();
    bench
        .agent
        .runtime
        .pull("img:1", None, Duration::from_secs(1))
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
        let warnings = bench.agent.board.shown().deployment_warnings.join("\n");
        let told = bench.reported()["modules"]["a"]["statusDescription"].to_string();
        for text in [&warnings, &told] {
            assert!(
                text.contains("createOptions.HostConfig.Later")
                    && text.contains("the one on this device is used"),
                "{text}"
            );
        }
        let runtime = bench.agent.runtime.clone();
        let situation = bench.agent.board.situation.borrow().clone();
        bench.agent = Bench::agent(bench._dir.path(), runtime);
        bench.agent.board.situation.send_replace(situation);
    }
}

/// A pull that takes long keeps nobody waiting but what is to start after it, and ends with the wish for it.
#[tokio::test]
async fn a_long_pull_keeps_nobody_waiting() {
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
        bench.shown("slow").status.runtime_status.description,
        "its image is being pulled"
    );
    assert_eq!(bench.reported()["lastDesiredStatus"]["code"], 200);

    // A new module of a later order waits; what is on the device is stopped and removed meanwhile.
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
        "nobody wants it any more"
    );
}
