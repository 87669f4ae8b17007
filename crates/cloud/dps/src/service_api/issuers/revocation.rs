//! `…/certificates/{serial}/revoke` and `restore`: the state of what an issuer has issued.

use ids::{CertificateSerial, IssuerName};
use pki::RevocationReason;
use provisioning::RevokeError;
use registry::Right;
use rest::{Reply, post};
use wire::error::DpsErrorCode;
use wire::lenient::BodyError;
use wire::muster_api::revocation::RevokeRequest;

use super::certificates::describe;
use crate::error::{NounError, ServiceFault};
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, own_json, provisioning};

pub(super) fn routes() -> Vec<Route> {
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        post(
            "/muster/v1/dps/issuers/{name}/certificates/{serial}/revoke",
            writes,
            revoke,
        ),
        post(
            "/muster/v1/dps/issuers/{name}/certificates/{serial}/restore",
            writes,
            restore,
        ),
    ]
}

/// Also of a serial number that is not listed.
async fn revoke(
    call: Call,
    name: IssuerName,
    serial: CertificateSerial,
) -> Result<Reply, ServiceFault> {
    let asked = match call.body.is_empty() {
        true => RevokeRequest::default(),
        false => own_json(&call)?,
    };
    let reason = asked.reason.as_deref().map(reason).transpose()?;
    let reason = reason.unwrap_or_default();
    let revoked = provisioning(&call).revoke_certificate(&name, serial, reason, now(&call));
    Ok(Reply::json(&describe(revoked.await?)))
}

async fn restore(
    call: Call,
    name: IssuerName,
    serial: CertificateSerial,
) -> Result<Reply, ServiceFault> {
    let restored = provisioning(&call).restore_certificate(&name, serial, now(&call));
    Ok(Reply::json(&describe(restored.await?)))
}

fn reason(text: &str) -> Result<RevocationReason, BodyError> {
    RevocationReason::parse(text).ok_or_else(|| {
        let names: Vec<&str> = RevocationReason::all()
            .map(RevocationReason::name)
            .collect();
        BodyError::new("reason", format!("is not one of {}", names.join(", ")))
    })
}

impl NounError for RevokeError {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Issuer(error) => error.code(),
            Self::NotListed { .. } => DpsErrorCode::NotFound,
            Self::Final { .. } | Self::CaGone { .. } => DpsErrorCode::Conflict,
            Self::Storage(_) => DpsErrorCode::InternalServerError,
        }
    }
}
