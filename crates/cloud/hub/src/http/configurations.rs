//! `/configurations` and `/devices/{id}/applyConfigurationContent`.

use ids::{ConfigurationId, DeviceId};
use registry::condition::Condition;
use registry::{ConfigurationDraft, ConfigurationRecord, ContentKind};
use serde_json::Value;
use wire::service_api::configuration::{
    ConfigurationRequest, Content, DeploymentCounts, TestQueries, TestQueriesResult,
};

use crate::error::HubError;
use crate::query::DeviceQuery;
use crate::view;

use super::Call;
use super::answer::Answer;

pub(super) async fn list(call: &Call) -> Result<Answer, HubError> {
    let records = call.hub.registry().list_configurations(&call.name).await?;
    let mut shown = Vec::with_capacity(records.len());
    for record in records.iter().take(call.top().limit) {
        shown.push(document(call, record).await?);
    }
    Ok(Answer::json(Value::Array(shown)))
}

pub(super) async fn get(call: &Call, id: &ConfigurationId) -> Result<Answer, HubError> {
    let record = call.hub.registry().configuration(&call.name, id).await?;
    Ok(Answer::json(document(call, &record).await?).version(&record.etag))
}

/// Creates, or changes everything but the content.
pub(super) async fn put(call: &Call, id: ConfigurationId) -> Result<Answer, HubError> {
    let request = ConfigurationRequest::parse(&call.json()?)?;
    if let Some(other) = request.id.as_ref().filter(|other| **other != id) {
        return Err(HubError::Bad(format!(
            "'id' of the body is \"{other}\", but the path says \"{id}\""
        )));
    }
    let draft = ConfigurationDraft {
        id,
        schema_version: request.schema_version,
        labels: request.labels.map(|labels| labels.into_iter().collect()),
        target_condition: request.target_condition,
        priority: u32::try_from(request.priority).unwrap_or_default(),
        content: request.content.map(|content| content.to_json()),
        metric_queries: request.metrics.into_iter().collect(),
    };
    let if_match = call.if_match()?;
    let (record, created) = call
        .acting()
        .put_configuration(&call.name, draft, &if_match, call.hub.now())
        .await?;
    tracing::info!(hub.name = %call.name, configuration.id = %record.id, created, "configuration written");
    Ok(Answer::json(document(call, &record).await?).version(&record.etag))
}

pub(super) async fn delete(call: &Call, id: &ConfigurationId) -> Result<Answer, HubError> {
    call.acting()
        .delete_configuration(&call.name, id, &call.if_match()?)
        .await?;
    tracing::info!(hub.name = %call.name, configuration.id = %id, "configuration deleted");
    Ok(Answer::empty())
}

/// With the system metrics as they are now.
async fn document(call: &Call, record: &ConfigurationRecord) -> Result<Value, HubError> {
    let counts = match record.kind {
        ContentKind::Deployment | ContentKind::LayeredDeployment => {
            let counted = call.hub.registry().metrics(&call.name, &record.id).await?;
            Some(DeploymentCounts {
                targeted: counted.targeted,
                applied: counted.applied,
                successful: counted.reported_successful,
                failed: counted.reported_failed,
            })
        }
        ContentKind::Device | ContentKind::Module => None,
    };
    let shown = view::configuration(record, counts)?;
    Ok(serde_json::to_value(shown).unwrap_or_default())
}

/// Says what is wrong with a condition and with metrics, before they are used.
pub(super) fn test_queries(call: &Call) -> Result<Answer, HubError> {
    let queries = TestQueries::parse(&call.json()?)?;
    let condition = queries.target_condition.trim();
    let condition_error = match condition {
        "" | "*" => None,
        condition => Condition::parse(condition)
            .err()
            .map(|error| error.to_string()),
    };
    let faulty = queries.metrics.iter().filter_map(|(name, query)| {
        let error = DeviceQuery::parse(query).err()?;
        Some((name.clone(), Value::from(error.to_string())))
    });
    Ok(Answer::of(&TestQueriesResult {
        target_condition_error: condition_error,
        custom_metric_query_errors: faulty.collect(),
    }))
}

/// Writes the content of a deployment to one device, once.
pub(super) async fn apply(call: &Call, device: &DeviceId) -> Result<Answer, HubError> {
    let body = call.json()?;
    let content = Content::from_json(&body)?.to_json();
    call.acting()
        .apply_content(&call.name, device, &content, call.hub.now())
        .await?;
    tracing::info!(hub.name = %call.name, device.id = %device, "configuration content applied");
    Ok(Answer::empty())
}
