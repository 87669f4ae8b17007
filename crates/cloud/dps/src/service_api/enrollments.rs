//! `/enrollments` and `/enrollmentGroups`: the same verbs for individual enrollments and groups.

mod bulk;
mod draft;
pub mod warnings;

use std::sync::Arc;

use ids::{EnrollmentId, IssuerName, RegistrationId};
use provisioning::{
    Act, EnrollmentDraft, EnrollmentError, EnrollmentKey, EnrollmentKind, EnrollmentRecord,
    Provisioning, RollError,
};
use registry::{IfMatch, Right};
use rest::{Reply, delete, get, post, put};
use serde_json::Value;
use wire::device_api::registration::{RegistrationState, RegistrationStatus};
use wire::error::DpsErrorCode;
use wire::http::WARNING;
use wire::service_api::enrollment::IssuerMembers;

use super::access::Access;
use super::{Call, Route, exact_json, if_match, now, provisioning, queries};
use crate::enrollment_view::{self, Secrets};
use crate::error::{NounError, ServiceFault};
use crate::registration::result;
use draft::{DraftContext, DraftFault, Uploaded};

pub(super) fn routes() -> Vec<Route> {
    let mut routes = individual_routes();
    routes.extend(group_routes());
    routes
}

fn individual_routes() -> Vec<Route> {
    const ALL: &str = "/enrollments";
    const ONE: &str = "/enrollments/{id}";
    const KIND: EnrollmentKind = EnrollmentKind::Individual;
    let key = |id: RegistrationId| EnrollmentKey::Individual(id);
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::EnrollmentWrite]);
    vec![
        post(ALL, writes, |call| bulk::run(call, KIND)),
        // Only POST: a device may be called "query".
        post("/enrollments/query", reads, |call| list(call, KIND)),
        get(ONE, reads, move |call, id| read(call, key(id))),
        put(ONE, writes, move |call, id| write(call, key(id))),
        delete(ONE, writes, move |call, id| remove(call, key(id))),
        post(
            "/enrollments/{id}/attestationMechanism",
            writes,
            move |call, id| read_secrets(call, key(id)),
        ),
    ]
}

fn group_routes() -> Vec<Route> {
    const ALL: &str = "/enrollmentGroups";
    const ONE: &str = "/enrollmentGroups/{id}";
    const KIND: EnrollmentKind = EnrollmentKind::Group;
    let key = |id: EnrollmentId| EnrollmentKey::Group(id);
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::EnrollmentWrite]);
    vec![
        post(ALL, writes, |call| bulk::run(call, KIND)),
        post("/enrollmentGroups/query", reads, |call| list(call, KIND)),
        get(ONE, reads, move |call, id| read(call, key(id))),
        put(ONE, writes, move |call, id| write(call, key(id))),
        delete(ONE, writes, move |call, id| remove(call, key(id))),
        post(
            "/enrollmentGroups/{id}/attestationMechanism",
            writes,
            move |call, id| read_secrets(call, key(id)),
        ),
    ]
}

async fn read(call: Call, key: EnrollmentKey) -> Result<Reply, ServiceFault> {
    let record = find(&call, &key).await?;
    reply(&call, &record, Secrets::Masked).await
}

/// Creates without `If-Match`, replaces with it. An operator that writes an enrollment may see its
/// keys, and needs those that were generated.
async fn write(call: Call, key: EnrollmentKey) -> Result<Reply, ServiceFault> {
    let (if_match, body) = (if_match(&call)?, exact_json(&call)?);
    let record = store(provisioning(&call), &key, &body, &if_match, now(&call)).await?;
    reply(&call, &record, Secrets::Included).await
}

async fn remove(call: Call, key: EnrollmentKey) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let deleted = provisioning(&call).delete_enrollment(&key, &if_match, now(&call));
    deleted.await?;
    Ok(Reply::no_content())
}

/// The attestation with its secrets, which takes the right to write.
async fn read_secrets(call: Call, key: EnrollmentKey) -> Result<Reply, ServiceFault> {
    let record = find(&call, &key).await?;
    let disclosed = provisioning(&call).disclose(Act::ReadEnrollmentKeys, &record.key);
    disclosed.await?;
    let form = (Secrets::Included, issuer_members(&call));
    let document = enrollment_view::describe(&record, None, form)?;
    Ok(Reply::json(&document["attestation"]))
}

async fn list(call: Call, kind: EnrollmentKind) -> Result<Reply, ServiceFault> {
    queries::require_all(&call.body)?;
    let page = queries::page(&call)?;
    let provisioning = provisioning(&call);
    let found = provisioning.list_enrollments(kind, &page).await?;
    let form = (Secrets::Masked, issuer_members(&call));
    let mut rows = Vec::with_capacity(found.items.len());
    for record in &found.items {
        rows.push(with_registration(record, provisioning, form).await?);
    }
    let item_type = match kind {
        EnrollmentKind::Individual => "enrollment",
        EnrollmentKind::Group => "enrollmentGroup",
    };
    Ok(Reply::page(&rows, item_type, found.continuation.as_ref()))
}

/// The members in which the api-version of the request names issuers.
fn issuer_members(call: &Call) -> IssuerMembers {
    let version = call.query("api-version");
    IssuerMembers::of_version(&version.unwrap_or_default())
}

async fn find(call: &Call, key: &EnrollmentKey) -> Result<Arc<EnrollmentRecord>, ServiceFault> {
    let record = provisioning(call).enrollment(key).await?;
    Ok(record.ok_or_else(|| EnrollmentError::NotFound(key.clone()))?)
}

/// Checks and writes one enrollment; bulk operations end here too.
async fn store(
    provisioning: &Provisioning,
    key: &EnrollmentKey,
    body: &Value,
    if_match: &IfMatch,
    now: ids::Timestamp,
) -> Result<EnrollmentRecord, ServiceFault> {
    let replaced = provisioning.enrollment(key).await?;
    let ca_certificates = match key.kind() {
        EnrollmentKind::Individual => Vec::new(),
        EnrollmentKind::Group => provisioning.ca_certificates()?,
    };
    let uploaded = Uploaded::all(&ca_certificates)?;
    let context = DraftContext {
        service: &provisioning.service(),
        stored: replaced.as_deref(),
        uploaded: &uploaded,
        fresh_key: &|| provisioning.fresh_enrollment_key(),
        now,
    };
    let draft = context.draft(key, body)?;
    if let Some(other) = issuer_of_policy_name(provisioning, &draft)? {
        return Err(DraftFault::PolicyOfAnotherIssuer(other).into());
    }
    let written = provisioning.put_enrollment(draft, if_match, now).await?;
    join_roll(provisioning, written, now).await
}

/// Has an enrollment admit both CAs of an issuer that goes over from one to the other. One that has
/// no room for both stays as it is, and the answer warns of that.
async fn join_roll(
    provisioning: &Provisioning,
    written: EnrollmentRecord,
    now: ids::Timestamp,
) -> Result<EnrollmentRecord, ServiceFault> {
    let Some(issuer) = provisioning.roll_to_join(&written)? else {
        return Ok(written);
    };
    match provisioning.join_roll(&written.key, &issuer, now).await {
        Ok(()) => {
            let joined = provisioning.enrollment(&written.key).await?;
            Ok(joined.map_or(written, Arc::unwrap_or_clone))
        }
        Err(RollError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(written),
    }
}

/// Another issuer that is called as the certificate policy of a draft. An issuer has one policy;
/// a draft with that name would name two issuers.
fn issuer_of_policy_name(
    provisioning: &Provisioning,
    draft: &EnrollmentDraft,
) -> Result<Option<IssuerName>, ServiceFault> {
    let policy = draft.document["certificatePolicyName"].as_str();
    let Some(policy) = policy.and_then(|name| IssuerName::parse(name).ok()) else {
        return Ok(None);
    };
    if draft.issuance.issuer.as_ref() == Some(&policy) {
        return Ok(None);
    }
    Ok(provisioning.issuer(&policy)?.map(|issuer| issuer.name))
}

impl NounError for EnrollmentError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        let conflict = |key: &EnrollmentKey| match key {
            EnrollmentKey::Individual(_) => Code::EnrollmentConflict,
            EnrollmentKey::Group(_) => Code::EnrollmentGroupConflict,
        };
        match self {
            Self::NotFound(EnrollmentKey::Individual(_)) => Code::EnrollmentNotFound,
            Self::NotFound(EnrollmentKey::Group(_)) => Code::EnrollmentGroupNotFound,
            Self::Exists(key) | Self::Blocked { key } => conflict(key),
            Self::CertificateTaken { other, .. } => conflict(other),
            Self::PreconditionFailed(_) => Code::PreconditionFailed,
            Self::NoCaCertificate(_)
            | Self::CaCertificateNotVerified(_)
            | Self::TooManyKeyed(_)
            | Self::NoIssuance(_)
            | Self::IssuerProfile { .. } => Code::ArgumentInvalid,
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}

/// The enrollment, with what speaks against it in a header: it was accepted all the same.
async fn reply(
    call: &Call,
    record: &EnrollmentRecord,
    secrets: Secrets,
) -> Result<Reply, ServiceFault> {
    let provisioning = provisioning(call);
    let form = (secrets, issuer_members(call));
    let document = with_registration(record, provisioning, form).await?;
    let reply = Reply::json(&document).with_etag(&record.etag);
    let mut found = warnings::of_certificates(record);
    found.extend(warnings::stays_plain(record, provisioning).await?);
    found.extend(warnings::without_next_ca(record, provisioning)?);
    if found.is_empty() {
        return Ok(reply);
    }
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    let text = found.join("; ").replace(|c| !is_plain(c), "?");
    Ok(reply.with(WARNING, &text))
}

/// A record as operators see it: an individual one with its registration beside it.
async fn with_registration(
    record: &EnrollmentRecord,
    provisioning: &Provisioning,
    form: (Secrets, IssuerMembers),
) -> Result<Value, ServiceFault> {
    let registration = match &record.key {
        EnrollmentKey::Individual(id) => Some(match provisioning.registration(id).await? {
            Some(registration) => result::for_operators(&registration),
            None => RegistrationState::bare(id.clone(), RegistrationStatus::Unassigned),
        }),
        EnrollmentKey::Group(_) => None,
    };
    Ok(enrollment_view::describe(record, registration, form)?)
}
