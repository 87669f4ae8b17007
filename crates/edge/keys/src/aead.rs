//! Encryption with a symmetric key.
//!
//! The original uses the caller's initialization vector as the nonce of AES-256-GCM. Modules give
//! the same one for everything they encrypt, which would reveal what two plaintexts have in common
//! and let others forge. So here the vector selects a key, and the nonce is random:
//!
//! ```text
//!  3 ‖ nonce (12) ‖ AES-256-GCM(key = HMAC-SHA256(secret, label ‖ iv), nonce, aad, plaintext)
//! ```
//!
//! What Azure's daemon wrote with a vector of 12 bytes is read: `2 ‖ ciphertext ‖ tag` and
//! `1 ‖ tag ‖ ciphertext`, under the secret itself.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand::fill;
use zeroize::Zeroizing;

use crate::KeyError;

const OURS: u8 = 3;
const AZURE: u8 = 2;
const AZURE_BEFORE: u8 = 1;
/// The tag of AES-GCM, bytes.
const TAG: usize = 16;

/// What the key of a vector is computed from.
pub(crate) fn derivation(iv: &[u8]) -> Vec<u8> {
    [b"muster-aead-3:".as_slice(), iv].concat()
}

fn failed() -> KeyError {
    KeyError::invalid(
        "it cannot be decrypted: another key, initialization vector or module encrypted it, or it \
         has been changed",
    )
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, KeyError> {
    let key = UnboundKey::new(&AES_256_GCM, key);
    let key = key.map_err(|_| KeyError::invalid("a key that encrypts has 32 bytes"))?;
    Ok(LessSafeKey::new(key))
}

/// Encrypts with the key of a vector.
pub(crate) fn encrypt(key: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
    let unusable = || KeyError::unavailable("the cryptographic library does not encrypt");
    let mut nonce = [0; NONCE_LEN];
    fill(&mut nonce).map_err(|_| unusable())?;
    let mut sealed = plaintext.to_vec();
    cipher(key)?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut sealed,
        )
        .map_err(|_| unusable())?;
    Ok([&[OURS], nonce.as_slice(), &sealed].concat())
}

/// What was encrypted, by its first byte.
pub(crate) enum Encrypted<'a> {
    /// Under the key of the vector.
    Ours {
        nonce: [u8; NONCE_LEN],
        sealed: &'a [u8],
    },
    /// Under the secret itself, the vector as nonce, the tag at the end.
    Azures(Vec<u8>),
}

pub(crate) fn read(blob: &[u8]) -> Result<Encrypted<'_>, KeyError> {
    match blob {
        [OURS, rest @ ..] => {
            let (nonce, sealed) = rest.split_first_chunk().ok_or_else(failed)?;
            Ok(Encrypted::Ours {
                nonce: *nonce,
                sealed,
            })
        }
        [AZURE, rest @ ..] => Ok(Encrypted::Azures(rest.to_vec())),
        [AZURE_BEFORE, rest @ ..] => {
            let (tag, ciphertext) = rest.split_at_checked(TAG).ok_or_else(failed)?;
            Ok(Encrypted::Azures([ciphertext, tag].concat()))
        }
        _ => Err(failed()),
    }
}

/// Whether this is the form in which Azure's daemon encrypts.
#[must_use]
pub fn is_azures_ciphertext(blob: &[u8]) -> bool {
    matches!(blob.first(), Some(&(AZURE | AZURE_BEFORE)))
}

/// Decrypts what ends with its tag.
pub(crate) fn open(
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| {
        KeyError::invalid(
            "what Azure's runtime encrypted is read only if its initialization vector has 12 bytes",
        )
    })?;
    let mut text = Zeroizing::new(sealed.to_vec());
    let opened = cipher(key)?.open_in_place(nonce, Aad::from(aad), &mut text);
    let length = opened.map_err(|_| failed())?.len();
    text.truncate(length);
    Ok(text)
}
