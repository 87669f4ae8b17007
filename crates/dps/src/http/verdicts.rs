//! Muster's own API about who was or would be let in.

use axum::http::StatusCode;
use ids::{IdError, RegistrationId, Timestamp};
use pki::{Certificate, PresentedChain};
use registry::{RefusalQuery, RefusalRecord, Right};
use wire::http as wire_http;
use wire::sas::UnverifiedToken;
use wire::serving::MAX_BODY;
use wire::verdict::{ExplainRequest, RefusalDocument};

use super::authorize::authorize;
use super::{Incoming, Reply, enrollments};
use crate::Dps;
use crate::error::ServiceFault;
use crate::explain;
use crate::presented::{Presented, Token};
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
    let shown = asked.certificates.as_deref().map(chain).transpose()?;
    let id = match &asked.registration_id {
        Some(id) => id.clone(),
        None => meant(asked.token.as_deref(), shown.as_ref())?,
    };
    let service = operator.registry().service();
    let request = Register {
        id_scope: &service.id_scope,
        registration_id: &id,
        payload: None,
        csr: None,
        presented: Presented {
            chain: shown.as_ref(),
            token: asked.token.as_deref().and_then(Token::of),
            tpm: None,
            from: asked.client_address,
        },
    };
    let (deps, vitals) = (operator.deps(), operator.vitals());
    let explanation = explain::explain(request, deps, vitals, operator.now()).await?;
    Ok(Reply::json(StatusCode::OK, &explanation))
}

fn chain(pem: &str) -> Result<PresentedChain, ServiceFault> {
    let shown = Certificate::read_all(pem.as_bytes())
        .map_err(|error| ServiceFault::Certificates(crate::refusal::with_causes(&error)))?;
    PresentedChain::from_certificates(shown)
        .map_err(|error| ServiceFault::Certificates(error.to_string()))
}

/// Whom a credential is for: a token, which counts before a certificate, ends with the registration id.
fn meant(token: Option<&str>, shown: Option<&PresentedChain>) -> Result<RegistrationId, IdError> {
    let token = token.and_then(|token| UnverifiedToken::parse(token).ok());
    let named = match &token {
        Some(token) => token.resource().rsplit('/').next(),
        None => shown.and_then(|shown| shown.leaf().subject_common_name()),
    };
    RegistrationId::parse(named.unwrap_or_default())
}

/// A chain of ten certificates in PEM inside JSON.
const MAX_EXPLAINED: usize = 8 * MAX_BODY;
