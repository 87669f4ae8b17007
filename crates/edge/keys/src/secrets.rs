//! Symmetric keys.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use pkcs11::SecretInToken;
use zeroize::Zeroizing;

use crate::aead::{self, Encrypted};
use crate::{KeyError, KeyId};

/// What a symmetric key that is set may have, bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 1..=256;

/// A symmetric key that stays where it is.
pub trait SecretKey: fmt::Debug + Send + Sync {
    /// Hexadecimal digits that another key does not have.
    fn fingerprint(&self) -> &str;

    /// HMAC-SHA256 of a message.
    fn hmac(&self, message: &[u8]) -> Result<[u8; 32], KeyError>;

    /// HMAC-SHA256 of a message with the key that is derived by `derivation`.
    fn derived_hmac(&self, derivation: &[u8], message: &[u8]) -> Result<[u8; 32], KeyError>;

    /// The key that is derived by `derivation`: HMAC-SHA256 of it.
    fn export(&self, derivation: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// Encrypts for [`decrypt`](Self::decrypt) with the same `iv` and `aad`.
    fn encrypt(&self, iv: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError>;

    fn decrypt(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// A symmetric key of the role.
#[derive(Clone)]
pub(crate) struct Secret {
    fingerprint: String,
    place: String,
    location: Location,
}

#[derive(Clone)]
enum Location {
    Memory(Zeroizing<Vec<u8>>),
    Token(SecretInToken),
}

impl Secret {
    pub(crate) fn in_memory(
        bytes: Zeroizing<Vec<u8>>,
        id: &KeyId,
        place: String,
    ) -> Result<Self, KeyError> {
        if !LENGTHS.contains(&bytes.len()) {
            return Err(KeyError::unavailable(format!(
                "the symmetric key {id} ({place}) has {} bytes; {} to {} are possible",
                bytes.len(),
                LENGTHS.start(),
                LENGTHS.end()
            )));
        }
        Ok(Self {
            fingerprint: short(digest(&SHA256, &bytes).as_ref()),
            place,
            location: Location::Memory(bytes),
        })
    }

    pub(crate) fn in_token(key: SecretInToken) -> Result<Self, KeyError> {
        let mark = key.hmac(b"muster-fingerprint")?;
        Ok(Self {
            fingerprint: short(&mark),
            place: format!("{key:?}"),
            location: Location::Token(key),
        })
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// The key that is derived by `derivation`.
    pub(crate) fn derived(&self, derivation: &[u8]) -> Result<Self, KeyError> {
        let bytes = self.export(derivation)?;
        Ok(Self {
            fingerprint: short(digest(&SHA256, &bytes).as_ref()),
            place: format!("derived from {}", self.place),
            location: Location::Memory(bytes),
        })
    }

    fn decrypt_azures(
        &self,
        iv: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.location {
            Location::Memory(bytes) => aead::open(bytes, iv, aad, sealed),
            Location::Token(_) => Err(KeyError::invalid(
                "a key in a token reads only what it has encrypted itself",
            )),
        }
    }
}

/// Enough to recognise another key, and far too little to guess it.
fn short(hash: &[u8]) -> String {
    let first = hash.iter().take(8);
    first.map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<Vec<u8>> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    Zeroizing::new(tag.as_ref().to_vec())
}

fn array(bytes: &[u8]) -> Result<[u8; 32], KeyError> {
    let unusable = || KeyError::unavailable("the token gives no HMAC-SHA256 of 32 bytes");
    bytes.try_into().map_err(|_| unusable())
}

impl SecretKey for Secret {
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn hmac(&self, message: &[u8]) -> Result<[u8; 32], KeyError> {
        match &self.location {
            Location::Memory(bytes) => array(&hmac_sha256(bytes, message)),
            Location::Token(key) => array(&key.hmac(message)?),
        }
    }

    fn derived_hmac(&self, derivation: &[u8], message: &[u8]) -> Result<[u8; 32], KeyError> {
        array(&hmac_sha256(&self.export(derivation)?, message))
    }

    fn export(&self, derivation: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(self.hmac(derivation)?.to_vec()))
    }

    fn encrypt(&self, iv: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let key = self.export(&aead::derivation(iv))?;
        aead::encrypt(&key, aad, plaintext)
    }

    fn decrypt(
        &self,
        iv: &[u8],
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match aead::read(ciphertext)? {
            Encrypted::Ours { nonce, sealed } => {
                let key = self.export(&aead::derivation(iv))?;
                aead::open(&key, &nonce, aad, sealed)
            }
            Encrypted::Azures(sealed) => self.decrypt_azures(iv, aad, &sealed),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, {})", self.fingerprint, self.place)
    }
}
