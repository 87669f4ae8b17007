//! The TPM of a device, as registration and tokens need it. The device crate knows no TPM command:
//! the program that uses it brings an implementation.

use std::fmt;
use std::sync::Arc;

use crate::{SignError, Signer};

/// A TPM that proves which device this is. Calls block, for seconds on slow chips.
pub trait Tpm: fmt::Debug + Send + Sync {
    /// The public halves of the endorsement key and the storage root key.
    fn public_keys(&self) -> Result<TpmPublicKeys, TpmFault>;

    /// Takes over a key that a provisioning service wrapped for this TPM.
    fn import(&self, blob: &[u8]) -> Result<TpmKey, TpmFault>;

    /// Computes the HMAC-SHA256 of `data` with a key that was taken over.
    fn sign(&self, key: &TpmKey, data: &[u8]) -> Result<[u8; 32], TpmFault>;
}

/// The public halves of the keys of a TPM, each a `TPM2B_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmPublicKeys {
    pub endorsement: Vec<u8>,
    pub storage_root: Vec<u8>,
}

/// A key that a TPM took over, encrypted by that TPM and of use to it alone. It may be in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmKey(Vec<u8>);

impl TpmKey {
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a failure of a TPM means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TpmFaultKind {
    /// The same call may succeed later: the TPM is not reached, or is busy.
    Transient,
    /// The TPM does not have the key that was taken over: its ownership was cleared, or it is
    /// another TPM. Another registration gives it a key.
    KeyLost,
    /// Only a change of the configuration or of the TPM helps.
    Lasting,
}

/// Why a TPM did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TpmFault {
    pub kind: TpmFaultKind,
    pub message: String,
}

impl TpmFault {
    fn cancelled() -> Self {
        Self {
            kind: TpmFaultKind::Transient,
            message: "the call to the TPM did not end".to_owned(),
        }
    }
}

/// Calls a TPM on a thread where blocking does no harm.
pub(crate) async fn call<T: Send + 'static>(
    tpm: &Arc<dyn Tpm>,
    act: impl FnOnce(&dyn Tpm) -> Result<T, TpmFault> + Send + 'static,
) -> Result<T, TpmFault> {
    let tpm = tpm.clone();
    let called = tokio::task::spawn_blocking(move || act(&*tpm)).await;
    called.unwrap_or_else(|_| Err(TpmFault::cancelled()))
}

/// Signs tokens with a key in a TPM.
#[derive(Debug, Clone)]
pub struct TpmSigner {
    pub tpm: Arc<dyn Tpm>,
    pub key: TpmKey,
}

impl Signer for TpmSigner {
    async fn sign(&self, data: &[u8]) -> Result<[u8; 32], SignError> {
        let (key, data) = (self.key.clone(), data.to_vec());
        Ok(call(&self.tpm, move |tpm| tpm.sign(&key, &data)).await?)
    }
}
