//! The whole loop with the fake runtime.

mod failures;
mod pulls;
mod restarts;

use std::path::Path;

use ids::{DeviceId, GenerationId, HubHost};
use serde_json::{Map, Value, json};
use wire::edge_api::local::ModuleDetails;
use wire::edge_api::manifest::RuntimeStatus;

use super::*;
use crate::desired::DesiredDocument;
use crate::identities::master_key::tests::master_in;
use crate::local_api::workload::Workload;
use crate::provision::assignment::DeviceLocation;
use crate::runtime::FakeRuntime;

const CONFIG: &str = r#"[provisioning]
source = "dps"
global_endpoint = "https://dps.example"
id_scope = "0ne1"

[provisioning.attestation]
method = "x509"
identity_cert = "file:///c"
identity_pk = "file:///k"
"#;

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
        let shared = SharedState::default();
        let master = master_in(&paths.state().join("keys"));
        let workload = Workload {
            shared: shared.clone(),
            master,
            trust_bundle: None,
            edge_ca: Arc::default(),
        };
        let sockets = ModuleSockets::new(workload, paths.clone());
        let (config, _) = Config::parse(CONFIG).unwrap();
        Agent::new(AgentParts {
            runtime,
            shared,
            paths,
            config,
            sockets,
            wake: Arc::new(Notify::new()),
        })
    }

    /// A deployment of these modules has come, and the modules of `known` have identities.
    fn desire(&self, version: u64, modules: Value, known: &[&str]) {
        let mut properties = Map::new();
        properties.insert("schemaVersion".into(), json!("1.1"));
        properties.insert("modules".into(), modules);
        self.agent.shared.cloud_state.send_modify(|cloud_state| {
            let location = DeviceLocation {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("d").unwrap(),
            };
            cloud_state.location = Some(location);
            let identity = |name: &&str| (module(name), GenerationId::from_number(1));
            cloud_state.identities = known.iter().map(identity).collect();
            cloud_state.desired = Some(DesiredDocument {
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
        Value::Object(self.agent.shared.reported.borrow().clone().unwrap())
    }

    fn details(&self, name: &str) -> ModuleDetails {
        let modules = self.agent.shared.status().modules;
        modules
            .into_iter()
            .find(|details| details.name.as_str() == name)
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
async fn modules_wait_for_their_identities_and_report_it() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &[]);
    bench.round().await;
    assert!(bench.containers().await.is_empty());
    assert!(
        bench
            .agent
            .shared
            .needed_identities
            .borrow()
            .as_ref()
            .is_some_and(|needed| needed.contains(&module("a")))
    );
    assert!(
        bench
            .details("a")
            .status
            .runtime_status
            .description
            .contains("identity")
    );
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    bench.round().await;
    assert_eq!(
        bench.details("a").status.runtime_status.status,
        RuntimeStatus::Running
    );
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
    bench.agent.shared.cloud_state.send_modify(|s| {
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
async fn a_new_agent_leaves_containers_as_they_are() {
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
async fn the_last_good_deployment_is_followed_while_the_next_cannot_be() {
    let mut bench = Bench::new();
    bench.desire(1, json!({"a": image("img:1")}), &["a"]);
    let good = bench.agent.shared.cloud_state.borrow().desired.clone();
    for (version, modules, code) in [(2, json!(1), 400), (3, Value::Null, 417)] {
        bench.desire(version, modules, &["a"]);
        bench.agent.shared.cloud_state.send_modify(|cloud_state| {
            cloud_state.last_good.clone_from(&good);
            let desired = cloud_state.desired.as_mut().unwrap();
            if code == 417 {
                desired.properties.clear();
            }
        });
        bench.agent.runtime.remove(&module("a")).await.unwrap();
        bench.round().await;
        let reported = bench.reported();
        assert_eq!(reported["lastDesiredVersion"], version);
        assert_eq!(reported["lastDesiredStatus"]["code"], code);
        assert_eq!(reported["modules"]["a"]["runtimeStatus"], "running");
        let status = bench.agent.shared.status();
        assert_eq!(status.deployment_version, Some(1));
        assert_eq!(status.deployment_problems.len(), 1);
    }
}

fn with(image: &str, more: Value) -> Value {
    let mut module = json!({"settings": {"image": image}});
    for (name, value) in more.as_object().into_iter().flatten() {
        module[name] = value.clone();
    }
    module
}
