use std::collections::BTreeMap;

use ids::{ModuleId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::edge_api::manifest::RuntimeStatus;

/// The answer of `GET /modules`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleList {
    /// The modules of the device, sorted by name.
    pub modules: Vec<ModuleDetails>,
}

/// One module of the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleDetails {
    /// Id of the container; empty before it is created.
    pub id: String,
    /// The name in the deployment.
    pub name: ModuleId,
    /// The kind of module, always `docker`.
    pub r#type: String,
    /// `{"settings": {"image": …}, "env": []}`.
    pub config: Value,
    /// The state of the module and its times.
    pub status: ModuleStatus,
}

impl ModuleDetails {
    /// The image it runs, as the deployment names it.
    #[must_use]
    pub fn image(&self) -> &str {
        self.config["settings"]["image"]
            .as_str()
            .unwrap_or_default()
    }
}

/// The state of a module, and the times of its last run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleStatus {
    /// When it started last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Timestamp>,
    /// The end of its last run; absent while it has never ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<ExitStatus>,
    /// The state and words about it.
    pub runtime_status: ModuleState,
}

/// The end of a module's last run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitStatus {
    /// The time at which the container ended, UTC.
    pub exit_time: Timestamp,
    /// Exit code in decimal.
    pub status_code: String,
}

/// A state in one word and in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModuleState {
    /// The state as one word, such as `running`.
    pub status: RuntimeStatus,
    /// In words. Azure's daemon leaves it out when it has none.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub description: String,
}

fn text_or_nothing<'de, D: Deserializer<'de>>(text: D) -> Result<String, D::Error> {
    Option::<String>::deserialize(text).map(Option::unwrap_or_default)
}

/// The query of `GET /modules/{m}/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogsQuery {
    /// Stay and send what comes.
    pub follow: bool,
    /// How many last lines; all when absent.
    pub tail: Option<u64>,
    /// From when, seconds since 1970.
    pub since: Option<i64>,
    /// Until when, seconds since 1970.
    pub until: Option<i64>,
    /// Put the engine's time before each line.
    pub timestamps: bool,
}

impl LogsQuery {
    /// Reads a query string; other parameters are ignored.
    ///
    /// # Errors
    /// The name of the parameter that is not what it should be.
    pub fn parse(query: &str) -> Result<Self, &'static str> {
        let mut logs = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "follow" => logs.follow = value.parse().map_err(|_| "follow")?,
                "timestamps" => logs.timestamps = value.parse().map_err(|_| "timestamps")?,
                "tail" if value == "all" => logs.tail = None,
                "tail" => logs.tail = Some(value.parse().map_err(|_| "tail")?),
                "since" => logs.since = Some(value.parse().map_err(|_| "since")?),
                "until" => logs.until = Some(value.parse().map_err(|_| "until")?),
                _ => {}
            }
        }
        Ok(logs)
    }
}

impl std::fmt::Display for LogsQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "follow={}&timestamps={}", self.follow, self.timestamps)?;
        match self.tail {
            Some(lines) => write!(f, "&tail={lines}")?,
            None => f.write_str("&tail=all")?,
        }
        self.since
            .map_or(Ok(()), |since| write!(f, "&since={since}"))?;
        self.until
            .map_or(Ok(()), |until| write!(f, "&until={until}"))
    }
}

/// `GET /systeminfo`, as far as the device knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SystemInfo {
    /// The kind of operating system, always `linux`.
    #[serde(rename = "osType")]
    pub os_type: String,
    /// Processor of the engine's machine.
    pub architecture: String,
    /// Version of this runtime.
    pub version: String,
    /// Version of the engine, when it answers.
    pub server_version: Option<String>,
    /// Kernel, when the engine answers.
    pub kernel_version: Option<String>,
    /// Distribution, when the engine answers.
    pub operating_system: Option<String>,
    /// Processors, when the engine answers.
    pub cpus: Option<i64>,
    /// Memory in bytes, when the engine answers.
    pub total_memory: Option<i64>,
    /// Texts of the owner of the device, beside the others.
    #[serde(flatten)]
    pub additional: BTreeMap<String, String>,
}

/// What is known of the container engine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Engine {
    /// The address of its API, `unix://…`.
    pub uri: String,
    /// Its version when it answers.
    pub version: Option<String>,
    /// Why it does not answer.
    pub problem: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logs_query_survives_its_text() {
        let query = LogsQuery {
            follow: true,
            tail: Some(5),
            since: Some(-3),
            until: Some(9),
            timestamps: false,
        };
        assert_eq!(LogsQuery::parse(&query.to_string()), Ok(query));
        assert_eq!(
            LogsQuery::parse("tail=all&api-version=x"),
            Ok(LogsQuery::default())
        );
        assert_eq!(LogsQuery::parse("tail=many"), Err("tail"));
    }

    /// R13: a list as Azure's daemon writes it.
    #[test]
    fn azures_list_is_read() {
        let list = r#"{"modules":[
            {"id":"id","name":"edgeAgent","type":"docker","config":{"settings":{"image":"reg/agent:1.4"},"env":[]},
             "status":{"startTime":"2024-01-02T03:04:05.678+00:00","runtimeStatus":{"status":"running","description":"running"}}},
            {"id":"id","name":"m","type":"docker","config":{"settings":{"image":"reg/m:1","createOptions":{}},"env":[{"key":"A","value":"b"}]},
             "status":{"exitStatus":{"exitTime":"2024-01-02T03:04:05Z","statusCode":"1"},"runtimeStatus":{"status":"failed"}}},
            {"id":"id","name":"n","type":"docker","config":{"settings":{"image":"reg/n:1"},"env":[]},
             "status":{"runtimeStatus":{"status":"brand-new","description":null}}}]}"#;
        let list: ModuleList = serde_json::from_str(list).unwrap();
        let state = |index: usize| &list.modules[index].status.runtime_status;
        assert_eq!(state(0).description, "running");
        assert_eq!(
            (state(1).status, state(1).description.as_str()),
            (RuntimeStatus::Failed, "")
        );
        assert_eq!(
            (state(2).status, state(2).description.as_str()),
            (RuntimeStatus::Unknown, "")
        );
        assert_eq!(list.modules[1].image(), "reg/m:1");
    }
}
