//! `/trustBundles`: the CA certificates that devices shall trust.

use ids::{Timestamp, TrustBundleId};
use pki::{PemError, UnusableCaCertificate, usable_ca_certificate};
use provisioning::{IssuanceError, IssuanceName, TrustBundleDraft, TrustBundleRecord};
use registry::Right;
use rest::{Reply, delete, get, post, put};
use wire::lenient;
use wire::muster_api::trust_bundle::{TRUST_BUNDLE_ITEM, TrustBundle, TrustBundleRequest};

use super::access::Access;
use super::{Call, Route, if_match, now, provisioning, queries};
use crate::certificate;
use crate::error::{IdMismatch, NounError, ServiceFault};
use crate::trust_bundle_view::{self, TrustBundleError};

pub(super) fn routes() -> Vec<Route> {
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get("/trustBundles", reads, list),
        post("/trustBundles/query", reads, list),
        get("/trustBundles/{id}", reads, read),
        put("/trustBundles/{id}", writes, write),
        delete("/trustBundles/{id}", writes, remove),
    ]
}

/// A service has so few that they are one page.
async fn list(call: Call) -> Result<Reply, ServiceFault> {
    queries::require_all(&call.body)?;
    let stored = provisioning(&call).trust_bundles()?.into_iter();
    let rows: Vec<TrustBundle> = stored
        .map(trust_bundle_view::describe)
        .collect::<Result<_, TrustBundleError>>()?;
    Ok(Reply::page(&rows, TRUST_BUNDLE_ITEM, None::<&String>))
}

async fn read(call: Call, id: TrustBundleId) -> Result<Reply, ServiceFault> {
    let stored = provisioning(&call).trust_bundle(&id)?;
    let missing = || IssuanceError::NotFound(IssuanceName::TrustBundle(id));
    reply(stored.ok_or_else(missing)?)
}

/// Creates without `If-Match`, replaces with it.
async fn write(call: Call, id: TrustBundleId) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let request = TrustBundleRequest::parse(&lenient::parse(&call.body)?)?;
    if let Some(named) = request.id.as_ref().filter(|named| **named != id) {
        return Err(ServiceFault::from(IdMismatch {
            path: id.to_string(),
            body: named.to_string(),
        }));
    }
    let draft = draft(id, &request, now(&call))?;
    let written = provisioning(&call).put_trust_bundle(draft, &if_match, now(&call));
    reply(written.await?)
}

async fn remove(call: Call, id: TrustBundleId) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let deleted = provisioning(&call).delete_trust_bundle(&id, &if_match);
    deleted.await?;
    Ok(Reply::no_content())
}

/// Why a trust bundle is not accepted.
#[derive(Debug, thiserror::Error)]
enum BundleFault {
    #[error("certificate {position} of the trust bundle cannot be read")]
    Unreadable {
        /// The position in the request, counted from 1.
        position: usize,
        source: PemError,
    },
    /// No chain could be verified by it.
    #[error("certificate {position} of the trust bundle ({subject}) {problem}")]
    Unusable {
        /// The position in the request, counted from 1.
        position: usize,
        subject: String,
        problem: UnusableCaCertificate,
    },
}

impl NounError for BundleFault {}

/// Every certificate is of a CA that a chain can be verified by.
fn draft(
    id: TrustBundleId,
    request: &TrustBundleRequest,
    now: Timestamp,
) -> Result<TrustBundleDraft, BundleFault> {
    let mut certificates = String::new();
    for (position, text) in (1..).zip(&request.certificates) {
        let read = certificate::read(text);
        let read = read.map_err(|source| BundleFault::Unreadable { position, source })?;
        usable_ca_certificate(&read, now).map_err(|problem| BundleFault::Unusable {
            position,
            subject: read.subject(),
            problem,
        })?;
        certificates.push_str(&read.to_pem());
    }
    Ok(TrustBundleDraft { id, certificates })
}

fn reply(stored: TrustBundleRecord) -> Result<Reply, ServiceFault> {
    let bundle = trust_bundle_view::describe(stored)?;
    Ok(Reply::json(&bundle).with_etag(&bundle.etag.0))
}
