//! `POST /devices/query`: pages of twins that meet a condition.

use registry::{Continuation, Right, TwinRecord};
use rest::{Reply, post};
use wire::http::{CONTINUATION, ITEM_TYPE, MAX_ITEM_COUNT};
use wire::lenient::Fields;

use super::access::Access;
use super::{Call, MAX_PAGE, Route, json};
use crate::error::HubError;
use crate::query::{DeviceQuery, QueryError};
use crate::twin_view;

/// Rows of a page when the caller does not say.
const USUAL_PAGE: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AnyOf(&[Right::ServiceConnect, Right::RegistryRead]);
    vec![post("/devices/query", access, run)]
}

async fn run(call: Call) -> Result<Reply, HubError> {
    let body = json(&call)?;
    let fields = Fields::of_body(&body)?;
    let text = fields
        .text("query")?
        .ok_or_else(|| fields.error("query", "a query is required"))?;
    let query = DeviceQuery::parse(text)?;
    let limit = wire::http::page_size(call.header(MAX_ITEM_COUNT), USUAL_PAGE, MAX_PAGE);
    let after = wire::http::continuation(call.header(CONTINUATION));
    let after = after.map(Continuation::parse).transpose();
    let after = after.map_err(QueryError::from)?;
    let hub = call.permit.hub();
    let (records, next) = query.page(&call.service, hub, after, limit).await?;
    let identity = |record: &TwinRecord| twin_view::identity(record, hub);
    let identities = records.iter().map(identity).collect();
    let known = call.service.connection_views(identities).await?.into_iter();
    let twins = records.into_iter().zip(known);
    let twins = twins.map(|(record, known)| twin_view::twin(record, hub, known));
    let reply = Reply::json(&twins.collect::<Vec<_>>()).with(ITEM_TYPE, "twin");
    Ok(match next {
        Some(next) => reply.with(CONTINUATION, &next.to_string()),
        None => reply,
    })
}
