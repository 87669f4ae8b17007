//! `POST /devices/query`: pages of twins, of members of twins, of totals, and of what jobs did.

use std::sync::Arc;

use registry::query::Query;
use registry::{Continuation, PageRequest, QueryError, QueryRows, Right, TwinRecord};
use rest::{Reply, post};
use serde_json::Value;
use wire::http::{CONTINUATION, ITEM_TYPE, MAX_ITEM_COUNT};
use wire::lenient::Fields;

use super::access::Access;
use super::{Call, MAX_PAGE, Route, json};
use crate::error::HubError;
use crate::twin_view;

/// Rows of a page when the caller does not say.
const USUAL_PAGE: usize = 100;

/// How the rows were found: an index or a scan.
const PLAN: &str = "x-muster-query-plan";

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
    let query = Arc::new(Query::parse(text).map_err(QueryError::from)?);
    let limit = wire::http::page_size(call.header(MAX_ITEM_COUNT), USUAL_PAGE, MAX_PAGE);
    let after = wire::http::continuation(call.header(CONTINUATION));
    let after = after.map(Continuation::parse).transpose();
    let after = after.map_err(QueryError::from)?;
    let page = PageRequest { after, limit };
    let (hub, connections) = (call.permit.hub(), call.service.live_connections());
    let found = call.service.registry();
    let found = found.query(hub, &query, &connections, &page).await?;
    let reply = match found.rows {
        QueryRows::Twins(records) => {
            Reply::json(&twins(&call, records).await?).with(ITEM_TYPE, "twin")
        }
        QueryRows::Raw(rows) => Reply::json(&rows).with(ITEM_TYPE, "raw"),
        QueryRows::Jobs(rows) => Reply::json(&rows).with(ITEM_TYPE, "deviceJob"),
    };
    let reply = reply.with(PLAN, &found.plan);
    Ok(match found.continuation {
        Some(next) => reply.with(CONTINUATION, &next.to_string()),
        None => reply,
    })
}

async fn twins(call: &Call, records: Vec<TwinRecord>) -> Result<Vec<Value>, HubError> {
    let hub = call.permit.hub();
    let identity = |record: &TwinRecord| twin_view::identity(record, hub);
    let identities = records.iter().map(identity).collect();
    let known = call.service.connection_views(identities).await?.into_iter();
    let twins = records.into_iter().zip(known);
    let twins = twins.map(|(record, known)| twin_view::twin(record, hub, known));
    Ok(twins
        .map(|twin| serde_json::to_value(twin).unwrap_or_default())
        .collect())
}
