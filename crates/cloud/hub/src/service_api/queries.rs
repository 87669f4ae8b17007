//! `POST /devices/query`: pages of twins, of members of twins, of totals, and of what jobs did.

use std::sync::Arc;

use registry::query::Query;
use registry::{Continuation, FoundTwin, PageRequest, QueryError, QueryRows, Right};
use rest::{Reply, post};
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
        QueryRows::Twins(found) => {
            let twin = |found: FoundTwin| twin_view::twin(found.record, hub, found.connection);
            let twins: Vec<_> = found.into_iter().map(twin).collect();
            Reply::json(&twins).with(ITEM_TYPE, "twin")
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
