//! `GET /muster/v1/audit`: what was done and decided on this server, for its owner.

use registry::{AuditQuery, AuditRecord};
use rest::{Reply, get};
use wire::muster_api::audit::AuditDocument;

use super::access::Access;
use super::{Call, Route, provisioning, queries, query_moment, query_text};
use crate::error::ServiceFault;

pub(super) fn routes() -> Vec<Route> {
    vec![get("/muster/v1/audit", Access::Owner, list)]
}

/// Query: `?about=&kind=&from=&to=`; the newest entries come first.
async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let page = queries::page(&call)?;
    let query = AuditQuery {
        from: query_moment(&call, "from")?,
        to: query_moment(&call, "to")?,
        about: query_text(&call, "about"),
        kind: query_text(&call, "kind"),
        after: page.after,
        limit: page.limit,
    };
    let found = provisioning(&call).registry().audit_page(query).await?;
    let rows: Vec<AuditDocument> = found.items.iter().map(describe).collect();
    Ok(Reply::page(&rows, "audit", found.continuation.as_ref()))
}

fn describe(record: &AuditRecord) -> AuditDocument {
    AuditDocument {
        stream: record.stream.to_owned(),
        number: record.number,
        time: record.time,
        body: record.body.clone(),
        hash: record.hash.clone(),
    }
}
