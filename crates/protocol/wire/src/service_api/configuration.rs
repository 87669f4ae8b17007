//! Configurations: edge deployments and device or module configurations.

use ids::{ConfigurationId, Etag, Timestamp};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::lenient::{BodyError, Fields};

mod metrics;

pub use metrics::{Metrics, SystemCounts, TestQueries, TestQueriesResult, system_queries};

/// Most metric queries of one configuration.
pub const MAX_METRICS: usize = 20;
/// Longest target condition or metric query, bytes.
pub const MAX_CONDITION: usize = 8 * 1024;
/// Most labels of one configuration.
pub const MAX_LABELS: usize = 100;

/// The content of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// `modulesContent`: an edge deployment, per module id its `properties.desired…` entries.
    Modules(Map<String, Value>),
    /// `deviceContent`: desired properties of device twins.
    Device(Map<String, Value>),
    /// `moduleContent`: desired properties of module twins.
    Module(Map<String, Value>),
}

type Kind = fn(Map<String, Value>) -> Content;

impl Content {
    /// Reads a `content` member (or the body of `applyConfigurationContent`).
    ///
    /// # Errors
    /// When it holds none or several of the three kinds.
    pub fn parse(fields: &Fields<'_>) -> Result<Self, BodyError> {
        const KINDS: &str = "modulesContent, deviceContent and moduleContent";
        let kinds: [(&str, Kind); 3] = [
            ("modulesContent", Self::Modules),
            ("deviceContent", Self::Device),
            ("moduleContent", Self::Module),
        ];
        let mut given = Vec::new();
        for (name, kind) in kinds {
            given.extend(fields.object(name)?.map(|inner| kind(inner.map().clone())));
        }
        // An empty object beside the real content is what some clients send for "not this kind".
        if given.iter().any(|content| !content.entries().is_empty()) {
            given.retain(|content| !content.entries().is_empty());
        }
        if given.len() > 1 && !given[0].entries().is_empty() {
            return Err(fields.error(
                "modulesContent",
                format!("only one of {KINDS} may be given"),
            ));
        }
        given
            .into_iter()
            .next()
            .ok_or_else(|| fields.error("modulesContent", format!("one of {KINDS} is required")))
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(value: &Value) -> Result<Self, BodyError> {
        Self::parse(&Fields::of_body(value)?)
    }

    /// The entries, whatever the kind.
    #[must_use]
    pub fn entries(&self) -> &Map<String, Value> {
        match self {
            Self::Modules(map) | Self::Device(map) | Self::Module(map) => map,
        }
    }

    /// The JSON form, `{"modulesContent": {…}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Self::Modules(map) => json!({"modulesContent": map}),
            Self::Device(map) => json!({"deviceContent": map}),
            Self::Module(map) => json!({"moduleContent": map}),
        }
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// The body of `PUT /configurations/{id}`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationRequest {
    /// `id`, to be compared with the path.
    pub id: Option<ConfigurationId>,
    /// `schemaVersion`, stored and answered as it was sent.
    pub schema_version: Option<String>,
    /// `labels`, in the order given.
    pub labels: Option<Vec<(String, String)>>,
    /// `content`; clients that update send it back unchanged.
    pub content: Option<Content>,
    /// `targetCondition`; empty targets nothing.
    pub target_condition: String,
    /// `priority`, 0 to 2147483647; larger wins.
    pub priority: i32,
    /// `metrics.queries`, in the order given.
    pub metrics: Vec<(String, String)>,
}

impl ConfigurationRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When a member has the wrong form or is too large; says which.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let id = fields.text("id")?.map(ConfigurationId::parse).transpose();
        let labels = fields.text_map("labels")?;
        if labels
            .as_ref()
            .is_some_and(|labels| labels.len() > MAX_LABELS)
        {
            return Err(fields.error("labels", format!("at most {MAX_LABELS} labels are allowed")));
        }
        Ok(Self {
            id: id.map_err(|error| fields.error("id", error.to_string()))?,
            schema_version: fields.text("schemaVersion")?.map(str::to_owned),
            labels,
            content: fields
                .object("content")?
                .map(|content| Content::parse(&content))
                .transpose()?,
            target_condition: bounded(
                &fields,
                "targetCondition",
                fields.text("targetCondition")?.unwrap_or_default(),
            )?,
            priority: priority(&fields)?,
            metrics: metrics(&fields)?,
        })
    }
}

fn priority(fields: &Fields<'_>) -> Result<i32, BodyError> {
    let given = fields.whole("priority")?.unwrap_or_default();
    i32::try_from(given)
        .ok()
        .filter(|priority| *priority >= 0)
        .ok_or_else(|| fields.error("priority", format!("{given} is outside 0 to {}", i32::MAX)))
}

fn metrics(fields: &Fields<'_>) -> Result<Vec<(String, String)>, BodyError> {
    let Some(metrics) = fields.object("metrics")? else {
        return Ok(Vec::new());
    };
    let queries = metrics.text_map("queries")?.unwrap_or_default();
    if queries.len() > MAX_METRICS {
        return Err(metrics.error(
            "queries",
            format!("at most {MAX_METRICS} metrics are allowed"),
        ));
    }
    for (name, query) in &queries {
        bounded(&metrics, name, query)?;
    }
    Ok(queries)
}

fn bounded(fields: &Fields<'_>, name: &str, text: &str) -> Result<String, BodyError> {
    if text.len() > MAX_CONDITION {
        return Err(fields.error(
            name,
            format!(
                "{} bytes are too long, {MAX_CONDITION} at most are allowed",
                text.len()
            ),
        ));
    }
    Ok(text.to_owned())
}

/// A configuration as the hub answers. Every member that `az iot` dereferences without
/// guarding is always present.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// Lower-case name of the configuration.
    pub id: ConfigurationId,
    /// Echo of what the creator sent.
    pub schema_version: Option<String>,
    /// Labels; `null` when none were given.
    pub labels: Option<Vec<(String, String)>>,
    /// `content`: what the targeted devices get.
    pub content: Content,
    /// The condition that selects devices.
    pub target_condition: String,
    /// `createdTimeUtc`: when it was created.
    pub created: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
    /// Of several configurations that target a device, the one with the larger number applies.
    pub priority: i32,
    /// What the hub counts by itself.
    pub system_metrics: Metrics,
    /// What the creator asked to count.
    pub metrics: Metrics,
    /// Version of the record.
    pub etag: Etag,
}

impl Serialize for Configuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(12))?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("schemaVersion", &self.schema_version)?;
        map.serialize_entry("labels", &self.labels.as_deref().map(text_object))?;
        map.serialize_entry("content", &self.content)?;
        map.serialize_entry("contentType", "assignment")?;
        map.serialize_entry("targetCondition", &self.target_condition)?;
        map.serialize_entry("createdTimeUtc", &self.created)?;
        map.serialize_entry("lastUpdatedTimeUtc", &self.updated)?;
        map.serialize_entry("priority", &self.priority)?;
        map.serialize_entry("systemMetrics", &self.system_metrics)?;
        map.serialize_entry("metrics", &self.metrics)?;
        map.serialize_entry("etag", &self.etag)?;
        map.end()
    }
}

fn text_object(pairs: &[(String, String)]) -> Value {
    Value::Object(
        pairs
            .iter()
            .map(|(name, text)| (name.clone(), json!(text)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn az_create() -> Value {
        json!({"id":"dep1","schemaVersion":"2.0","content":{"modulesContent":{"$edgeAgent":{"properties.desired":{}},"$edgeHub":{}}},
            "targetCondition":"tags.site='a'","priority":"3","metrics":{},"etag":"*"})
    }

    #[test]
    fn what_az_sends_is_understood() {
        let request = ConfigurationRequest::parse(&az_create()).unwrap();
        assert_eq!(
            (request.priority, request.labels, request.metrics.len()),
            (3, None, 0)
        );
        assert!(matches!(request.content, Some(Content::Modules(_))));
    }

    #[test]
    fn wrong_members_are_named() {
        for (member, value, place) in [
            ("priority", json!(-1), "priority"),
            ("id", json!("UPPER"), "id"),
            ("content", json!({}), "content.modulesContent"),
            (
                "targetCondition",
                json!("x".repeat(MAX_CONDITION + 1)),
                "targetCondition",
            ),
            ("labels", json!({"a": 1}), "labels.a"),
        ] {
            let mut body = az_create();
            body[member] = value;
            assert_eq!(ConfigurationRequest::parse(&body).unwrap_err().path, place);
        }
    }
}
