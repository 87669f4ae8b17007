//! A hierarchy in a folder: root, intermediate, device identities.

mod identity;
mod initialize;
mod verification;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ids::Timestamp;
use pki::{Certificate, Issuer, KeyType};
use zeroize::Zeroizing;

pub use crate::layout::CaPaths;
use crate::{CaError, files, layout};
pub use identity::{EdgeIdentity, Existing, IdentityOptions, IssueOutcome};
pub use verification::Signer;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The options of a new hierarchy. No certificate is valid longer than its issuer, and roots are
/// valid longer than intermediates and leaves.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The type of the two CA keys.
    pub key_type: KeyType,
    /// How many days the root is valid.
    pub root_days: u32,
    /// How many days the intermediate is valid; `None` is five years, or as long as the root
    /// if that is shorter.
    pub intermediate_days: Option<u32>,
    /// Encrypts the private keys of root and intermediate.
    pub passphrase: Option<Zeroizing<String>>,
    /// Replaces an existing hierarchy. The identities that it issued are no longer trusted.
    pub force: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        Self {
            key_type: KeyType::Ec,
            root_days: 3650,
            intermediate_days: None,
            passphrase: None,
            force: false,
        }
    }
}

/// An open hierarchy. It holds the key of the intermediate, and issues with it. The root's key is
/// only read to prove possession of it.
#[derive(Debug)]
pub struct CaDirectory {
    dir: PathBuf,
    root: Certificate,
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
        let certificate = files::read_certificate(&intermediate.certificate)?;
        let key = files::read_key(&intermediate.key, passphrase)?;
        let issuer = Issuer::new(certificate, key).map_err(|source| CaError::Issuer {
            path: intermediate.certificate,
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            root: files::read_certificate(&root.certificate)?,
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

    #[must_use]
    pub fn root_paths(&self) -> CaPaths {
        layout::root(&self.dir)
    }

    #[must_use]
    pub fn intermediate_paths(&self) -> CaPaths {
        layout::intermediate(&self.dir)
    }

    /// The files of an identity of this name, existing or not.
    #[must_use]
    pub fn identity_paths(&self, name: &str) -> CaPaths {
        layout::edge_identity(&self.dir, name)
    }
}

pub(crate) fn days(days: u32) -> Duration {
    DAY * days
}
