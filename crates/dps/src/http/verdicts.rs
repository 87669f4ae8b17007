//! Muster's own API about who was or would be let in.

use axum::http::StatusCode;
use ids::{RegistrationId, Timestamp};
use pki::{Certificate, PresentedChain};
use registry::{RefusalQuery, RefusalRecord, Right};
use wire::http as wire_http;
use wire::serving::MAX_BODY;
use wire::verdict::{ExplainRequest, RefusalDocument};

use super::authorize::authorize;
use super::{Incoming, Reply, enrollments};
use crate::Dps;
use crate::error::ServiceFault;
use crate::explain;
use crate::presented::Presented;
use crate::register::Register;
use crate::serving::ServingFault;

/// `GET …/refusals?registrationId=&from=&to=`, newest first.
pub(super) async fn refusals(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::RegistrationStatusRead)?;
    let page = enrollments::page(&request)?;
    let query = request.parts.uri.query();
    let text = |name: &str| wire_http::query_value(query, name).filter(|text| !text.is_empty());
    let moment = |name: &'static str| {
        let parsed = text(name).map(|text| Timestamp::parse(&text));
        parsed.transpose().map_err(ServiceFault::from)
    };
    let id = text("registrationId").map(|text| RegistrationId::parse(&text));
    let query = RefusalQuery {
        registration_id: id.transpose()?,
        from: moment("from")?,
        to: moment("to")?,
        after: page.after,
        limit: page.limit,
    };
    let found = operator.registry().refusals(query).await?;
    let rows: Vec<RefusalDocument> = found.items.iter().map(document).collect();
    Ok(enrollments::paged(&rows, &found, "refusal"))
}

fn document(record: &RefusalRecord) -> RefusalDocument {
    RefusalDocument {
        registration_id: record.registration_id.clone(),
        error_code: record.error_code,
        times: record.times,
        first_date_time_utc: record.first,
        last_date_time_utc: record.last,
        report: record.report.clone(),
    }
}

/// `POST …/explain`: changes nothing, and tells as much as enrollments and registrations do.
pub(super) async fn explain(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentRead)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusRead)?;
    let body = request.read(MAX_EXPLAINED).await?;
    let asked: ExplainRequest = wire::serving::parse(&body).map_err(ServingFault::from)?;
    let shown = Certificate::parse_pem_bundle(&asked.certificates)
        .map_err(|error| ServiceFault::Certificates(crate::refusal::with_causes(&error)))?;
    let shown = PresentedChain::from_certificates(shown)
        .map_err(|error| ServiceFault::Certificates(error.to_string()))?;
    let id = match asked.registration_id {
        Some(id) => id,
        None => RegistrationId::parse(shown.leaf().subject_common_name().unwrap_or_default())?,
    };
    let service = operator.registry().service();
    let request = Register {
        id_scope: &service.id_scope,
        registration_id: &id,
        payload: None,
        csr: None,
        presented: Presented {
            chain: Some(&shown),
            ..Presented::default()
        },
    };
    let (deps, vitals) = (operator.deps(), operator.vitals());
    let verdict = explain::explain(request, deps, vitals, operator.now()).await?;
    Ok(Reply::json(StatusCode::OK, &verdict))
}

/// A chain of ten certificates in PEM inside JSON.
const MAX_EXPLAINED: usize = 8 * MAX_BODY;
