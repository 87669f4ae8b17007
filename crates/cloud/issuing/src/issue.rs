//! The one way from a request that proved its key to a certificate.

use std::sync::Arc;

use ca::{DeviceIssuers, IssuedChain, IssuerError};
use ids::{IdError, IssuerName, RegistrationId, Timestamp};
use pki::{ProvenRequest, RequestError, Serial};
use provisioning::{EnterError, IssuedCertificate, IssuerRecord, Provisioning, Requester};

use crate::profile::profile;
use crate::public::addresses;

/// A certificate that somebody who may have it asks for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub issuer: &'a IssuerRecord,
    pub request: ProvenRequest,
    /// The only name that the requester may have. `None`: any that the profile admits.
    pub common_name: Option<&'a RegistrationId>,
    pub requester: Requester,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The profile of the issuer does not admit the request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The issuer cannot issue: an operator has to repair it.
    #[error("device issuer {name} issues no certificate")]
    Issuer {
        name: IssuerName,
        #[source]
        source: Box<IssuerError>,
    },
    /// What was signed has a serial number that cannot be stored.
    #[error("device issuer {name} gave a certificate a serial number that is not valid")]
    Serial {
        name: IssuerName,
        #[source]
        source: IdError,
    },
    /// The certificate was signed and is not listed: nobody gets it.
    #[error(transparent)]
    NotEntered(#[from] EnterError),
}

/// A certificate that is signed and not listed yet. It may be handed out once its entry is written.
#[derive(Debug, Clone)]
pub struct Signed {
    entry: Arc<IssuedCertificate>,
    chain: IssuedChain,
}

impl Signed {
    /// What has to be written, in the transaction of what the certificate is for.
    #[must_use]
    pub fn entry(&self) -> &Arc<IssuedCertificate> {
        &self.entry
    }

    #[must_use]
    pub fn chain(&self) -> &IssuedChain {
        &self.chain
    }
}

/// Issues a certificate. It is durable and listed when this returns, and a use of the requester's
/// user is spent.
pub async fn issue(
    wanted: Wanted<'_>,
    keys: &DeviceIssuers,
    provisioning: &Provisioning,
    now: Timestamp,
) -> Result<IssuedChain, IssueError> {
    let Signed { entry, chain } = sign(wanted, keys, now).await?;
    provisioning.enter_issued(entry, now).await?;
    Ok(chain)
}

/// Signs a certificate with the CA that the issuer issues by now. For callers that write more than
/// the certificate in their transaction. A token signs apart from what answers requests; a key in
/// memory is faster than the way to another thread.
pub async fn sign(
    wanted: Wanted<'_>,
    keys: &DeviceIssuers,
    now: Timestamp,
) -> Result<Signed, IssueError> {
    let issuer = wanted.issuer;
    let cannot_issue = |source: IssuerError| IssueError::Issuer {
        name: issuer.name.clone(),
        source: Box::new(source),
    };
    let profile = profile(issuer).map_err(|error| cannot_issue(error.into()))?;
    let admitted = profile.admit(wanted.request, wanted.common_name)?;
    let authority = issuer.generations.issuing().thumbprint;
    let serial = Serial::dated(now).map_err(|error| cannot_issue(error.into()))?;
    let publication = addresses::of_certificate(issuer, keys, serial.as_bytes());
    let publication = publication.map_err(cannot_issue)?;
    let open = keys.open_issuer(&authority).map_err(cannot_issue)?;
    let (admitted, chain) = match open.is_in_token() {
        true => {
            let signing = tokio::task::spawn_blocking(move || {
                let chain = open.issue(&admitted, serial, publication.as_ref(), now);
                (admitted, chain)
            });
            let signed = signing.await;
            signed.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
        }
        false => {
            let chain = open.issue(&admitted, serial, publication.as_ref(), now);
            (admitted, chain)
        }
    };
    let chain = chain.map_err(cannot_issue)?;
    let leaf = chain.leaf();
    let serial = leaf.serial().map_err(|source| IssueError::Serial {
        name: issuer.name.clone(),
        source,
    })?;
    let entry = IssuedCertificate {
        issuer: issuer.name.clone(),
        issuer_version: issuer.etag.clone(),
        authority,
        serial,
        common_name: admitted.common_name().to_owned(),
        thumbprint: leaf.sha256(),
        not_before: leaf.not_before(),
        not_after: leaf.not_after(),
        key_type: admitted.key().name(),
        requester: wanted.requester,
        pinned_certificates: issuer.settings.pinned_certificates,
        der: leaf.der().to_vec(),
    };
    Ok(Signed {
        entry: Arc::new(entry),
        chain,
    })
}
