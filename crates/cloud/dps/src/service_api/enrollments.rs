//! The service API for individual enrollments and groups: the same verbs for both.

use axum::http::header::IF_MATCH;
use axum::http::{HeaderName, StatusCode};
use ids::IdError;
use provisioning::{Act, EnrollmentKey, EnrollmentKind, EnrollmentRecord, Provisioning};
use registry::{Continuation, IfMatch, Page, PageRequest, Right};
use serde_json::Value;
use wire::device_api::registration::{RegistrationState, RegistrationStatus};
use wire::lenient::BodyError;
use wire::service_api::enrollment::MAX_BODY;
use wire::{http as wire_http, lenient};

use super::query_text;
use crate::service_api::access::authorize;

pub mod bulk;
pub mod draft;
pub mod warnings;

use crate::enrollment_view::{Secrets, shown};
use crate::error::ServiceFault;
use crate::http::{Incoming, Reply};
use crate::registration::result;
use crate::service::Dps;
use crate::service_api::ca_certificates::draft::CaCertificateFault;
use crate::service_api::enrollments::draft::{Judge, Uploaded};

pub(crate) async fn read(
    dps: &Dps,
    request: Incoming<'_>,
    key: EnrollmentKey,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentRead)?;
    request.read(MAX_BODY).await?;
    let record = stored(operator.registry(), &key).await?;
    let shown = with_registration(&record, operator.registry(), Secrets::Hidden).await?;
    let reply = warned(
        Reply::json(StatusCode::OK, &shown),
        &record,
        operator.registry(),
    )
    .await?;
    Ok(reply.with_etag(&record.etag))
}

/// Creates without `If-Match`, replaces with it.
pub(crate) async fn put(
    dps: &Dps,
    request: Incoming<'_>,
    key: EnrollmentKey,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentWrite)?;
    let if_match = if_match(&request)?;
    let body = lenient::parse_exactly(&request.read(MAX_BODY).await?)?;
    let registry = operator.registry();
    let record = write(registry, &key, &body, &if_match, operator.now()).await?;
    // Whoever writes an enrollment may see its keys, and needs those that were generated.
    let shown = with_registration(&record, registry, Secrets::Shown).await?;
    let reply = warned(Reply::json(StatusCode::OK, &shown), &record, registry).await?;
    Ok(reply.with_etag(&record.etag))
}

/// Says in a header what speaks against an entry that was taken all the same.
async fn warned(
    reply: Reply,
    record: &EnrollmentRecord,
    registry: &Provisioning,
) -> Result<Reply, ServiceFault> {
    let mut found = warnings::warnings(record);
    found.extend(warnings::stays_plain(record, registry).await?);
    if found.is_empty() {
        return Ok(reply);
    }
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    let text = found.join("; ").replace(|c| !is_plain(c), "?");
    Ok(reply.with(HeaderName::from_static(wire_http::WARNING), &text))
}

/// Judges and writes one enrollment; bulk operations end here too.
pub(crate) async fn write(
    registry: &Provisioning,
    key: &EnrollmentKey,
    body: &Value,
    if_match: &IfMatch,
    now: ids::Timestamp,
) -> Result<EnrollmentRecord, ServiceFault> {
    let replaced = registry.enrollment(key).await?;
    let ca_certificates = match key.kind() {
        EnrollmentKind::Individual => Vec::new(),
        EnrollmentKind::Group => registry.ca_certificates()?,
    };
    let uploaded = Uploaded::all(&ca_certificates).map_err(CaCertificateFault::from)?;
    let judge = Judge {
        service: &registry.service(),
        stored: replaced.as_deref(),
        uploaded: &uploaded,
        fresh_key: &|| registry.fresh_enrollment_key(),
        now,
    };
    let draft = judge.draft(key, body)?;
    Ok(registry.put_enrollment(draft, if_match, now).await?)
}

pub(crate) async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    key: EnrollmentKey,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentWrite)?;
    let if_match = if_match(&request)?;
    request.read(MAX_BODY).await?;
    operator
        .registry()
        .delete_enrollment(&key, &if_match, operator.now())
        .await?;
    Ok(Reply::no_content())
}

/// The attestation with its secrets, which takes the right to write.
pub(crate) async fn mechanism(
    dps: &Dps,
    request: Incoming<'_>,
    key: EnrollmentKey,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentWrite)?;
    request.read(MAX_BODY).await?;
    let record = stored(operator.registry(), &key).await?;
    let disclosed = operator
        .registry()
        .disclose(Act::ReadEnrollmentKeys, &record.key);
    disclosed.await?;
    let document = shown(&record, None, Secrets::Shown)?;
    Ok(Reply::json(StatusCode::OK, &document["attestation"]))
}

pub(crate) async fn query(
    dps: &Dps,
    request: Incoming<'_>,
    kind: EnrollmentKind,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentRead)?;
    let page = page(&request)?;
    read_query(request).await?;
    let registry = operator.registry();
    let found = registry.list_enrollments(kind, &page).await?;
    let mut rows = Vec::with_capacity(found.items.len());
    for record in &found.items {
        rows.push(with_registration(record, registry, Secrets::Hidden).await?);
    }
    let item_type = match kind {
        EnrollmentKind::Individual => "enrollment",
        EnrollmentKind::Group => "enrollmentGroup",
    };
    Ok(paged(&rows, &found, item_type))
}

/// Reads the body of a query: absent, or one that asks for everything. A condition that is not applied would be answered with rows that
/// do not meet it.
pub(crate) async fn read_query(request: Incoming<'_>) -> Result<(), ServiceFault> {
    let body = request.read(MAX_BODY).await?;
    if body.is_empty() {
        return Ok(());
    }
    let body = lenient::parse_exactly(&body)?;
    match body.get("query") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if query_text::asks_for_all(text) => Ok(()),
        Some(text) => {
            let shown: String = text.to_string().chars().take(200).collect();
            let problem = format!(
                "{shown} is not supported: send \"SELECT *\", \"SELECT * FROM enrollments\" or no query, and choose among the rows that come"
            );
            Err(BodyError::new("query", problem).into())
        }
    }
}

/// Which page a query asks for.
pub(crate) fn page(request: &Incoming<'_>) -> Result<PageRequest, ServiceFault> {
    const USUAL: usize = 100;
    const MOST: usize = 1000;
    let token = wire_http::continuation(request.header(wire_http::CONTINUATION));
    let after = token.map(Continuation::parse).transpose();
    Ok(PageRequest {
        after: after.map_err(|_| ServiceFault::Continuation)?,
        limit: wire_http::page_size(request.header(wire_http::MAX_ITEM_COUNT), USUAL, MOST),
    })
}

/// The answer to a query: a bare array, the rest in headers.
pub(crate) fn paged<T>(
    rows: &impl serde::Serialize,
    page: &Page<T>,
    item_type: &'static str,
) -> Reply {
    let count = page.items.len().to_string();
    let reply = Reply::json(StatusCode::OK, rows)
        .with(HeaderName::from_static(wire_http::ITEM_TYPE), item_type)
        .with(HeaderName::from_static(wire_http::MAX_ITEM_COUNT), &count);
    match &page.continuation {
        Some(next) => reply.with(
            HeaderName::from_static(wire_http::CONTINUATION),
            &next.to_string(),
        ),
        None => reply,
    }
}

/// What the `If-Match` header of a request demands.
pub(crate) fn if_match(request: &Incoming<'_>) -> Result<IfMatch, IdError> {
    let demanded = wire_http::IfMatch::parse(request.header(IF_MATCH.as_str()))?;
    Ok(match demanded {
        wire_http::IfMatch::Absent => IfMatch::Absent,
        wire_http::IfMatch::Any => IfMatch::Any,
        wire_http::IfMatch::Is(etag) => IfMatch::Exactly(etag),
    })
}

async fn stored(
    registry: &Provisioning,
    key: &EnrollmentKey,
) -> Result<std::sync::Arc<EnrollmentRecord>, ServiceFault> {
    let record = registry.enrollment(key).await?;
    record.ok_or_else(|| ServiceFault::NoSuchEnrollment(key.clone()))
}

/// A record as operators see it: an individual one with its registration beside it.
async fn with_registration(
    record: &EnrollmentRecord,
    registry: &Provisioning,
    secrets: Secrets,
) -> Result<Value, ServiceFault> {
    let registration = match &record.key {
        EnrollmentKey::Individual(id) => Some(match registry.registration(id).await? {
            Some(registration) => result::for_operators(&registration),
            None => RegistrationState::bare(id.clone(), RegistrationStatus::Unassigned),
        }),
        EnrollmentKey::Group(_) => None,
    };
    Ok(shown(record, registration, secrets)?)
}
