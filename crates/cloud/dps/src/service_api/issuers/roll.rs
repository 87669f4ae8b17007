//! `/muster/v1/dps/issuers/{name}/roll`: an issuer goes over to another CA.

use ids::IssuerName;
use issuing::roll::{RollFault, abandon, finish, start};
use pki::{Certificate, PemError};
use provisioning::{RollError, RollStatus};
use registry::Right;
use rest::{Reply, get, post};
use wire::error::DpsErrorCode;
use wire::lenient;
use wire::muster_api::issuer::{AuthorityUse, FinishRequest, IssuerSource, RollDescription};

use super::{IssuerFault, wipe};
use crate::error::{NounError, ServiceFault};
use crate::service_api::access::Access;
use crate::service_api::{Call, Route, now, own_json, provisioning};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/muster/v1/dps/issuers/{name}/roll", reads, status),
        post("/muster/v1/dps/issuers/{name}/roll/start", writes, begin),
        post("/muster/v1/dps/issuers/{name}/roll/finish", writes, end),
        post(
            "/muster/v1/dps/issuers/{name}/roll/abandon",
            writes,
            give_up,
        ),
    ]
}

async fn status(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let status = provisioning(&call).roll_status(&name, now(&call)).await;
    Ok(Reply::json(&describe(status.map_err(RollFault::from)?)?))
}

/// The body says where the new CA comes from, as that of a new issuer does.
async fn begin(mut call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let body = std::mem::take(&mut call.body);
    let source = match body.is_empty() {
        true => IssuerSource::parse(serde_json::json!({})),
        false => lenient::parse(&body).and_then(IssuerSource::parse),
    };
    wipe(body);
    let (source, keys) = (source?, &call.permit.context().device_issuers);
    let _alone = call.service.issuers_change().await;
    let status = start(provisioning(&call), keys, &name, &source, now(&call)).await?;
    Ok(Reply::json(&describe(status)?))
}

async fn end(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let FinishRequest { force } = match call.body.is_empty() {
        true => FinishRequest::default(),
        false => own_json(&call)?,
    };
    let _alone = call.service.issuers_change().await;
    let status = finish(provisioning(&call), &name, force, now(&call)).await?;
    Ok(Reply::json(&describe(status)?))
}

async fn give_up(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let keys = &call.permit.context().device_issuers;
    let _alone = call.service.issuers_change().await;
    let status = abandon(provisioning(&call), keys, &name, now(&call)).await?;
    Ok(Reply::json(&describe(status)?))
}

fn describe(status: RollStatus) -> Result<RollDescription, ServiceFault> {
    let generations = &status.issuer.generations;
    let issuing = generations.issuing().thumbprint;
    let mut authorities = Vec::new();
    for (generation, uses) in generations.admitted().zip(&status.authorities) {
        let chain = Certificate::parse_pem_bundle(&generation.chain);
        let chain = chain.map_err(IssuerFault::Damaged)?;
        let first = chain
            .first()
            .ok_or(IssuerFault::Damaged(PemError::NoCertificate))?;
        authorities.push(AuthorityUse {
            issuing: uses.ca_certificate == issuing,
            certificate_info: provisioning::describe(first),
            valid_certificates: uses.valid_certificates,
            registered_devices: uses.devices,
            pinned_enrollments: uses.pinned,
        });
    }
    Ok(RollDescription {
        rolling: generations.next.is_some(),
        pinned_certificates: status.issuer.settings.pinned_certificates,
        awaited_successors: status.awaited_successors,
        issuer_name: status.issuer.name,
        authorities,
    })
}

impl NounError for RollFault {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::Refused(error) => match error {
                RollError::NotFound(_) => Code::CertificateAuthorityNotFound,
                RollError::Rolls(_)
                | RollError::DoesNotRoll(_)
                | RollError::SameAuthority(_)
                | RollError::SlotTaken { .. }
                | RollError::CertificateTaken { .. }
                | RollError::StillUsed { .. } => Code::CertificateAuthorityConflict,
                RollError::NotVerified(_) | RollError::TooManyCaCertificates(_) => {
                    Code::ArgumentInvalid
                }
                RollError::Storage(_) => Code::InternalServerError,
            },
            Self::Authority(error) => super::authority_code(error),
            Self::Damaged(_) => Code::InternalServerError,
        }
    }
}
