//! The operations on `/configurations` and `/devices/{id}/applyConfigurationContent`.

use ids::{ConfigurationId, DeviceId};
use registry::condition::Condition;
use registry::query::Query;
use registry::{ConfigurationDraft, ConfigurationError, ConfigurationRecord, Right};
use rest::{Reply, delete, get, post, put};
use serde_json::Value;
use wire::http::WARNING;
use wire::lenient::BodyError;
use wire::service_api::configuration::{
    Configuration, ConfigurationRequest, Content, Metrics, SystemCounts, TestQueries,
    TestQueriesResult, system_queries,
};

use super::access::Access;
use super::{Call, Route, acting, json, require_same, top};
use crate::error::HubError;

/// Longest header with warnings, bytes.
const MAX_WARNING: usize = 4096;

pub(super) fn routes() -> Vec<Route> {
    use Right::{RegistryRead, RegistryWrite, ServiceConnect};
    let reads = Access::AnyOf(&[ServiceConnect, RegistryRead]);
    let writes = Access::AnyOf(&[ServiceConnect, RegistryWrite]);
    vec![
        get("/configurations", reads, list),
        // Only POST: a configuration may be called "testqueries".
        post("/configurations/testQueries", reads, test_queries),
        get("/configurations/{configuration}", reads, read),
        put("/configurations/{configuration}", writes, write),
        delete("/configurations/{configuration}", writes, remove),
        post("/devices/{device}/applyConfigurationContent", writes, apply),
    ]
}

async fn list(call: Call) -> Result<Reply, HubError> {
    let records = call
        .service
        .registry()
        .list_configurations(call.permit.hub())
        .await?;
    let mut rows = Vec::with_capacity(records.len());
    for record in records.iter().take(top(&call).limit) {
        match document(&call, record).await {
            Ok(row) => rows.push(row),
            // It was deleted meanwhile.
            Err(HubError::Configuration(ConfigurationError::NotFound(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Reply::json(&rows))
}

async fn read(call: Call, id: ConfigurationId) -> Result<Reply, HubError> {
    let record = call
        .service
        .registry()
        .configuration(call.permit.hub(), &id)
        .await?;
    Ok(Reply::json(&document(&call, &record).await?).with_etag(&record.etag))
}

/// Creates, or changes everything but the content.
async fn write(call: Call, id: ConfigurationId) -> Result<Reply, HubError> {
    let request = ConfigurationRequest::parse(&json(&call)?)?;
    let named = request.id.as_ref().map(ConfigurationId::as_str);
    require_same("id", id.as_str(), named)?;
    let draft = ConfigurationDraft {
        id,
        schema_version: request.schema_version,
        labels: request.labels.map(|labels| labels.into_iter().collect()),
        target_condition: request.target_condition,
        priority: u32::try_from(request.priority).unwrap_or_default(),
        content: request.content.map(|content| content.to_json()),
        metric_queries: request.metrics.into_iter().collect(),
    };
    let warnings = draft.content.as_ref().map(registry::resolve::warnings);
    let if_match = call.if_match()?.into();
    let (record, created) = acting(&call)
        .put_configuration(call.permit.hub(), draft, &if_match, call.service.now())
        .await?;
    let (hub, id) = (call.permit.hub(), &record.id);
    tracing::info!(hub.name = %hub, configuration.id = %id, created, "configuration written");
    let reply = Reply::json(&document(&call, &record).await?).with_etag(&record.etag);
    Ok(with_warnings(reply, &warnings.unwrap_or_default()))
}

/// What is accepted and probably not meant, as far as a header takes it.
fn with_warnings(reply: Reply, warnings: &[String]) -> Reply {
    if warnings.is_empty() {
        return reply;
    }
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    let text = warnings.join("; ").replace(|c| !is_plain(c), "?");
    reply.with(WARNING, text.get(..MAX_WARNING).unwrap_or(&text))
}

async fn remove(call: Call, id: ConfigurationId) -> Result<Reply, HubError> {
    let if_match = call.if_match()?.into();
    acting(&call)
        .delete_configuration(call.permit.hub(), &id, &if_match)
        .await?;
    tracing::info!(hub.name = %call.permit.hub(), configuration.id = %id, "configuration deleted");
    Ok(Reply::no_content())
}

/// With the system metrics as they are now.
async fn document(call: &Call, record: &ConfigurationRecord) -> Result<Value, HubError> {
    let registry = call.service.registry();
    let counted = registry.metrics(call.permit.hub(), &record.id).await?;
    let counts = SystemCounts {
        targeted: counted.targeted,
        applied: counted.applied,
        successful: counted.reported_successful,
        failed: counted.reported_failed,
    };
    let custom = registry.metric_results(call.permit.hub(), &record.id)?;
    let custom = custom.unwrap_or_default().into_iter().collect();
    let described = describe(record, counts, custom)?;
    Ok(serde_json::to_value(described).unwrap_or_default())
}

/// Says what is wrong with a condition and with metrics, before they are used.
async fn test_queries(call: Call) -> Result<Reply, HubError> {
    let queries = TestQueries::parse(&json(&call)?)?;
    let condition = queries.target_condition.trim();
    let condition_error = match condition {
        "" | "*" => None,
        condition => faulty_condition(condition),
    };
    let faulty = queries.metrics.iter().filter_map(|(name, query)| {
        let error = Query::parse(query).err()?;
        Some((name.clone(), Value::from(error.to_string())))
    });
    Ok(Reply::json(&TestQueriesResult {
        target_condition_error: condition_error,
        custom_metric_query_errors: faulty.collect(),
    }))
}

/// What is wrong with a condition of devices, or of modules when it begins with `FROM`.
fn faulty_condition(condition: &str) -> Option<String> {
    let first = condition.split_whitespace().next().unwrap_or_default();
    let parsed = match first.eq_ignore_ascii_case("FROM") {
        true => Condition::parse_of_modules(condition),
        false => Condition::parse(condition),
    };
    parsed.err().map(|error| error.to_string())
}

/// Writes the content of a deployment to one device, once.
async fn apply(call: Call, device: DeviceId) -> Result<Reply, HubError> {
    let body = json(&call)?;
    let content = Content::from_json(&body)?.to_json();
    let warnings = registry::resolve::warnings(&content);
    acting(&call)
        .apply_content(call.permit.hub(), &device, &content, call.service.now())
        .await?;
    let hub = call.permit.hub();
    tracing::info!(hub.name = %hub, device.id = %device, "configuration content applied");
    Ok(with_warnings(Reply::no_content(), &warnings))
}

fn describe(
    record: &ConfigurationRecord,
    counts: SystemCounts,
    custom: Vec<(String, u64)>,
) -> Result<Configuration, BodyError> {
    let content = Content::from_json(&record.content)?;
    Ok(Configuration {
        id: record.id.clone(),
        schema_version: record.schema_version.clone(),
        labels: record
            .labels
            .clone()
            .map(|labels| labels.into_iter().collect()),
        target_condition: record.target_condition.clone(),
        created: record.created,
        updated: record.updated,
        priority: i32::try_from(record.priority).unwrap_or(i32::MAX),
        system_metrics: Metrics {
            queries: system_queries(&record.id, &content, &record.target_condition),
            results: counts.results(&content),
        },
        metrics: Metrics {
            queries: record.metric_queries.clone().into_iter().collect(),
            results: custom,
        },
        etag: record.etag.clone(),
        content,
    })
}
