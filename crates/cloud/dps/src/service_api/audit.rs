//! What was done and decided on this server, for its owner.

use ids::Timestamp;
use registry::{AuditQuery, AuditRecord, Right};
use wire::http as wire_http;
use wire::muster_api::explain::AuditDocument;

use super::enrollments;
use super::serving::Owner;
use crate::error::ServiceFault;
use crate::http::{Incoming, Reply};
use crate::service::Dps;
use crate::service_api::access::authorize;

/// `GET /muster/v1/audit?about=&kind=&from=&to=`, newest first.
pub(crate) async fn list(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let owner = Owner::of(&operator)?;
    let page = enrollments::page(&request)?;
    let query = request.parts.uri.query();
    let text = |name: &str| wire_http::query_value(query, name).filter(|text| !text.is_empty());
    let moment = |name: &'static str| {
        let parsed = text(name).map(|text| Timestamp::parse(&text));
        parsed.transpose().map_err(ServiceFault::from)
    };
    let query = AuditQuery {
        from: moment("from")?,
        to: moment("to")?,
        about: text("about"),
        kind: text("kind"),
        after: page.after,
        limit: page.limit,
    };
    let found = owner
        .operator()
        .registry()
        .registry()
        .audit_page(query)
        .await?;
    let rows: Vec<AuditDocument> = found.items.iter().map(document).collect();
    Ok(enrollments::paged(&rows, &found, "audit"))
}

fn document(record: &AuditRecord) -> AuditDocument {
    AuditDocument {
        book: record.book.to_owned(),
        number: record.number,
        time: record.time,
        body: record.body.clone(),
        hash: record.hash.clone(),
    }
}
