//! The seam between the device's X.509 identity and its use.

use ids::{Thumbprint, Timestamp};
use pki::Certificate;
use tokio::sync::watch;

use super::identity_files::IdentityFiles;
use super::issuer::IssuanceError;
use super::managed::{Managed, ManagedError};

/// The X.509 identity of the device, which changes while it runs.
///
/// The connection reads [`held`](Self::held), tries its entries in their order, and says which of
/// them the hub accepted. During a renewal there are two: the newest comes first, and the other one
/// stays until the hub has accepted the newest.
pub trait IdentitySource: std::fmt::Debug + Send + Sync {
    /// What the device can present now, the newest first. Empty while its first certificate is
    /// not issued.
    fn held(&self, now: Timestamp) -> Result<Vec<device::Identity>, ManagedError>;

    /// The certificate that the device registers with, where that is another one than those that
    /// are held.
    fn bootstrap(&self) -> Option<Result<device::Identity, IssuanceError>>;

    /// The certificate request (PKCS#10, DER) that the next registration has to carry, because the
    /// provisioning service issues the certificate; `None` when it does not, or need not now.
    fn to_register(&self, now: Timestamp) -> Option<Vec<u8>>;

    /// What the registration answered [`to_register`](Self::to_register) with, leaf first.
    fn registered(&self, chain: Vec<Certificate>, now: Timestamp) -> Result<(), ManagedError>;

    /// The hub accepted the device with the certificate of this thumbprint. It is at least the time
    /// `passed`.
    fn accepted(&self, leaf: &Thumbprint, passed: Timestamp) -> Result<(), ManagedError>;

    /// The hub refused the device with this certificate, **and accepted another one** of
    /// [`held`](Self::held).
    fn refused(&self, leaf: &Thumbprint) -> Result<(), ManagedError>;

    /// Changes whenever `held` or `to_register` may answer differently.
    fn changes(&self) -> watch::Receiver<u64>;

    /// Why there is no certificate, or no newer one, if the last attempt failed.
    fn problem(&self) -> Option<String>;
}

impl IdentitySource for Managed {
    fn held(&self, now: Timestamp) -> Result<Vec<device::Identity>, ManagedError> {
        let all = self.presentable(now)?;
        Ok(all.into_iter().map(|one| one.identity).collect())
    }

    fn bootstrap(&self) -> Option<Result<device::Identity, IssuanceError>> {
        self.wanted().bootstrap.as_ref().map(IdentityFiles::read)
    }

    fn to_register(&self, now: Timestamp) -> Option<Vec<u8>> {
        self.request_for_registration(now)
    }

    fn registered(&self, chain: Vec<Certificate>, now: Timestamp) -> Result<(), ManagedError> {
        match self.pending(now) {
            Some(key) => self.issued(&key, chain),
            None => Ok(()),
        }
    }

    fn accepted(&self, leaf: &Thumbprint, passed: Timestamp) -> Result<(), ManagedError> {
        if self.proven(leaf, passed)? {
            tracing::info!(certificate = %self.wanted().id, "the hub accepted the new certificate");
        }
        Ok(())
    }

    fn refused(&self, leaf: &Thumbprint) -> Result<(), ManagedError> {
        if self.disproven(leaf)? {
            tracing::warn!(
                certificate = %self.wanted().id,
                "the hub refused the new certificate and accepted the old one; another one is \
                 requested"
            );
        }
        Ok(())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Self::changes(self)
    }

    fn problem(&self) -> Option<String> {
        Self::problem(self)
    }
}
