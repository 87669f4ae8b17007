//! A hierarchy in a folder: root, intermediate, device identities.

mod initialize;
mod issue;
mod journal;
mod kind;
mod requests;
mod revocations;
mod roll;
mod sign_requests;
mod verification;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ids::Timestamp;
use pki::{Certificate, Issuer};

pub use crate::layout::{CaPaths, CrossPaths};
use crate::{CaError, files, layout};
pub use initialize::{ExternalRoot, InitOptions};
pub use issue::{Existing, IdentityOptions, IssueOutcome, IssuedIdentity};
pub use kind::IdentityKind;
pub use requests::RequestSource;
pub use revocations::{CertificateState, CrlOptions, RevocationChange, RevokedSince, WrittenCrl};
pub use roll::{RollOptions, RollStatus, RolledCa, RootRollOptions, RootRollStatus};
pub use sign_requests::{RefusedRequest, SignObserver, SignOptions, SignOutcome};
pub use verification::Signer;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An open hierarchy. It holds the key of the intermediate, and issues with it. The root's key is
/// only read to prove possession of it.
#[derive(Debug)]
pub struct CaDirectory {
    dir: PathBuf,
    root: Certificate,
    /// The certificates above the intermediate.
    above: Vec<Certificate>,
    issuer: Issuer,
}

impl CaDirectory {
    /// Makes root and intermediate in `dir`, and opens the hierarchy.
    ///
    /// # Errors
    /// When one of its files exists and `force` is off, or a file cannot be
    /// written. Names the file.
    pub fn init(dir: &Path, options: &InitOptions, now: Timestamp) -> Result<Self, CaError> {
        initialize::make(dir, options, now)
    }

    /// Opens a hierarchy made by [`init`](Self::init), or by Azure's scripts.
    pub fn open(dir: &Path, passphrase: Option<&[u8]>) -> Result<Self, CaError> {
        let (root, intermediate) = (layout::root(dir), layout::intermediate(dir));
        for wanted in [
            &root.certificate,
            &intermediate.certificate,
            &intermediate.key,
        ] {
            if !wanted.exists() {
                return Err(CaError::NotInitialized {
                    dir: dir.to_owned(),
                    missing: wanted.clone(),
                });
            }
        }
        roll::require_settled(dir)?;
        let issuer = open_issuer(&intermediate.certificate, &intermediate.key, passphrase)?;
        Ok(Self {
            dir: dir.to_owned(),
            root: files::read_certificate(&root.certificate)?,
            above: roll::issuers(dir, issuer.certificate())?,
            issuer,
        })
    }

    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    #[must_use]
    pub fn intermediate(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// The certificates above the intermediate, in order: the root alone, but while that is rolled.
    #[must_use]
    pub fn above_intermediate(&self) -> &[Certificate] {
        &self.above
    }

    #[must_use]
    pub fn root_paths(&self) -> CaPaths {
        layout::root(&self.dir)
    }

    #[must_use]
    pub fn intermediate_paths(&self) -> CaPaths {
        layout::intermediate(&self.dir)
    }

    /// The certificate followed by its issuers, PEM.
    fn chain_of(&self, certificate: &Certificate) -> String {
        let chain = [certificate, self.intermediate()].into_iter();
        chain.chain(&self.above).map(Certificate::to_pem).collect()
    }
}

/// Reads the certificate and the key of a CA, and proves that they belong together.
fn open_issuer(
    certificate: &Path,
    key: &Path,
    passphrase: Option<&[u8]>,
) -> Result<Issuer, CaError> {
    let key = files::read_key(key, passphrase)?;
    Issuer::new(files::read_certificate(certificate)?, key).map_err(|source| CaError::Issuer {
        path: certificate.to_owned(),
        source,
    })
}

pub(crate) fn days(days: u32) -> Duration {
    DAY * days
}
