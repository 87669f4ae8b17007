//! Uploaded CA certificates, `/muster/v1/dps/certificates`: what Azure has in its resource manager.

pub mod draft;

use axum::http::StatusCode;
use ids::CertificateName;
use provisioning::CaCertificate;
use registry::Right;
use wire::lenient;
use wire::service_api::ca_certificate::{CaCertificateList, CaCertificateRequest, VerifyRequest};
use wire::service_api::enrollment::MAX_BODY;

use super::enrollments::if_match;
use crate::error::ServiceFault;
use crate::http::route::ca_certificates::Call;
use crate::http::{Incoming, Reply};
use crate::service::Dps;
use crate::service_api::access::{Operator, authorize};
use crate::service_api::ca_certificates::draft::{self as ca_certificate, CaCertificateFault};

pub(crate) async fn answer(
    dps: &Dps,
    request: Incoming<'_>,
    call: Call,
) -> Result<Reply, ServiceFault> {
    match call {
        Call::List => list(dps, request).await,
        Call::Read(name) => read(dps, request, &name?).await,
        Call::Put(name) => put(dps, request, name?).await,
        Call::Delete(name) => delete(dps, request, &name?).await,
        Call::NewCode(name) => new_code(dps, request, &name?).await,
        Call::Verify(name) => verify(dps, request, &name?).await,
    }
}

async fn list(dps: &Dps, request: Incoming<'_>) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentRead)?;
    request.read(MAX_BODY).await?;
    let stored = operator.registry().ca_certificates()?;
    let describe = |one: &CaCertificate| ca_certificate::describe(one, false);
    let value = stored.iter().map(describe).collect::<Result<_, _>>()?;
    Ok(Reply::json(StatusCode::OK, &CaCertificateList { value }))
}

async fn read(
    dps: &Dps,
    request: Incoming<'_>,
    name: &CertificateName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentRead)?;
    request.read(MAX_BODY).await?;
    shown(&stored(&operator, name)?, false)
}

/// Uploads without `If-Match`, replaces with it.
async fn put(
    dps: &Dps,
    request: Incoming<'_>,
    name: CertificateName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    let body = lenient::parse(&request.read(MAX_BODY).await?)?;
    let draft = ca_certificate::draft(name, &CaCertificateRequest::parse(&body)?, operator.now())?;
    let registry = operator.registry();
    let written = registry
        .put_ca_certificate(draft, &if_match, operator.now())
        .await;
    shown(&written.map_err(CaCertificateFault::from)?, false)
}

async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    name: &CertificateName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    request.read(MAX_BODY).await?;
    let registry = operator.registry();
    let deleted = registry
        .delete_ca_certificate(name, &if_match, operator.now())
        .await;
    for entry in deleted.map_err(CaCertificateFault::from)? {
        tracing::warn!(
            certificate.name = %name,
            enrollment.id = entry.as_str(),
            "CA certificate {name} was deleted while {entry} refers to it; that admits nobody by it any more"
        );
    }
    Ok(Reply::no_content())
}

async fn new_code(
    dps: &Dps,
    request: Incoming<'_>,
    name: &CertificateName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    request.read(MAX_BODY).await?;
    let registry = operator.registry();
    let made = registry
        .new_verification_code(name, &if_match, operator.now())
        .await;
    shown(&made.map_err(CaCertificateFault::from)?, true)
}

async fn verify(
    dps: &Dps,
    request: Incoming<'_>,
    name: &CertificateName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    let body = lenient::parse(&request.read(MAX_BODY).await?)?;
    let request = VerifyRequest::parse(&body)?;
    let proof = ca_certificate::possession(&stored(&operator, name)?, &request, operator.now())?;
    let registry = operator.registry();
    let verified = registry
        .verify_ca_certificate(name, &if_match, proof, operator.now())
        .await;
    shown(&verified.map_err(CaCertificateFault::from)?, false)
}

fn stored(
    operator: &Operator<'_>,
    name: &CertificateName,
) -> Result<CaCertificate, CaCertificateFault> {
    let stored = operator.registry().ca_certificate(name)?;
    let missing = || provisioning::CaCertificateError::NotFound(name.clone());
    Ok(stored.ok_or_else(missing)?)
}

fn shown(ca_certificate: &CaCertificate, with_code: bool) -> Result<Reply, ServiceFault> {
    let described = ca_certificate::describe(ca_certificate, with_code)?;
    Ok(Reply::json(StatusCode::OK, &described).with_etag(&ca_certificate.etag))
}
