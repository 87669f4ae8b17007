//! What issues certificates to the device, by method: an EST server, a CA on the device, the
//! certificate's own key, the hub.

use std::sync::Arc;
use std::time::Duration;

use device::est::{EstClient, EstCredential, EstError, EstPassword, EstServer};
use device::{RenewalError, Trust};
use ids::{Timestamp, error_chain};
use pki::{Certificate, IssueError, Issuer, Serial, Signer, Validity, prepare};

use super::hub_issuer::HubIssuer;
use super::identity_files::IdentityFiles;
use super::managed::{ManagedError, Wanted};

/// How long a certificate is valid when nothing is said, as in Azure's runtime.
pub const USUAL_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// What a certificate is issued for.
#[derive(Debug)]
pub struct Request<'r> {
    pub wanted: &'r Wanted,
    /// PKCS#10, DER.
    pub csr: &'r [u8],
    pub key: &'r Signer,
    /// The certificate that it follows, with which the device may prove itself.
    pub current: Option<device::Identity>,
    pub now: Timestamp,
}

/// An issuer of certificates of the device.
#[derive(Debug)]
pub enum CertificateIssuer {
    Est(Box<EstIssuer>),
    /// A CA of this device.
    LocalCa {
        ca: Arc<dyn LocalCa>,
        lifetime: Duration,
    },
    SelfSigned {
        lifetime: Duration,
    },
    /// The hub; the provisioning service for the first one.
    Hub(HubIssuer),
}

/// A CA whose key this device can use.
pub trait LocalCa: std::fmt::Debug + Send + Sync {
    /// Its certificate with those above it, and what signs with it.
    fn open(&self) -> Result<OpenCa, IssuanceError>;
}

/// A CA that may issue.
#[derive(Debug)]
pub struct OpenCa {
    pub issuer: Issuer,
    /// Its certificate first.
    pub chain: Vec<Certificate>,
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    #[error(transparent)]
    Est(#[from] EstError),
    #[error("the credential for the EST server cannot be used")]
    EstCredential(#[source] Box<IssuanceError>),
    #[error(transparent)]
    Hub(#[from] RenewalError),
    /// Not a failure: the registration carries the request.
    #[error("the provisioning service issues the certificate with the next registration")]
    AtRegistration,
    #[error("the certificate cannot be issued on this device")]
    Issue(#[from] IssueError),
    #[error(transparent)]
    Managed(#[from] Box<ManagedError>),
    /// A file of the configuration, or what it depends on.
    #[error("{0}")]
    Files(String),
    #[error("the CA has no certificate yet")]
    NoCa,
    #[error("the hub refused the new certificate and accepts the one before")]
    Refused,
}

impl From<ManagedError> for IssuanceError {
    fn from(error: ManagedError) -> Self {
        Self::Managed(Box::new(error))
    }
}

impl IssuanceError {
    /// The pause that a server asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Est(error) => error.retry_after(),
            Self::Hub(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// An EST server, and how the device proves itself to it.
#[derive(Debug)]
pub struct EstIssuer {
    pub server: EstServer,
    pub trust: Trust,
    pub password: Option<EstPassword>,
    pub client: EstClientCertificate,
}

/// The client certificate for an EST server.
#[derive(Debug)]
pub enum EstClientCertificate {
    /// The certificate that is renewed, as soon as there is one.
    Own,
    /// Files that the owner renews.
    Files(IdentityFiles),
    /// Files for the first certificate; that one from then on.
    Bootstrap(IdentityFiles),
}

impl CertificateIssuer {
    /// Issues a certificate: one attempt. The chain has the certificate first.
    pub async fn issue(&self, request: &Request<'_>) -> Result<Vec<Certificate>, IssuanceError> {
        match self {
            Self::Est(est) => est.issue(request).await,
            Self::LocalCa { ca, lifetime } => by_local_ca(&ca.open()?, *lifetime, request),
            Self::SelfSigned { lifetime } => by_itself(*lifetime, request),
            Self::Hub(hub) => hub.issue(request).await,
        }
    }
}

fn by_local_ca(
    ca: &OpenCa,
    lifetime: Duration,
    request: &Request<'_>,
) -> Result<Vec<Certificate>, IssuanceError> {
    let leaf = sign(Some(&ca.issuer), lifetime, request)?;
    Ok(std::iter::once(leaf)
        .chain(ca.chain.iter().cloned())
        .collect())
}

fn by_itself(lifetime: Duration, request: &Request<'_>) -> Result<Vec<Certificate>, IssuanceError> {
    Ok(vec![sign(None, lifetime, request)?])
}

fn sign(
    issuer: Option<&Issuer>,
    lifetime: Duration,
    request: &Request<'_>,
) -> Result<Certificate, IssuanceError> {
    let Wanted {
        profile, subject, ..
    } = request.wanted;
    let (validity, serial) = (Validity::UpTo(lifetime), Serial::random()?);
    let prepared = prepare(
        profile.clone(),
        subject,
        issuer,
        validity,
        serial,
        request.now,
    )?;
    let linted = prepared.lint().map_err(IssueError::from)?;
    Ok(linted.sign(request.key)?)
}

/// Whether what the device has got is not accepted any more. What it began with may be.
fn rejects_credential(error: &EstError) -> bool {
    match error {
        EstError::Unauthorized { .. } => true,
        EstError::Refused { .. } => !error.is_transient(),
        EstError::Connection(_) | EstError::Pending { .. } | EstError::Answer { .. } => false,
    }
}

impl EstIssuer {
    async fn issue(&self, request: &Request<'_>) -> Result<Vec<Certificate>, IssuanceError> {
        let (identity, renews) = self.identity(request)?;
        match self.enroll(request, identity, renews).await {
            Err(IssuanceError::Est(refusal))
                if renews && rejects_credential(&refusal) && self.has_another_way() =>
            {
                self.begin_again(request, refusal).await
            }
            other => other,
        }
    }

    /// Enrolls with what the device began with. A server that asks for time gets it; any other
    /// failure is the refusal of the renewal.
    async fn begin_again(
        &self,
        request: &Request<'_>,
        refusal: EstError,
    ) -> Result<Vec<Certificate>, IssuanceError> {
        let enrolled = match self.first_identity() {
            Ok(first) => self.enroll(request, first, false).await,
            Err(error) => Err(error),
        };
        match enrolled {
            Err(IssuanceError::Est(error)) if error.is_transient() => Err(error.into()),
            Err(error) => {
                tracing::warn!(
                    certificate = %request.wanted.id,
                    error = %error_chain(&error),
                    "the EST server refuses what the device began with, too"
                );
                Err(refusal.into())
            }
            enrolled => enrolled,
        }
    }

    async fn enroll(
        &self,
        request: &Request<'_>,
        identity: Option<device::Identity>,
        renews: bool,
    ) -> Result<Vec<Certificate>, IssuanceError> {
        let credential = EstCredential {
            identity,
            password: self.password.clone(),
        };
        let client = EstClient::new(self.server.clone(), &self.trust, &credential);
        let key = request.key.public_key();
        Ok(client.enroll(request.csr, key, renews).await?)
    }

    /// The client certificate, and whether it is the one that is renewed.
    fn identity(
        &self,
        request: &Request<'_>,
    ) -> Result<(Option<device::Identity>, bool), IssuanceError> {
        let current = request.current.as_ref();
        let current = current.filter(|current| current.leaf().not_after() >= request.now);
        match &self.client {
            EstClientCertificate::Own | EstClientCertificate::Bootstrap(_) if current.is_some() => {
                Ok((current.cloned(), true))
            }
            _ => Ok((self.first_identity()?, false)),
        }
    }

    /// The client certificate of a device that has got none yet.
    fn first_identity(&self) -> Result<Option<device::Identity>, IssuanceError> {
        match &self.client {
            EstClientCertificate::Own => Ok(None),
            EstClientCertificate::Files(files) | EstClientCertificate::Bootstrap(files) => {
                let read = files.read();
                let read = read.map_err(|error| IssuanceError::EstCredential(Box::new(error)))?;
                Ok(Some(read))
            }
        }
    }

    fn has_another_way(&self) -> bool {
        match &self.client {
            EstClientCertificate::Bootstrap(_) => true,
            EstClientCertificate::Own => self.password.is_some(),
            EstClientCertificate::Files(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
