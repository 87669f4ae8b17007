//! `/twins/{id}`, `/twins/{id}/methods`, `/devices/query`.

use ids::{DeviceId, Identity, ModuleId};
use registry::{Continuation, TwinPatch, TwinRecord, TwinReplacement};
use serde_json::Value;
use wire::http::{CONTINUATION, ITEM_TYPE, MAX_ITEM_COUNT};
use wire::lenient::Fields;
use wire::service_api::method::MethodRequest;
use wire::twin::TwinChange;

use crate::error::HubError;
use crate::query::{DeviceQuery, QueryError};
use crate::{method, view};

use super::answer::Answer;
use super::{Call, MAX_PAGE};

/// Rows of a page when the caller does not say.
const USUAL_PAGE: usize = 100;

fn identity(call: &Call, device: DeviceId, module: Option<ModuleId>) -> Identity {
    Identity {
        hub: call.name.clone(),
        device,
        module,
    }
}

async fn twin_answer(call: &Call, record: TwinRecord) -> Result<Answer, HubError> {
    let shown = call.hub.shown_of(view::identity(&record, &call.name));
    let twin = view::twin(record, &call.name, shown.await?);
    Ok(Answer::of(&twin).version(&twin.etag))
}

pub(super) async fn get(
    call: &Call,
    device: DeviceId,
    module: Option<ModuleId>,
) -> Result<Answer, HubError> {
    let record = call
        .hub
        .registry()
        .twin(&identity(call, device, module))
        .await?;
    twin_answer(call, record).await
}

/// Merges; `null` deletes.
pub(super) async fn patch(
    call: &Call,
    device: DeviceId,
    module: Option<ModuleId>,
) -> Result<Answer, HubError> {
    let change = TwinChange::parse(&call.json()?)?;
    let patch = TwinPatch {
        tags: change.tags,
        desired: change.desired,
    };
    let identity = identity(call, device, module);
    let if_match = call.if_match()?;
    let record = call
        .acting()
        .patch_twin(&identity, patch, &if_match, call.hub.now())
        .await?;
    twin_answer(call, record).await
}

/// Replaces tags and desired properties; what is absent in the body is removed.
pub(super) async fn replace(
    call: &Call,
    device: DeviceId,
    module: Option<ModuleId>,
) -> Result<Answer, HubError> {
    let change = TwinChange::parse(&call.json()?)?;
    let replacement = TwinReplacement {
        tags: Some(change.tags.unwrap_or_default()),
        desired: Some(change.desired.unwrap_or_default()),
    };
    let identity = identity(call, device, module);
    let if_match = call.if_match()?;
    let record = call
        .acting()
        .replace_twin(&identity, replacement, &if_match, call.hub.now())
        .await?;
    twin_answer(call, record).await
}

pub(super) async fn invoke(
    call: &Call,
    device: DeviceId,
    module: Option<ModuleId>,
) -> Result<Answer, HubError> {
    let request = MethodRequest::parse(&call.body)?;
    let answer = method::invoke(&call.hub, &identity(call, device, module), request).await?;
    Ok(Answer::of(&answer))
}

/// `POST /devices/query`: one page of twins.
pub(super) async fn query(call: &Call) -> Result<Answer, HubError> {
    let body = call.json()?;
    let fields = Fields::of_body(&body)?;
    let text = fields
        .text("query")?
        .ok_or_else(|| fields.error("query", "a query is required"))?;
    let query = DeviceQuery::parse(text)?;
    let limit = wire::http::page_size(call.header(MAX_ITEM_COUNT), USUAL_PAGE, MAX_PAGE);
    let after = wire::http::continuation(call.header(CONTINUATION));
    let after = after
        .map(Continuation::parse)
        .transpose()
        .map_err(QueryError::from)?;
    let (records, next) = query.page(&call.hub, &call.name, after, limit).await?;
    let identity = |record: &TwinRecord| view::identity(record, &call.name);
    let known = call
        .hub
        .shown(records.iter().map(identity).collect())
        .await?;
    let twins = records.into_iter().zip(known).map(|(record, known)| {
        serde_json::to_value(view::twin(record, &call.name, known)).unwrap_or_default()
    });
    let answer = Answer::json(Value::Array(twins.collect())).with(ITEM_TYPE, "twin");
    Ok(match next {
        Some(next) => answer.with(CONTINUATION, &next.to_string()),
        None => answer,
    })
}
