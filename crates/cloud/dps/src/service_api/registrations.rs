//! The service API for registration records: read, delete, list by group.

use axum::http::StatusCode;
use ids::{EnrollmentId, RegistrationId};
use provisioning::EnrollmentKey;
use registry::Right;
use wire::device_api::registration::RegistrationState;
use wire::service_api::enrollment::MAX_BODY;

use super::enrollments;
use crate::error::ServiceFault;
use crate::http::{Incoming, Reply};
use crate::registration::result;
use crate::service::Dps;
use crate::service_api::access::authorize;

pub(crate) async fn read(
    dps: &Dps,
    request: Incoming<'_>,
    id: RegistrationId,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::RegistrationStatusRead)?;
    request.read(MAX_BODY).await?;
    match operator.registry().registration(&id).await? {
        Some(record) => {
            let reply = Reply::json(StatusCode::OK, &result::for_operators(&record));
            Ok(reply.with_etag(&record.etag))
        }
        None => Err(ServiceFault::NoSuchRegistration(id)),
    }
}

pub(crate) async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    id: RegistrationId,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::RegistrationStatusWrite)?;
    let if_match = enrollments::if_match(&request)?;
    request.read(MAX_BODY).await?;
    let registry = operator.registry();
    registry
        .delete_registration(&id, &if_match, operator.now())
        .await?;
    Ok(Reply::no_content())
}

pub(crate) async fn query(
    dps: &Dps,
    request: Incoming<'_>,
    group: EnrollmentId,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::RegistrationStatusRead)?;
    let page = enrollments::page(&request)?;
    enrollments::read_query(request).await?;
    let registry = operator.registry();
    let found = registry.list_registrations(&group, &page).await?;
    if found.items.is_empty() {
        // Records outlive their group; only a name that has neither is unknown.
        let key = EnrollmentKey::Group(group);
        if registry.enrollment(&key).await?.is_none() {
            return Err(ServiceFault::NoSuchEnrollment(key));
        }
    }
    let rows: Vec<RegistrationState> = found.items.iter().map(result::for_operators).collect();
    Ok(enrollments::paged(&rows, &found, "deviceRegistration"))
}
