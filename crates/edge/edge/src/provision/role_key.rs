//! The device's symmetric key, as the role that holds the keys signs with it.

use std::sync::Arc;

use device::{KeySigner, SignError, Signing};
use keys::{KeyError, KeyId, KeyStore, SecretKey};
use tokio::task::spawn_blocking;

/// The device's symmetric key. Its bytes are in the role.
#[derive(Debug, Clone)]
pub struct RoleKey {
    key: Arc<dyn SecretKey>,
    mark: [u8; 32],
}

impl RoleKey {
    /// Opens the key. Blocks.
    pub fn open(keys: &dyn KeyStore) -> Result<Self, KeyError> {
        let key = keys.secret(&KeyId::device())?;
        // What it signs tells keys apart, and says nothing about the key.
        let mark = key.hmac(b"which key this is")?;
        Ok(Self { key, mark })
    }

    /// Bytes that another key does not have.
    #[must_use]
    pub fn mark(&self) -> &[u8] {
        &self.mark
    }
}

impl KeySigner for RoleKey {
    fn sign<'a>(&'a self, data: &'a [u8]) -> Signing<'a> {
        let (key, data) = (self.key.clone(), data.to_vec());
        Box::pin(async move {
            let signed = spawn_blocking(move || key.hmac(&data)).await;
            let signed = signed.map_err(|error| SignError::Key(error.to_string()))?;
            signed.map_err(|error| SignError::Key(error.to_string()))
        })
    }
}
