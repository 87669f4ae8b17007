//! `/certificateAuthorities` as in Azure's preview, and `/muster/v1/dps/issuers`: the CAs
//! that issue to devices.

use axum::body::Bytes;
use ca::KeyStorage;
use ids::{IssuerName, Thumbprint, Timestamp};
use pki::{Certificate, PemError};
use provisioning::{IssuanceError, IssuanceName, IssuerDraft, IssuerRecord};
use registry::Right;
use rest::{Reply, delete, get, patch, post, put};
use wire::error::DpsErrorCode;
use wire::etag::QuotedEtag;
use wire::lenient;
use wire::muster_api::issuer::{
    ISSUER_ITEM, IssuerDescription, IssuerKeyStorage, IssuerList, IssuerRequest, IssuerUpdate,
    MUSTER_CA_TYPE,
};
use zeroize::Zeroize;

use super::access::Access;
use super::{Call, Route, if_match, now, provisioning, queries};
use crate::error::{NounError, ServiceFault};

mod certificates;
mod log;
mod report;
mod revocation;
mod roll;
mod trusts;
mod users;

pub(super) fn routes() -> Vec<Route> {
    let more = [
        certificates::routes(),
        revocation::routes(),
        roll::routes(),
        log::routes(),
        report::routes(),
        trusts::routes(),
        users::routes(),
    ];
    own_routes()
        .into_iter()
        .chain(more.into_iter().flatten())
        .collect()
}

fn own_routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/certificateAuthorities", reads, query),
        post("/certificateAuthorities/query", reads, query),
        get("/certificateAuthorities/{name}", reads, read),
        put("/certificateAuthorities/{name}", writes, create),
        delete("/certificateAuthorities/{name}", writes, remove),
        get("/muster/v1/dps/issuers", reads, list),
        get("/muster/v1/dps/issuers/{name}", reads, read),
        put("/muster/v1/dps/issuers/{name}", writes, create),
        patch("/muster/v1/dps/issuers/{name}", writes, change),
        delete("/muster/v1/dps/issuers/{name}", writes, remove),
    ]
}

/// Azure's list: a bare array. A service has so few that they are one page.
async fn query(call: Call) -> Result<Reply, ServiceFault> {
    queries::require_all(&call.body)?;
    Ok(Reply::page(&all(&call)?, ISSUER_ITEM, None::<&String>))
}

/// Our own: an object with the array in it.
async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let value = all(&call)?;
    Ok(Reply::json(&IssuerList { value }))
}

fn all(call: &Call) -> Result<Vec<IssuerDescription>, ServiceFault> {
    let stored = provisioning(call).issuers()?.into_iter();
    let described = stored.map(|issuer| describe(keys(call), issuer));
    Ok(described.collect::<Result<_, IssuerFault>>()?)
}

fn keys(call: &Call) -> &ca::DeviceIssuers {
    &call.permit.context().device_issuers
}

async fn read(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    reply(keys(&call), existing(&call, &name)?)
}

fn existing(call: &Call, name: &IssuerName) -> Result<IssuerRecord, ServiceFault> {
    let stored = provisioning(call).issuer(name)?;
    let missing = || IssuanceError::NotFound(IssuanceName::Issuer(name.clone()));
    Ok(stored.ok_or_else(missing)?)
}

/// A new issuer. One that exists keeps its key and profile: devices that it issued to rely on it.
async fn create(mut call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let body = std::mem::take(&mut call.body);
    let request = lenient::parse(&body).and_then(IssuerRequest::parse);
    wipe(body);
    let request = request?;
    let (provisioning, issuers) = (provisioning(&call), &call.permit.context().device_issuers);
    let _alone = call.service.issuers_change().await;
    if provisioning.issuer(&name)?.is_some() {
        return Err(IssuanceError::Exists(IssuanceName::Issuer(name)).into());
    }
    let (keys, now) = (issuers.clone(), now(&call));
    // A token may take long to answer.
    let drafted = tokio::task::spawn_blocking(move || draft(&keys, name, request, now)).await;
    let drafted = drafted.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let draft = drafted.map_err(IssuerFault::from)?;
    let ca_certificate = draft.ca_certificate;
    match provisioning.create_issuer(draft, now).await {
        Ok(created) => reply(issuers, created),
        Err(error) => {
            if !provisioning.has_issuer_of(&ca_certificate)? {
                issuers.remove(&ca_certificate).map_err(IssuerFault::from)?;
            }
            Err(error.into())
        }
    }
}

/// What may change of an issuer that is there.
async fn change(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let update = lenient::parse(&call.body).and_then(|body| IssuerUpdate::parse(&body))?;
    let changed = provisioning(&call).update_issuer(&name, update, now(&call));
    reply(keys(&call), changed.await?)
}

/// The body held a private key. Shared buffers cannot be wiped; this one was just
/// read for this request.
fn wipe(body: Bytes) {
    if let Ok(mut bytes) = body.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}

async fn remove(call: Call, name: IssuerName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let _alone = call.service.issuers_change().await;
    let deleted = provisioning(&call).delete_issuer(&name, &if_match).await?;
    // After its name: the other way round, a crash would leave an issuer that cannot issue.
    let issuers = &call.permit.context().device_issuers;
    for ca_certificate in &deleted.unused_ca_certificates {
        issuers.remove(ca_certificate).map_err(IssuerFault::from)?;
    }
    Ok(Reply::no_content())
}

/// Why an issuer is not made, or cannot be described.
#[derive(Debug, thiserror::Error)]
enum IssuerFault {
    #[error("the issuer is not made")]
    Issuer(#[source] Box<ca::IssuerError>),
    #[error("a stored certificate cannot be read")]
    Damaged(#[source] PemError),
}

impl From<ca::IssuerError> for IssuerFault {
    fn from(error: ca::IssuerError) -> Self {
        Self::Issuer(Box::new(error))
    }
}

impl NounError for IssuerFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Issuer(error) => authority_code(error),
            Self::Damaged(_) => DpsErrorCode::InternalServerError,
        }
    }
}

/// The code of a CA that is not made: its certificate or key is not good, or it is not kept.
fn authority_code(error: &ca::IssuerError) -> DpsErrorCode {
    use ca::IssuerError as Error;
    match error {
        Error::Missing(_) | Error::Damaged(_) | Error::File(_) => DpsErrorCode::InternalServerError,
        _ => DpsErrorCode::ArgumentInvalid,
    }
}

impl NounError for IssuanceError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NotFound(IssuanceName::Issuer(_)) => Code::CertificateAuthorityNotFound,
            Self::NotFound(IssuanceName::TrustBundle(_)) => Code::NotFound,
            Self::Exists(IssuanceName::Issuer(_))
            | Self::InUse {
                name: IssuanceName::Issuer(_),
                ..
            } => Code::CertificateAuthorityConflict,
            Self::Exists(_) | Self::InUse { .. } => Code::Conflict,
            Self::PreconditionFailed(_) => Code::PreconditionFailed,
            Self::NoSuchTrust { .. } => Code::NotFound,
            Self::TooMany { .. } | Self::TrustUnverified { .. } | Self::TooManyTrusts { .. } => {
                Code::ArgumentInvalid
            }
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}

/// Makes or imports the CA of an issuer. Its key is durable when this returns; whether the name is
/// free is decided after.
fn draft(
    issuers: &ca::DeviceIssuers,
    name: IssuerName,
    request: IssuerRequest,
    now: Timestamp,
) -> Result<IssuerDraft, ca::IssuerError> {
    let chain = issuing::authority(
        issuers,
        &name,
        (&request.profile, &request.settings),
        &request.source,
        now,
    )?;
    let first = chain.first().ok_or(PemError::NoCertificate)?;
    Ok(IssuerDraft {
        name,
        ca_certificate: first.sha256(),
        chain: chain.iter().map(Certificate::to_pem).collect(),
        profile: request.profile,
        settings: request.settings,
    })
}

fn storage(keys: &ca::DeviceIssuers, issuer: &Thumbprint) -> IssuerKeyStorage {
    match keys.key_storage(issuer) {
        Ok(KeyStorage::File) => IssuerKeyStorage::File,
        Ok(KeyStorage::SealedFile) => IssuerKeyStorage::SealedFile,
        Ok(KeyStorage::Token {
            uri,
            library,
            is_sealed,
        }) => IssuerKeyStorage::Token {
            pkcs11_uri: uri,
            pkcs11_library: library.display().to_string(),
            pin_sealed: is_sealed,
        },
        // The issuer refuses to issue with the reason; a list of issuers is answered all the same.
        Err(_) => IssuerKeyStorage::Missing,
    }
}

fn reply(keys: &ca::DeviceIssuers, stored: IssuerRecord) -> Result<Reply, ServiceFault> {
    let issuer = describe(keys, stored)?;
    Ok(Reply::json(&issuer).with_etag(&issuer.etag.0))
}

fn describe(
    keys: &ca::DeviceIssuers,
    issuer: IssuerRecord,
) -> Result<IssuerDescription, IssuerFault> {
    let issuing = issuer.generations.issuing();
    let chain = Certificate::parse_pem_bundle(&issuing.chain).map_err(IssuerFault::Damaged)?;
    let first = chain.first().ok_or(PemError::NoCertificate);
    Ok(IssuerDescription {
        certificate_info: provisioning::describe(first.map_err(IssuerFault::Damaged)?),
        name: issuer.name,
        certificate_authority_type: MUSTER_CA_TYPE,
        certificate: issuing.chain.clone(),
        profile: issuer.profile,
        settings: issuer.settings,
        key_storage: storage(keys, &issuing.thumbprint),
        trusts: issuer.trusts,
        etag: QuotedEtag(issuer.etag),
        created_date_time_utc: issuer.created,
        last_modified_date_time_utc: issuer.updated,
    })
}
