use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{DeviceId, HubHost, ModuleId};
use wire::edge_api::manifest::AgentDesired;

use super::*;
use crate::desired::container::{DeviceContext, ModuleInstance, container};
use crate::runtime::{FakeRuntime, PullProgress};

struct Bench {
    methods: Methods<FakeRuntime>,
    daemon: mpsc::Receiver<DaemonRequest>,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// Two modules run.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = FakeRuntime::new(["img:1".to_owned()], clock::now);
        let progress = PullProgress::default();
        let pulled = runtime.pull("img:1", None, Duration::from_secs(1), &progress);
        pulled.await.unwrap();
        for name in ["tempSensor", "filter"] {
            create(&runtime, dir.path(), name).await;
        }
        let (daemon_in, daemon) = mpsc::channel(1);
        let methods = Methods {
            runtime: Arc::new(runtime),
            location: DeviceLocation {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("d").unwrap(),
            },
            trust: Trust::only(&[]).unwrap(),
            parts: MethodParts {
                metrics: Metrics::default(),
                log: dir.path().join("edged.log"),
                tasks: Arc::default(),
                daemon: daemon_in,
                make_bundle: None,
            },
        };
        Self {
            methods,
            daemon,
            _dir: dir,
        }
    }

    fn log(&self, stream: u8, text: &str) {
        self.methods
            .runtime
            .log(&module("tempSensor"), stream, text);
    }

    async fn call(&self, name: &str, argument: Value) -> (i32, Value) {
        let done = self.methods.invoke(name, &argument).await;
        done.map_or_else(MethodError::answer, |body| (200, body))
    }

    /// The logs of the answer.
    async fn logs(&self, id: &str, filter: Value, more: &[(&str, &str)]) -> Vec<Value> {
        let items = json!([{"id": id, "filter": filter}]);
        let mut argument = json!({"schemaVersion": "1.0", "items": items});
        for (name, value) in more {
            argument[*name] = json!(value);
        }
        let (status, body) = self.call("GetModuleLogs", argument).await;
        assert_eq!(status, 200, "{body}");
        assert!(body.to_string().len() <= 127_000);
        body.as_array().unwrap().clone()
    }

    async fn text(&self, filter: Value) -> String {
        let logs = self.logs("tempSensor", filter, &[]).await;
        logs[0]["payload"].as_str().unwrap().to_owned()
    }
}

fn module(name: &str) -> ModuleId {
    ModuleId::parse(name).unwrap()
}

async fn create(runtime: &FakeRuntime, root: &std::path::Path, name: &str) {
    let manifest = json!({"modules": {name: {"settings": {"image": "img:1"}}}});
    let desired = AgentDesired::parse(&manifest).unwrap();
    let settings = &desired.modules[&module(name)];
    let context = DeviceContext {
        root: root.to_owned(),
        name_prefix: String::new(),
        network: "n".to_owned(),
        device: DeviceId::parse("d").unwrap(),
        hub: HubHost::parse("hub.example").unwrap(),
        elevated_permissions: true,
        agent_env: Vec::new(),
        logging: None,
    };
    let instance = ModuleInstance {
        module: &module(name),
        settings,
        options: settings.create_options.as_ref().unwrap(),
        generation: &ids::GenerationId::from_number(1),
        folder: root,
    };
    runtime
        .create(&container(&context, &instance))
        .await
        .unwrap();
    runtime.start(&module(name)).await.unwrap();
}

fn ids(logs: &[Value]) -> Vec<&str> {
    logs.iter().filter_map(|log| log["id"].as_str()).collect()
}

#[tokio::test]
async fn calls_are_answered_as_azure_does() {
    let bench = Bench::new().await;
    assert_eq!(bench.call("ping", Value::Null).await, (200, Value::Null));
    let call = async |name: &str, argument: Value| bench.call(name, argument).await.0;
    let with = |member: &str, value: Value| json!({"schemaVersion": "1.0", member: value});
    let restart = bench
        .call("RestartModule", with("id", json!("filter")))
        .await;
    assert_eq!(restart, (200, Value::Null));
    assert_eq!(call("RestartModule", with("id", json!("m"))).await, 404);
    assert_eq!(
        call("RestartModule", json!({"schemaVersion": "2.0", "id": "m"})).await,
        400
    );
    assert_eq!(call("RestartModule", json!({})).await, 400);
    assert_eq!(
        call("GetModuleLogs", with("items", json!([{"id": "m"}]))).await,
        200
    );
    assert_eq!(
        call("GetModuleLogs", json!({"schemaVersion": "1.0"})).await,
        400
    );
    assert_eq!(
        call("GetModuleLogs", with("items", json!({"id": "("}))).await,
        400
    );
    assert_eq!(
        call("UploadModuleLogs", with("items", json!([]))).await,
        400
    );
    assert_eq!(
        call("UploadSupportBundle", with("sasUrl", json!("x"))).await,
        400
    );
    let url = json!("https://store.example/c?sig=1");
    assert_eq!(call("UploadSupportBundle", with("sasUrl", url)).await, 501);
    assert_eq!(call("Other", Value::Null).await, 404);
    let (status, body) = bench
        .call("GetTaskStatus", with("correlationId", json!("x")))
        .await;
    let unknown = json!({"status": "Unknown", "message": "", "correlationId": "x"});
    assert_eq!((status, body), (200, unknown));
}

#[tokio::test]
async fn a_restart_of_the_agent_is_one_of_the_daemon() {
    let mut bench = Bench::new().await;
    let argument = json!({"schemaVersion": "1.0", "id": "edgeAgent"});
    let answer = bench.call("RestartModule", argument).await;
    assert_eq!(answer, (200, Value::Null));
    assert!(matches!(
        bench.daemon.recv().await,
        Some(DaemonRequest::Restart)
    ));
}

/// D12.
#[tokio::test]
async fn logs_are_chosen_by_regular_expressions_of_names() {
    let bench = Bench::new().await;
    std::fs::write(&bench.methods.parts.log, "line of the daemon\n").unwrap();
    let names = async |id: &str| {
        let logs = bench.logs(id, json!({}), &[]).await;
        ids(&logs).join(" ")
    };
    assert_eq!(names("all").await, "edgeAgent filter tempSensor");
    assert_eq!(names(".*").await, "edgeAgent filter tempSensor");
    assert_eq!(names("TEMP").await, "tempSensor");
    assert_eq!(names("^sensor").await, "");
    let own = bench.logs("edgeAgent", json!({}), &[]).await;
    assert_eq!(own[0]["payload"], "line of the daemon\n");
    // The first item that names a module counts.
    let items = json!([{"id": "filter", "filter": {"tail": 0}}, {"id": "all"}]);
    let argument = json!({"schemaVersion": "1.0", "items": items});
    let (_, logs) = bench.call("GetModuleLogs", argument).await;
    assert_eq!(logs[1], json!({"id": "filter", "payload": ""}));
}

/// D12.
#[tokio::test]
async fn lines_are_filtered_by_severity_expression_and_number() {
    let bench = Bench::new().await;
    bench.log(
        1,
        "<3> 2019-02-14 16:15:35.243 -08:00 [ERR] it failed\n<6> fine",
    );
    bench.log(2, "<3> other\n");
    bench.log(1, " after all\nplain failed\n");
    let all = bench.text(json!({})).await;
    assert_eq!(all.lines().count(), 4);
    assert!(all.contains("<6> fine after all\n"), "{all}");
    let errors = bench.text(json!({"loglevel": 3})).await;
    assert_eq!(errors.lines().count(), 2, "{errors}");
    assert_eq!(
        bench.text(json!({"loglevel": 6, "regex": "^plain"})).await,
        "plain failed\n"
    );
    assert_eq!(
        bench.text(json!({"regex": "\\bfailed$", "tail": 1})).await,
        "plain failed\n"
    );
    assert_eq!(bench.text(json!({"regex": "^failed"})).await, "");
}

#[tokio::test]
async fn lines_can_be_asked_for_as_json() {
    let bench = Bench::new().await;
    bench.log(2, "<3> 2019-02-14 16:15:35.243 -08:00 [ERR] it failed\n");
    bench.log(1, "plain\n");
    let logs = bench
        .logs("tempSensor", json!({}), &[("contentType", "json")])
        .await;
    let lines: Value = serde_json::from_str(logs[0]["payload"].as_str().unwrap()).unwrap();
    assert_eq!(
        lines,
        json!([
            {"iothub": "hub.example", "device": "d", "id": "tempSensor", "stream": "stderr",
                "loglevel": 3, "text": "[ERR] it failed",
                "timestamp": "2019-02-14T16:15:35.243-08:00"},
            {"iothub": "hub.example", "device": "d", "id": "tempSensor", "stream": "stdout",
                "loglevel": 6, "text": "plain", "timestamp": null},
        ])
    );
}

/// D12.
#[tokio::test]
async fn logs_can_be_asked_for_compressed() {
    let bench = Bench::new().await;
    for number in 0..20_000 {
        bench.log(1, &format!("line {number} of a log that compresses well\n"));
    }
    let logs = bench
        .logs("tempSensor", json!({}), &[("encoding", "gzip")])
        .await;
    assert!(logs[0].get("payload").is_none());
    let bytes = STANDARD
        .decode(logs[0]["payloadBytes"].as_str().unwrap())
        .unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.len() > 500_000 && text.ends_with("line 19999 of a log that compresses well\n"));
}

/// The answer of a method has a limit; quotes and line ends take two characters in JSON.
#[tokio::test]
async fn of_logs_that_do_not_fit_the_end_is_given() {
    let bench = Bench::new().await;
    for number in 0..10_000 {
        bench.log(1, &format!("\"{number}\"\u{1}\n"));
    }
    let logs = bench.logs("all", json!({}), &[]).await;
    let text = logs[2]["payload"].as_str().unwrap();
    assert!(
        text.len() > 50_000 && text.ends_with("\"9999\"\u{1}\n"),
        "{}",
        text.len()
    );
    let json = bench
        .logs("all", json!({}), &[("contentType", "json")])
        .await;
    assert!(json[2]["payload"].as_str().unwrap().contains("9999"));
}
