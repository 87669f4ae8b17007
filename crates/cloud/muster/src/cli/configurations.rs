//! What `muster hub configuration` and `muster edge deployment` share: both are configurations of a
//! hub, with different content.

use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use ids::{ConfigurationId, IdError};
use reqwest::Method;
use serde_json::Value;

use super::argument::object;
use super::exact::require_exact;
use super::json_file::read_text;
use super::{Column, Invocation, output};
use crate::service_client::request_bodies::{self, NewConfiguration};
use crate::service_client::{Call, CommandError, ServiceClient};

/// Flags that create a configuration, beside its name.
#[derive(Debug, clap::Args)]
pub struct Creation {
    /// A file with the content, or its JSON.
    #[arg(long, short = 'k', visible_alias = "cn")]
    content: String,
    /// What it is for: a condition over deviceId, tags and reported properties; * for all; FROM
    /// devices.modules WHERE … for modules.
    #[arg(long, short = 't', visible_alias = "tc", default_value = "")]
    target_condition: String,
    /// Of several that target the same, the one with the highest priority applies.
    #[arg(long, visible_alias = "pri", default_value_t = 0)]
    priority: u32,
    /// Labels, as a JSON object of texts.
    #[arg(long, visible_alias = "lab")]
    labels: Option<String>,
    /// Custom metrics, as JSON or a file with it: {"queries": {"name": "SELECT …"}}.
    #[arg(long, short = 'm')]
    metrics: Option<String>,
}

/// Flags that change a configuration. Its content cannot change.
#[derive(Debug, clap::Args)]
pub struct Change {
    #[arg(long, short = 't', visible_alias = "tc")]
    target_condition: Option<String>,
    #[arg(long, visible_alias = "pri")]
    priority: Option<u32>,
    /// All its labels from now on, as a JSON object of texts.
    #[arg(long, visible_alias = "lab")]
    labels: Option<String>,
    /// All its custom metrics from now on: {"queries": {"name": "SELECT …"}}.
    #[arg(long, short = 'm')]
    metrics: Option<String>,
    /// Only when it still has this etag.
    #[arg(long, short = 'e')]
    etag: Option<String>,
}

/// Which metric to evaluate.
#[derive(Debug, clap::Args)]
pub struct Metric {
    /// The metric's name.
    #[arg(long, short = 'm')]
    metric_id: String,
    /// Whether the hub or the operator defined it.
    #[arg(long, visible_alias = "mt", default_value = "user")]
    metric_type: MetricType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricType {
    System,
    User,
}

/// Which of the configurations a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Content for modules of Edge devices.
    Deployment,
    /// Settings of devices or modules.
    Settings,
}

/// The id of a configuration, for clap: capital letters become small ones.
pub fn configuration_id(text: &str) -> Result<String, IdError> {
    ConfigurationId::parse(&text.to_ascii_lowercase()).map(|id| id.to_string())
}

pub async fn create(client: &ServiceClient, id: &str, flags: Creation) -> anyhow::Result<Value> {
    let content = read_json("--content", &flags.content)?;
    let body = request_bodies::configuration(NewConfiguration {
        id,
        content: &content,
        target_condition: &flags.target_condition,
        priority: flags.priority,
        labels: object("--labels", flags.labels)?,
        metrics: metrics(flags.metrics)?,
    });
    let path = ["configurations", id];
    let put = Call::new(Method::PUT, &path).body(&body);
    Ok(client.call(put).await?)
}

pub async fn show(client: &ServiceClient, id: &str) -> anyhow::Result<Value> {
    Ok(client
        .call(Call::new(Method::GET, &["configurations", id]))
        .await?)
}

pub async fn list(client: &ServiceClient, kind: Kind, top: Option<usize>) -> anyhow::Result<Value> {
    let all = client
        .call(Call::new(Method::GET, &["configurations"]))
        .await?;
    let of_kind = |configuration: &&Value| {
        let deploys = !configuration["content"]["modulesContent"].is_null();
        deploys == (kind == Kind::Deployment)
    };
    let found = all.as_array().into_iter().flatten().filter(of_kind);
    let found = found.take(top.unwrap_or(usize::MAX)).cloned();
    Ok(found.collect::<Vec<_>>().into())
}

/// Writes a configuration again with the given fields changed.
pub async fn update(client: &ServiceClient, id: &str, change: Change) -> anyhow::Result<Value> {
    let path = ["configurations", id];
    let mut body = client.call(Call::new(Method::GET, &path)).await?;
    if let Some(condition) = change.target_condition {
        body["targetCondition"] = condition.into();
    }
    if let Some(priority) = change.priority {
        body["priority"] = priority.into();
    }
    if let Some(labels) = object("--labels", change.labels)? {
        body["labels"] = labels.into();
    }
    if let Some(metrics) = metrics(change.metrics)? {
        body["metrics"] = metrics;
    }
    let etag = change.etag.unwrap_or_else(|| "*".to_owned());
    let put = Call::new(Method::PUT, &path).body(&body).if_match(&etag);
    Ok(client.call(put).await?)
}

pub async fn delete(
    client: &ServiceClient,
    id: &str,
    etag: Option<String>,
) -> anyhow::Result<Value> {
    let etag = etag.unwrap_or_else(|| "*".to_owned());
    let path = ["configurations", id];
    let delete = Call::new(Method::DELETE, &path).if_match(&etag);
    Ok(client.call(delete).await?)
}

/// Evaluates the query of a metric now.
pub async fn show_metric(
    client: &ServiceClient,
    id: &str,
    metric: Metric,
) -> anyhow::Result<Value> {
    let configuration = show(client, id).await?;
    let member = match metric.metric_type {
        MetricType::System => "systemMetrics",
        MetricType::User => "metrics",
    };
    let queries = &configuration[member]["queries"];
    let Some(query) = queries[&metric.metric_id].as_str() else {
        let names = queries.as_object().into_iter().flat_map(|all| all.keys());
        let names: Vec<_> = names.map(String::as_str).collect();
        let text = format!(
            "{id} has no metric {:?} in {member}; it has: {}",
            metric.metric_id,
            names.join(", ")
        );
        return Err(CommandError::Usage(text).into());
    };
    let body = request_bodies::query(query);
    let rows = client
        .list(&["devices", "query"], Some(&body), None)
        .await?;
    Ok(serde_json::json!({"metric": metric.metric_id, "query": query, "result": rows}))
}

/// The columns of a table of configurations.
const COLUMNS: &[Column] = &[
    ("Id", "/id"),
    ("Priority", "/priority"),
    ("TargetCondition", "/targetCondition"),
    ("Targeted", "/systemMetrics/results/targetedCount"),
    ("Applied", "/systemMetrics/results/appliedCount"),
    (
        "Succeeded",
        "/systemMetrics/results/reportedSuccessfulCount",
    ),
    ("Failed", "/systemMetrics/results/reportedFailedCount"),
];

pub fn print(invocation: &Invocation, answer: &Value) -> anyhow::Result<()> {
    Ok(output::print(invocation.output, answer, COLUMNS)?)
}

/// The member `metrics`: what operators keep in files has its name around it, or not.
fn metrics(given: Option<String>) -> anyhow::Result<Option<Value>> {
    let given = object("--metrics", given)?;
    Ok(given.map(|mut given| match given.shift_remove("metrics") {
        Some(inner) => inner,
        None => given.into(),
    }))
}

/// Reads JSON from a flag, or from the file that it names.
pub fn read_json(flag: &str, text: &str) -> anyhow::Result<Value> {
    let inline = text.trim_start().starts_with(['{', '[']);
    let (json, origin) = match inline {
        true => (text.to_owned(), flag.to_owned()),
        false => {
            let json = read_text(Path::new(text)).with_context(|| flag.to_owned())?;
            (json, text.to_owned())
        }
    };
    require_exact(&origin, &json)?;
    serde_json::from_str(&json)
        .map_err(|error| CommandError::Usage(format!("{origin} is not JSON: {error}")).into())
}
