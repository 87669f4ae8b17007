//! `GET /muster/v1/dps/refusals`: the devices that were refused, and why.

use ids::RegistrationId;
use provisioning::{RefusalQuery, RefusalRecord};
use registry::Right;
use rest::{Reply, get};
use wire::muster_api::refusal::RefusalDocument;

use super::access::Access;
use super::{Call, Route, provisioning, queries, query_moment, query_text};
use crate::error::ServiceFault;

pub(super) fn routes() -> Vec<Route> {
    let access = Access::AllOf(&[Right::RegistrationStatusRead]);
    vec![get("/muster/v1/dps/refusals", access, list)]
}

/// Query: `?registrationId=&from=&to=`; the newest refusals come first.
async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let page = queries::page(&call)?;
    let id = query_text(&call, "registrationId").map(|text| RegistrationId::parse(&text));
    let query = RefusalQuery {
        registration_id: id.transpose()?,
        from: query_moment(&call, "from")?,
        to: query_moment(&call, "to")?,
        after: page.after,
        limit: page.limit,
    };
    let found = provisioning(&call).refusals(query).await?;
    let rows: Vec<RefusalDocument> = found.items.iter().map(describe).collect();
    Ok(Reply::page(&rows, "refusal", found.continuation.as_ref()))
}

fn describe(record: &RefusalRecord) -> RefusalDocument {
    RefusalDocument {
        registration_id: record.registration_id.clone(),
        error_code: record.error_code,
        times: record.times,
        first_date_time_utc: record.first,
        last_date_time_utc: record.last,
        report: record.report.clone(),
    }
}
