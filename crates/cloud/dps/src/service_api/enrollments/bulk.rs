//! Bulk operations: up to ten enrollments in one request, each on its own.

use axum::http::StatusCode;
use ids::{EnrollmentId, Etag, RegistrationId};
use provisioning::{EnrollmentKey, EnrollmentKind, Provisioning};
use registry::{IfMatch, Right};
use wire::lenient;
use wire::service_api::enrollment::{
    BulkError, BulkItem, BulkMode, BulkRequest, BulkResult, MAX_BODY,
};

use crate::error::ServiceFault;
use crate::http::{Incoming, Reply};
use crate::service::Dps;
use crate::service_api::access::{Operator, authorize};
use crate::service_api::enrollments;

pub(crate) async fn run(
    dps: &Dps,
    request: Incoming<'_>,
    kind: EnrollmentKind,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentWrite)?;
    let body = lenient::parse_exactly(&request.read(MAX_BODY).await?)?;
    let bulk = match kind {
        EnrollmentKind::Individual => BulkRequest::of_individuals(&body)?,
        EnrollmentKind::Group => BulkRequest::of_groups(&body)?,
    };
    let mut errors = Vec::new();
    for item in &bulk.items {
        if let Err(fault) = one(&operator, kind, bulk.mode, item).await {
            errors.push(error(kind, item, &fault));
        }
    }
    let result = BulkResult {
        is_successful: errors.is_empty(),
        errors,
    };
    Ok(Reply::json(StatusCode::OK, &result))
}

async fn one(
    operator: &Operator<'_>,
    kind: EnrollmentKind,
    mode: BulkMode,
    item: &BulkItem<'_>,
) -> Result<(), ServiceFault> {
    let key = match kind {
        EnrollmentKind::Individual => EnrollmentKey::Individual(RegistrationId::parse(item.id)?),
        EnrollmentKind::Group => EnrollmentKey::Group(EnrollmentId::parse(item.id)?),
    };
    let registry = operator.registry();
    let if_match = match mode {
        BulkMode::Create | BulkMode::Delete => IfMatch::Absent,
        BulkMode::Update => present(registry, &key).await?,
        BulkMode::UpdateIfMatchEtag => {
            IfMatch::Exactly(Etag::parse(item.etag.unwrap_or_default())?)
        }
    };
    if mode == BulkMode::Delete {
        let deleted = registry.delete_enrollment(&key, &if_match, operator.now());
        return Ok(deleted.await?);
    }
    enrollments::write(registry, &key, item.body, &if_match, operator.now()).await?;
    Ok(())
}

/// An update creates what is not there.
async fn present(registry: &Provisioning, key: &EnrollmentKey) -> Result<IfMatch, ServiceFault> {
    Ok(match registry.enrollment(key).await? {
        Some(_) => IfMatch::Any,
        None => IfMatch::Absent,
    })
}

fn error(kind: EnrollmentKind, item: &BulkItem<'_>, fault: &ServiceFault) -> BulkError {
    let id = Some(item.id.to_owned());
    let (registration_id, enrollment_group_id) = match kind {
        EnrollmentKind::Individual => (id, None),
        EnrollmentKind::Group => (None, id),
    };
    BulkError {
        registration_id,
        enrollment_group_id,
        error_code: fault.code().code(),
        error_status: fault.outside(),
    }
}
