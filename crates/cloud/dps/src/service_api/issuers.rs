//! Issuers of device certificates and trust bundles: Azure's `/certificateAuthorities` and `/trustBundles`, and
//! `/muster/v1/dps/issuers`.

pub mod resource;

use axum::body::Bytes;
use axum::http::StatusCode;
use ids::{IssuerName, TrustBundleId};
use provisioning::{ResourceError, ResourceName};
use registry::{IfMatch, Page, Right};
use wire::lenient;
use wire::muster_api::issuers::{
    ISSUER_ITEM, IssuerDescription, IssuerList, IssuerRequest, TRUST_BUNDLE_ITEM, TrustBundle,
    TrustBundleRequest,
};
use wire::service_api::enrollment::MAX_BODY;
use zeroize::Zeroize;

use super::enrollments::{if_match, paged, read_query};
use crate::error::ServiceFault;
use crate::http::route::resources::{Call, Kind};
use crate::http::{Incoming, Reply};
use crate::service::Dps;
use crate::service_api::access::{Operator, authorize};
use crate::service_api::issuers::resource::{ResourceFault, describe_bundle, describe_issuer};

pub(crate) async fn answer(
    dps: &Dps,
    request: Incoming<'_>,
    call: Call,
) -> Result<Reply, ServiceFault> {
    match call {
        Call::ListIssuers => {
            let operator = authorize(dps, &request, Right::EnrollmentRead)?;
            request.read(MAX_BODY).await?;
            let value = issuers(&operator)?;
            Ok(Reply::json(StatusCode::OK, &IssuerList { value }))
        }
        Call::Query(kind) => {
            let operator = authorize(dps, &request, Right::EnrollmentRead)?;
            read_query(request).await?;
            Ok(match kind {
                Kind::Issuer => whole(issuers(&operator)?, ISSUER_ITEM),
                Kind::TrustBundle => whole(bundles(&operator)?, TRUST_BUNDLE_ITEM),
            })
        }
        Call::Read(name) => read(dps, request, name?).await,
        Call::Put(name) => match name? {
            ResourceName::Issuer(name) => create_issuer(dps, request, name).await,
            ResourceName::TrustBundle(id) => put_bundle(dps, request, id).await,
        },
        Call::Delete(name) => delete(dps, request, name?).await,
    }
}

fn issuers(operator: &Operator<'_>) -> Result<Vec<IssuerDescription>, ResourceFault> {
    let stored = operator.registry().issuers()?.into_iter();
    stored.map(describe_issuer).collect()
}

fn bundles(operator: &Operator<'_>) -> Result<Vec<TrustBundle>, ResourceFault> {
    let stored = operator.registry().trust_bundles()?.into_iter();
    stored.map(describe_bundle).collect()
}

/// A service has so few that they are one page.
fn whole<T: serde::Serialize>(items: Vec<T>, item_type: &'static str) -> Reply {
    let page = Page {
        items,
        continuation: None,
    };
    paged(&page.items, &page, item_type)
}

async fn read(dps: &Dps, request: Incoming<'_>, name: ResourceName) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::EnrollmentRead)?;
    request.read(MAX_BODY).await?;
    let registry = operator.registry();
    let missing = |name| ResourceFault::from(ResourceError::NotFound(name));
    match name {
        ResourceName::Issuer(name) => {
            let stored = registry.issuer(&name)?;
            let stored = stored.ok_or_else(|| missing(ResourceName::Issuer(name)))?;
            shown_issuer(&describe_issuer(stored)?)
        }
        ResourceName::TrustBundle(id) => {
            let stored = registry.trust_bundle(&id)?;
            let stored = stored.ok_or_else(|| missing(ResourceName::TrustBundle(id)))?;
            shown_bundle(&describe_bundle(stored)?)
        }
    }
}

/// A new issuer. One that is there keeps its key and profile: devices that it issued to go by it.
async fn create_issuer(
    dps: &Dps,
    request: Incoming<'_>,
    name: IssuerName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let body = request.read(MAX_BODY).await?;
    let wanted = lenient::parse(&body).and_then(IssuerRequest::parse);
    wipe(body);
    let wanted = wanted?;
    let (registry, issuers) = (operator.registry(), &operator.context().device_issuers);
    let _alone = dps.issuers_change().await;
    if registry.issuer(&name)?.is_some() {
        let exists = ResourceError::Exists(ResourceName::Issuer(name));
        return Err(ResourceFault::from(exists).into());
    }
    let draft = resource::keep(issuers, name, wanted, operator.now());
    let draft = draft.map_err(ResourceFault::from)?;
    let ca_certificate = draft.ca_certificate;
    match registry.create_issuer(draft, operator.now()).await {
        Ok(created) => shown_issuer(&describe_issuer(created)?),
        Err(error) => {
            if !registry.has_issuer_of(&ca_certificate)? {
                issuers
                    .remove(&ca_certificate)
                    .map_err(ResourceFault::from)?;
            }
            Err(ResourceFault::from(error).into())
        }
    }
}

/// The body held a private key. Shared buffers cannot be wiped; this one was just read for this request.
fn wipe(body: Bytes) {
    if let Ok(mut bytes) = body.try_into_mut() {
        bytes.as_mut().zeroize();
    }
}

/// Creates without `If-Match`, replaces with it.
async fn put_bundle(
    dps: &Dps,
    request: Incoming<'_>,
    id: TrustBundleId,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    let body = lenient::parse(&request.read(MAX_BODY).await?)?;
    let wanted = TrustBundleRequest::parse(&body)?;
    if let Some(named) = wanted.id.as_ref().filter(|named| **named != id) {
        return Err(ServiceFault::IdMismatch {
            path: id.to_string(),
            body: named.to_string(),
        });
    }
    let draft = resource::draft_bundle(id, &wanted, operator.now())?;
    let registry = operator.registry();
    let written = registry
        .put_trust_bundle(draft, &if_match, operator.now())
        .await;
    shown_bundle(&describe_bundle(written.map_err(ResourceFault::from)?)?)
}

async fn delete(
    dps: &Dps,
    request: Incoming<'_>,
    name: ResourceName,
) -> Result<Reply, ServiceFault> {
    let operator = authorize(dps, &request, Right::ServiceConfig)?;
    let if_match = if_match(&request)?;
    request.read(MAX_BODY).await?;
    match &name {
        ResourceName::Issuer(name) => delete_issuer(dps, &operator, name, &if_match).await?,
        ResourceName::TrustBundle(id) => operator
            .registry()
            .delete_trust_bundle(id, &if_match)
            .await
            .map_err(ResourceFault::from)?,
    }
    Ok(Reply::no_content())
}

async fn delete_issuer(
    dps: &Dps,
    operator: &Operator<'_>,
    name: &IssuerName,
    if_match: &IfMatch,
) -> Result<(), ResourceFault> {
    let _alone = dps.issuers_change().await;
    let deleted = operator.registry().delete_issuer(name, if_match).await?;
    if !deleted.is_shared {
        // After its name: were it the other way round, a crash would leave an issuer that cannot issue.
        operator
            .context()
            .device_issuers
            .remove(&deleted.ca_certificate)?;
    }
    Ok(())
}

fn shown_issuer(issuer: &IssuerDescription) -> Result<Reply, ServiceFault> {
    Ok(Reply::json(StatusCode::OK, issuer).with_etag(&issuer.etag.0))
}

fn shown_bundle(bundle: &TrustBundle) -> Result<Reply, ServiceFault> {
    Ok(Reply::json(StatusCode::OK, bundle).with_etag(&bundle.etag.0))
}
