//! Symmetric keys of the role.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wire::edge_api::keys::{
    Ciphertext, Decrypt, DeriveKey, Encrypt, Encryption, ExportedKey, KeyDescription, KeyHandle,
    Plaintext, Sign, SignAlgorithm, Signature,
};
use zeroize::Zeroizing;

use super::Client;
use crate::{KeyError, KeyId, SecretKey};

struct RemoteSecret {
    client: Client,
    id: KeyId,
    fingerprint: String,
    handle: Mutex<String>,
}

pub(super) fn open(
    client: &Client,
    id: &KeyId,
    handle: String,
) -> Result<Arc<dyn SecretKey>, KeyError> {
    let key_handle = handle.clone();
    let about: KeyDescription = client.post("muster/key", &KeyHandle { key_handle })?;
    Ok(Arc::new(RemoteSecret {
        client: client.clone(),
        id: id.clone(),
        fingerprint: about.fingerprint,
        handle: Mutex::new(handle),
    }))
}

impl RemoteSecret {
    /// Does something with the handle of the key; with a new one when the old one is not known.
    fn with_handle<T>(&self, act: impl Fn(String) -> Result<T, KeyError>) -> Result<T, KeyError> {
        let handle = self.handle.lock();
        let handle = handle.unwrap_or_else(PoisonError::into_inner).clone();
        match act(handle) {
            Err(KeyError::Invalid(_)) => {
                let handle = self.client.existing("key", &self.id)?;
                let done = act(handle.clone())?;
                *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle;
                Ok(done)
            }
            other => other,
        }
    }

    fn derived(&self, base_key_handle: String, by: &[u8]) -> Result<String, KeyError> {
        let request = DeriveKey {
            base_key_handle,
            derivation_data: STANDARD.encode(by),
        };
        let answer: KeyHandle = self.client.post("derivedkey", &request)?;
        Ok(answer.key_handle)
    }

    fn hmac_by(&self, key_handle: String, message: &[u8]) -> Result<[u8; 32], KeyError> {
        let how = SignAlgorithm::HmacSha256 {
            message: STANDARD.encode(message),
        };
        let answer: Signature = self.client.post("sign", &Sign { key_handle, how })?;
        let signature = decoded(&answer.signature)?;
        let signature = signature.as_slice().try_into();
        signature.map_err(|_| KeyError::NoRole("its signature has another length".to_owned()))
    }
}

fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|error| KeyError::NoRole(error.to_string()))?;
    Ok(Zeroizing::new(bytes))
}

fn aead(iv: &[u8], aad: &[u8]) -> Encryption {
    Encryption::Aead {
        iv: STANDARD.encode(iv),
        aad: STANDARD.encode(aad),
    }
}

impl SecretKey for RemoteSecret {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn hmac(&self, message: &[u8]) -> Result<[u8; 32], KeyError> {
        self.with_handle(|handle| self.hmac_by(handle, message))
    }

    fn derived_hmac(&self, derivation: &[u8], message: &[u8]) -> Result<[u8; 32], KeyError> {
        self.with_handle(|handle| self.hmac_by(self.derived(handle, derivation)?, message))
    }

    fn export(&self, derivation: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.with_handle(|handle| {
            let key_handle = self.derived(handle, derivation)?;
            let key = KeyHandle { key_handle };
            let answer: ExportedKey = self.client.post("derivedkey/export", &key)?;
            decoded(&Zeroizing::new(answer.key))
        })
    }

    fn encrypt(&self, iv: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.with_handle(|key_handle| {
            let request = Encrypt {
                key_handle,
                how: aead(iv, aad),
                plaintext: STANDARD.encode(plaintext),
            };
            let answer: Ciphertext = self.client.post("encrypt", &request)?;
            Ok(decoded(&answer.ciphertext)?.to_vec())
        })
    }

    fn decrypt(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.with_handle(|key_handle| {
            let request = Decrypt {
                key_handle,
                how: aead(iv, aad),
                ciphertext: STANDARD.encode(ciphertext),
            };
            let answer: Plaintext = self.client.post("decrypt", &request)?;
            decoded(&answer.plaintext)
        })
    }
}

impl fmt::Debug for RemoteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteSecret({}, {})", self.id, self.fingerprint)
    }
}
