//! Key pairs of the role.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::{PublicKey, SignError, SignatureScheme, Signer, TokenKey};
use wire::edge_api::keys::{KeyHandle, KeyPairDescription, SignWithScheme, Signature};

use super::Client;
use crate::store::OpenPair;
use crate::{KeyError, KeyId, scheme};

struct RemotePair {
    client: Client,
    id: KeyId,
    public: PublicKey,
    place: String,
    handle: Mutex<String>,
}

pub(super) fn open(client: &Client, id: &KeyId, handle: String) -> Result<OpenPair, KeyError> {
    let key_handle = handle.clone();
    let about: KeyPairDescription = client.post("muster/keypair", &KeyHandle { key_handle })?;
    let unknown = || KeyError::NoRole(format!("it describes the key {id} in another way"));
    let kind = scheme::kind(&about.kind).ok_or_else(unknown)?;
    let bits = STANDARD.decode(&about.public_key).map_err(|_| unknown())?;
    let place = about.place;
    Ok(OpenPair {
        place: place.clone(),
        signer: Signer::in_token(Arc::new(RemotePair {
            client: client.clone(),
            id: id.clone(),
            public: PublicKey::from_bits(kind, &bits),
            place,
            handle: Mutex::new(handle),
        })),
    })
}

impl RemotePair {
    fn ask(&self, scheme: SignatureScheme, input: &[u8]) -> Result<Vec<u8>, KeyError> {
        let handle = self.handle.lock();
        let handle = handle.unwrap_or_else(PoisonError::into_inner).clone();
        match self.sign_by(handle, scheme, input) {
            // Its folder may have been exchanged, and with it the key of handles.
            Err(KeyError::Invalid(_)) => {
                let handle = self.client.existing("keypair", &self.id)?;
                let signature = self.sign_by(handle.clone(), scheme, input)?;
                *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = handle;
                Ok(signature)
            }
            other => other,
        }
    }

    fn sign_by(
        &self,
        key_handle: String,
        scheme: SignatureScheme,
        input: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let request = SignWithScheme {
            key_handle,
            scheme: scheme::name(scheme).to_owned(),
            input: STANDARD.encode(input),
        };
        let answer: Signature = self.client.post("muster/sign", &request)?;
        let signature = STANDARD.decode(&answer.signature);
        signature.map_err(|error| KeyError::NoRole(error.to_string()))
    }
}

impl TokenKey for RemotePair {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, SignError> {
        self.ask(scheme, digest).map_err(SignError::new)
    }

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let digest = scheme.digest(message);
        let input = digest.as_deref().unwrap_or(message);
        self.ask(scheme, input).map_err(SignError::new)
    }
}

impl fmt::Debug for RemotePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemotePair({} in {})", self.id, self.place)
    }
}
