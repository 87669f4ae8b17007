//! Bulk operations: up to ten enrollments in one request, each on its own.

use ids::{EnrollmentId, Etag, RegistrationId};
use provisioning::{EnrollmentKey, EnrollmentKind, Provisioning};
use registry::IfMatch;
use rest::Reply;
use wire::service_api::enrollment::{BulkError, BulkItem, BulkMode, BulkRequest, BulkResult};

use super::super::{Call, exact_json, now, provisioning};
use crate::error::ServiceFault;

pub(super) async fn run(call: Call, kind: EnrollmentKind) -> Result<Reply, ServiceFault> {
    let body = exact_json(&call)?;
    let bulk = match kind {
        EnrollmentKind::Individual => BulkRequest::of_individuals(&body)?,
        EnrollmentKind::Group => BulkRequest::of_groups(&body)?,
    };
    let mut errors = Vec::new();
    for item in &bulk.items {
        if let Err(fault) = one(&call, kind, bulk.mode, item).await {
            errors.push(error(kind, item, &fault));
        }
    }
    let result = BulkResult {
        is_successful: errors.is_empty(),
        errors,
    };
    Ok(Reply::json(&result))
}

async fn one(
    call: &Call,
    kind: EnrollmentKind,
    mode: BulkMode,
    item: &BulkItem<'_>,
) -> Result<(), ServiceFault> {
    let key = match kind {
        EnrollmentKind::Individual => EnrollmentKey::Individual(RegistrationId::parse(item.id)?),
        EnrollmentKind::Group => EnrollmentKey::Group(EnrollmentId::parse(item.id)?),
    };
    let (provisioning, now) = (provisioning(call), now(call));
    let if_match = match mode {
        BulkMode::Create | BulkMode::Delete => IfMatch::Absent,
        BulkMode::Update => present(provisioning, &key).await?,
        BulkMode::UpdateIfMatchEtag => {
            IfMatch::Exactly(Etag::parse(item.etag.unwrap_or_default())?)
        }
    };
    if mode == BulkMode::Delete {
        let deleted = provisioning.delete_enrollment(&key, &if_match, now);
        return Ok(deleted.await?);
    }
    super::store(provisioning, &key, item.body, &if_match, now).await?;
    Ok(())
}

/// An update creates what is not there.
async fn present(
    provisioning: &Provisioning,
    key: &EnrollmentKey,
) -> Result<IfMatch, ServiceFault> {
    Ok(match provisioning.enrollment(key).await? {
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
