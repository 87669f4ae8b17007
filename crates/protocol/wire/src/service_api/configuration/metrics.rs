use ids::ConfigurationId;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Content, bounded, text_object};
use crate::lenient::{BodyError, Fields};

/// Queries and their latest results, both always present.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Name and text of each query.
    pub queries: Vec<(String, String)>,
    /// Name and number of rows.
    pub results: Vec<(String, u64)>,
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let results: Map<String, Value> = self
            .results
            .iter()
            .map(|(name, rows)| (name.clone(), json!(rows)))
            .collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("results", &results)?;
        map.serialize_entry("queries", &text_object(&self.queries))?;
        map.end()
    }
}

const TARGETED: &str = "targetedCount";
const APPLIED: &str = "appliedCount";
const SUCCESSFUL: &str = "reportedSuccessfulCount";
const FAILED: &str = "reportedFailedCount";

/// What a hub counts of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemCounts {
    /// Devices, or modules of a module configuration, that match the target condition.
    pub targeted: u64,
    /// Of these, those whose result it is part of.
    pub applied: u64,
    /// Of a deployment: of these, those whose agent reported the current version as done.
    pub successful: u64,
    /// Of a deployment: of these, those whose agent reported the current version as failed.
    pub failed: u64,
}

impl SystemCounts {
    /// `systemMetrics.results`, by the kind of content: only deployments have reports.
    #[must_use]
    pub fn results(self, content: &Content) -> Vec<(String, u64)> {
        let all = [
            (TARGETED, self.targeted),
            (APPLIED, self.applied),
            (SUCCESSFUL, self.successful),
            (FAILED, self.failed),
        ];
        let counted = match content {
            Content::Modules(_) => all.as_slice(),
            Content::Device(_) | Content::Module(_) => &all[..2],
        };
        let owned = |(name, rows): &(&str, u64)| ((*name).to_owned(), *rows);
        counted.iter().map(owned).collect()
    }
}

/// `systemMetrics.queries` of a configuration, by the kind of its content.
#[must_use]
pub fn system_queries(
    id: &ConfigurationId,
    content: &Content,
    target_condition: &str,
) -> Vec<(String, String)> {
    let queries = match content {
        Content::Modules(_) => deployment_queries(id, target_condition),
        Content::Device(_) => {
            let devices = "select deviceId from devices where";
            vec![
                (TARGETED, format!("{devices} {}", clause(target_condition))),
                (APPLIED, format!("{devices} {}", applied(id))),
            ]
        }
        Content::Module(_) => {
            let modules = "select deviceId, moduleId from devices.modules where";
            let targeted = format!("select deviceId, moduleId {}", target_condition.trim());
            vec![
                (TARGETED, targeted),
                (APPLIED, format!("{modules} {}", applied(id))),
            ]
        }
    };
    let owned = |(name, query): (&str, String)| (name.to_owned(), query);
    queries.into_iter().map(owned).collect()
}

fn deployment_queries(id: &ConfigurationId, target_condition: &str) -> Vec<(&'static str, String)> {
    let edge = "select deviceId from devices where capabilities.iotEdge = true";
    let targeted = match target_condition.trim() {
        "*" => edge.to_owned(),
        condition => format!("{edge} and ({})", clause(condition)),
    };
    let agents = "select deviceId from devices.modules where moduleId = '$edgeAgent'";
    let applied = format!("{agents} and {}", applied(id));
    let current = "properties.desired.$version = properties.reported.lastDesiredVersion";
    let code = "properties.reported.lastDesiredStatus.code";
    vec![
        (TARGETED, targeted),
        (APPLIED, applied.clone()),
        (
            SUCCESSFUL,
            format!("{applied} and {current} and {code} = 200"),
        ),
        (FAILED, format!("{applied} and {current} and {code} != 200")),
    ]
}

fn applied(id: &ConfigurationId) -> String {
    format!("configurations.[[{id}]].status = 'Applied'")
}

/// A target condition as a clause: an empty one targets nobody, `*` everybody.
fn clause(target_condition: &str) -> &str {
    match target_condition.trim() {
        "" => "1 = 0",
        "*" => "1 = 1",
        condition => condition,
    }
}

/// The body of `POST /configurations/testQueries`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TestQueries {
    /// `targetCondition`: the condition to check.
    pub target_condition: String,
    /// `customMetricQueries`: names and queries, in the order sent.
    pub metrics: Vec<(String, String)>,
}

impl TestQueries {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        Ok(Self {
            target_condition: bounded(
                &fields,
                "targetCondition",
                fields.text("targetCondition")?.unwrap_or_default(),
            )?,
            metrics: fields.text_map("customMetricQueries")?.unwrap_or_default(),
        })
    }
}

/// The answer of `testQueries`: an error text for what is wrong, nothing for what is right.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestQueriesResult {
    /// What is wrong with the target condition.
    pub target_condition_error: Option<String>,
    /// What is wrong with each faulty metric.
    pub custom_metric_query_errors: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_target_keeps_its_precedence() {
        let id = ConfigurationId::parse("dep1").unwrap();
        let queries = system_queries(
            &id,
            &Content::Modules(Map::new()),
            "tags.a='1' OR tags.b='2'",
        );
        let none = system_queries(&id, &Content::Modules(Map::new()), " ");
        assert!(none[0].1.ends_with("and (1 = 0)"));
        assert_eq!(
            queries[0].1,
            "select deviceId from devices where capabilities.iotEdge = true and (tags.a='1' OR \
             tags.b='2')"
        );
    }
}
