//! Muster's own API about who was or would be let in.

use axum::http::StatusCode;
use ids::{IdError, IdScope, RegistrationId, Timestamp};
use pki::{Certificate, PeerChain, PresentedChain, SeenIssuers};
use provisioning::{RefusalQuery, RefusalRecord};
use registry::Right;
use wire::http as wire_http;
use wire::muster_api::explain::{ExplainRequest, RefusalDocument};
use wire::muster_api::serving::MAX_BODY;
use wire::sas::{SasError, UnverifiedToken};

use super::enrollments;
use crate::error::ServiceFault;
use crate::http::{Incoming, Reply};
use crate::registration::explain;
use crate::registration::presented::{Presented, Token};
use crate::registration::refusal::RefusalReason;
use crate::registration::request::{Register, RegisterBody};
use crate::service::Dps;
use crate::service_api::access::authorize;
use crate::service_api::linked_hubs::judged::ServingFault;

/// `GET …/refusals?registrationId=&from=&to=`, newest first.
pub(crate) async fn refusals(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
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
pub(crate) async fn explain(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    authorize(dps, &request, Right::EnrollmentRead)?;
    let operator = authorize(dps, &request, Right::RegistrationStatusRead)?;
    let body = request.read(MAX_EXPLAINED).await?;
    let asked: ExplainRequest =
        wire::muster_api::serving::parse(&body).map_err(ServingFault::from)?;
    let shown = asked.certificates.as_deref().map(chain).transpose()?;
    let shown = shown.unwrap_or_default();
    let presented = Presented {
        token: asked.token.as_deref().and_then(Token::from_text),
        from: asked.client_address,
        ..Presented::from(&shown)
    };
    let service = operator.registry().service();
    let named = match &asked.registration_id {
        Some(id) => Ok(id.clone()),
        None => meant(presented, &service.id_scope)?,
    };
    let id = match named {
        Ok(id) => id,
        Err(reason) => {
            let explanation = explain::without_id(presented, &reason);
            return Ok(Reply::json(StatusCode::OK, &explanation));
        }
    };
    let request = Register {
        id_scope: &service.id_scope,
        registration_id: &id,
        body: RegisterBody::default(),
        presented,
    };
    let (context, hub_health) = (operator.context(), operator.hub_health());
    let explanation = explain::explain(request, context, hub_health, operator.now()).await?;
    Ok(Reply::json(StatusCode::OK, &explanation))
}

/// What a TLS handshake with these certificates would hand over.
fn chain(text: &str) -> Result<PeerChain, ServiceFault> {
    let certificates = Certificate::file_to_pem(text.as_bytes());
    let certificates = certificates.and_then(|pem| Certificate::pem_to_der(&pem));
    let certificates = certificates.map_err(|error| {
        ServiceFault::Certificates(crate::registration::refusal::with_causes(&error))
    })?;
    let read = PresentedChain::read(&certificates, &SeenIssuers::new(0));
    Ok(read.map_or_else(PeerChain::unread, PeerChain::of))
}

/// Whom a credential is for: a token, which counts before a certificate, ends with the registration id. Or why it is for nobody.
fn meant(
    presented: Presented<'_>,
    id_scope: &IdScope,
) -> Result<Result<RegistrationId, RefusalReason>, IdError> {
    if let Some(token) = presented.token {
        return Ok(UnverifiedToken::parse(token.reveal())
            .map_err(RefusalReason::Token)
            .and_then(|token| named_by(&token, id_scope)));
    }
    if let Some(unread) = presented.unread {
        let leaf = unread.certificates().first();
        let name = leaf.and_then(Certificate::subject_common_name);
        let id = name.and_then(|name| RegistrationId::parse(name).ok());
        return Ok(id.ok_or_else(|| RefusalReason::Chain(unread.error().clone())));
    }
    let Some(shown) = presented.chain else {
        // Neither is there.
        return RegistrationId::parse("").map(Ok);
    };
    let Some(name) = shown.leaf().subject_common_name() else {
        return Ok(Err(RefusalReason::NoCommonName));
    };
    Ok(
        RegistrationId::parse(name).map_err(|_| RefusalReason::CommonNameMismatch {
            common_name: name.chars().take(128).collect(),
        }),
    )
}

fn named_by(token: &UnverifiedToken, id_scope: &IdScope) -> Result<RegistrationId, RefusalReason> {
    let mut parts = token.resource().rsplit('/');
    let (id, kind) = (parts.next(), parts.next());
    let is_kind = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("registrations"));
    let id = id
        .filter(|_| is_kind)
        .and_then(|id| RegistrationId::parse(id).ok());
    id.ok_or_else(|| {
        RefusalReason::Token(SasError::OtherResource {
            granted: token.resource().to_owned(),
            requested: format!("{id_scope}/registrations/{{registrationId}}"),
        })
    })
}

/// A chain of ten certificates in PEM inside JSON.
const MAX_EXPLAINED: usize = 8 * MAX_BODY;
