//! `/registrations`: the records of what became of devices that registered.

use ids::{EnrollmentId, RegistrationId};
use provisioning::{EnrollmentError, EnrollmentKey, RegistrationError};
use registry::Right;
use rest::{Reply, delete, get, post};
use wire::device_api::registration::RegistrationState;
use wire::error::DpsErrorCode;

use super::access::Access;
use super::{Call, Route, if_match, now, provisioning, queries};
use crate::error::{NounError, ServiceFault};
use crate::registration::result;

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::RegistrationStatusRead]);
    let writes = Access::AllOf(&[Right::RegistrationStatusWrite]);
    vec![
        get("/registrations/{id}", reads, read),
        delete("/registrations/{id}", writes, remove),
        post("/registrations/{group}/query", reads, list),
    ]
}

async fn read(call: Call, id: RegistrationId) -> Result<Reply, ServiceFault> {
    let found = provisioning(&call).registration(&id).await?;
    let record = found.ok_or(ServiceFault::NoSuchRegistration(id))?;
    Ok(Reply::json(&result::for_operators(&record)).with_etag(&record.etag))
}

async fn remove(call: Call, id: RegistrationId) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let deleted = provisioning(&call).delete_registration(&id, &if_match, now(&call));
    deleted.await?;
    Ok(Reply::no_content())
}

/// The records of a group's devices.
async fn list(call: Call, group: EnrollmentId) -> Result<Reply, ServiceFault> {
    queries::require_all(&call.body)?;
    let page = queries::page(&call)?;
    let found = provisioning(&call)
        .list_registrations(&group, &page)
        .await?;
    if found.items.is_empty() {
        // Records outlive their group; only a name that has neither is unknown.
        let key = EnrollmentKey::Group(group);
        if provisioning(&call).enrollment(&key).await?.is_none() {
            return Err(EnrollmentError::NotFound(key).into());
        }
    }
    let rows: Vec<RegistrationState> = found.items.iter().map(result::for_operators).collect();
    let next = found.continuation.as_ref();
    Ok(Reply::page(&rows, "deviceRegistration", next))
}

impl NounError for RegistrationError {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::NotFound(_) => DpsErrorCode::DeviceRegistrationNotFound,
            Self::PreconditionFailed(_) => DpsErrorCode::PreconditionFailed,
            Self::Blocked(_) => DpsErrorCode::RegistrationStatusConflict,
            Self::Storage(_) => DpsErrorCode::InternalServerError,
        }
    }
}
