//! A signer as rcgen wants it.

use std::sync::{Mutex, PoisonError};

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use super::{SignError, SignatureScheme, Signer};

/// A signer that signs certificates. rcgen's error says nothing, so the last one is kept here.
pub(crate) struct RcgenKey {
    signer: Signer,
    fault: Mutex<Option<SignError>>,
}

impl RcgenKey {
    pub(crate) fn new(signer: Signer) -> Self {
        Self {
            signer,
            fault: Mutex::new(None),
        }
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The last error. When several threads failed at once it may be another thread's, of the
    /// same key.
    pub(crate) fn last_fault(&self) -> Option<SignError> {
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone()
    }
}

impl PublicKeyData for RcgenKey {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key().bits()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.signer.public_key().kind().issuing()
    }
}

impl SigningKey for RcgenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let scheme = SignatureScheme::for_issuing(self.signer.public_key().kind());
        self.signer.sign(scheme, message).map_err(|error| {
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            rcgen::Error::RemoteKeyError
        })
    }
}
