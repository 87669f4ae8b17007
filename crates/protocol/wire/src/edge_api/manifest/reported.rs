//! What `$edgeAgent` reports. Secrets stay on the device: of environments only the names are
//! reported, of registry credentials nothing.

use std::collections::BTreeMap;

use ids::{ModuleId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{CreateOptions, DesiredStatus, ModuleSettings, PullPolicy, RestartPolicy};

/// Longest chunk of a reported `createOptions`, bytes.
const CHUNK: usize = 512;

/// The state of a module's container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeStatus {
    /// Its container is running now.
    Running,
    /// It ended with code 0, or was stopped as desired.
    Stopped,
    /// It ended and will be started again after a pause.
    Backoff,
    /// Its health check fails.
    Unhealthy,
    /// It ended with an error, or cannot be created, and is not started again.
    Failed,
    /// The engine could not remove or restart it.
    Dead,
    /// Nothing is known, or a word that this program does not know.
    #[serde(other)]
    Unknown,
}

impl RuntimeStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Unhealthy => "unhealthy",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

/// Outcome of the last desired properties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastDesired {
    /// 200 followed, 400 bad format, 406 not running, 412 schema, 417 nothing set, 500 failed.
    pub code: u16,
    /// Words; empty for 200.
    pub description: String,
}

/// One module as reported.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedModule {
    /// The settings of the deployment that it was created from.
    pub settings: ModuleSettings,
    /// Id of the image it was created from.
    pub image_hash: Option<String>,
    /// The state of its container.
    pub runtime_status: RuntimeStatus,
    /// A description of the status for people.
    pub status_description: String,
    /// Exit code of its last run.
    pub exit_code: Option<i64>,
    /// How often it was started again since it last ran for ten minutes.
    pub restart_count: u32,
    /// When it started last.
    pub last_start: Option<Timestamp>,
    /// When it ended last.
    pub last_exit: Option<Timestamp>,
    /// When it was last started again by its restart policy.
    pub last_restart: Option<Timestamp>,
}

/// All reported properties of `$edgeAgent`.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentReported {
    /// Version of the runtime.
    pub version: String,
    /// `$version` of the desired properties that this reports about.
    pub last_desired_version: u64,
    /// The result of following them.
    pub last_desired_status: LastDesired,
    /// `runtime.settings.minDockerVersion`, as it was desired.
    pub min_docker_version: Option<String>,
    /// The names of `runtime.settings.registryCredentials`.
    pub registry_credentials: Vec<String>,
    /// Processor, as the engine names it, for example `x86_64`.
    pub architecture: String,
    /// `systemModules`: `edgeAgent` and `edgeHub`, by name.
    pub system_modules: BTreeMap<ModuleId, ReportedModule>,
    /// The modules of the deployment.
    pub modules: BTreeMap<ModuleId, ReportedModule>,
}

impl AgentReported {
    /// The JSON that goes into the twin.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut settings = Map::new();
        if let Some(version) = &self.min_docker_version {
            settings.insert("minDockerVersion".to_owned(), json!(version));
        }
        if !self.registry_credentials.is_empty() {
            let names = self.registry_credentials.iter();
            let credentials: Map<_, _> = names.map(|name| (name.clone(), json!({}))).collect();
            settings.insert("registryCredentials".to_owned(), Value::Object(credentials));
        }
        json!({
            "schemaVersion": "1.0",
            "version": {"version": self.version},
            "lastDesiredVersion": self.last_desired_version,
            "lastDesiredStatus": self.last_desired_status,
            "runtime": {
                "type": "docker",
                "settings": settings,
                "platform": {"os": "linux", "architecture": self.architecture,
                    "version": self.version},
            },
            "systemModules": list(&self.system_modules),
            "modules": list(&self.modules),
        })
    }
}

fn list(modules: &BTreeMap<ModuleId, ReportedModule>) -> Map<String, Value> {
    modules
        .iter()
        .map(|(id, module)| (id.to_string(), Value::Object(entry(module))))
        .collect()
}

fn entry(module: &ReportedModule) -> Map<String, Value> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Entry<'a> {
        r#type: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        status: DesiredStatus,
        restart_policy: RestartPolicy,
        image_pull_policy: PullPolicy,
        #[serde(skip_serializing_if = "Option::is_none")]
        startup_order: Option<u32>,
        env: Map<String, Value>,
        settings: Map<String, Value>,
        runtime_status: RuntimeStatus,
        status_description: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit_code: Option<i64>,
        restart_count: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_start_time_utc: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_exit_time_utc: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_restart_time_utc: Option<Timestamp>,
    }
    let desired = &module.settings;
    let entry = Entry {
        r#type: "docker",
        version: desired.version.as_deref(),
        status: desired.status,
        restart_policy: desired.restart_policy,
        image_pull_policy: desired.pull_policy,
        startup_order: (desired.startup_order != u32::MAX).then_some(desired.startup_order),
        env: desired
            .env
            .keys()
            .map(|name| (name.clone(), json!({})))
            .collect(),
        settings: settings(module),
        runtime_status: module.runtime_status,
        status_description: &module.status_description,
        exit_code: module.exit_code,
        restart_count: module.restart_count,
        last_start_time_utc: module.last_start,
        last_exit_time_utc: module.last_exit,
        last_restart_time_utc: module.last_restart,
    };
    match serde_json::to_value(entry) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn settings(module: &ReportedModule) -> Map<String, Value> {
    let mut settings = Map::new();
    settings.insert("image".to_owned(), json!(module.settings.image));
    if let Some(hash) = &module.image_hash {
        settings.insert("imageHash".to_owned(), json!(hash));
    }
    let given = module.settings.create_options.as_ref();
    let options = given.map(CreateOptions::without_values).unwrap_or_default();
    let text = Value::Object(options).to_string();
    for (index, chunk) in chunks(&text).into_iter().enumerate() {
        let name = if index == 0 {
            "createOptions".to_owned()
        } else {
            format!("createOptions{index:02}")
        };
        settings.insert(name, json!(chunk));
    }
    settings
}

fn chunks(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut found = Vec::new();
    while rest.len() > CHUNK {
        let cut = (0..=CHUNK)
            .rev()
            .find(|at| rest.is_char_boundary(*at))
            .unwrap_or(CHUNK);
        let (head, tail) = rest.split_at(cut);
        found.push(head);
        rest = tail;
    }
    found.push(rest);
    found
}
