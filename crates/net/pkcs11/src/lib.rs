//! Private keys in PKCS#11 tokens.
//!
//! A library is loaded only from a file that the operator of the machine named
//! ([`AllowedLibraries`]), never because a request says so. One thread per library owns its sessions:
//! PKCS#11 is initialised and logged in per program, and a library that hangs must not take callers
//! with it.

#![warn(missing_docs)]

mod allowed;
mod error;
mod library;
mod session;
mod uri;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pki::{KeyType, PublicKey, SignError, SignatureScheme, Signer, TokenKey};
use zeroize::Zeroizing;

pub use allowed::AllowedLibraries;
pub use error::{KeyLocation, TokenError};
pub use library::Libraries;
use library::Library;
use session::Sessions;
pub use session::make::KeyName;
pub use session::report::TokenReport;
pub use uri::{PinSource, SlotUri, TokenUri};

/// A key in a token: which one, and what opens it.
#[derive(Clone)]
pub struct TokenKeyReference {
    /// The file of the PKCS#11 library.
    pub library: PathBuf,
    /// The token and the key in it.
    pub uri: TokenUri,
    /// The PIN of the user. Without it, nobody logs in.
    pub pin: Option<Zeroizing<String>>,
}

impl fmt::Debug for TokenKeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.uri, self.library.display())
    }
}

/// A token in which keys are made: which one, and what opens it.
#[derive(Clone)]
pub struct SlotReference {
    /// The file of the PKCS#11 library.
    pub library: PathBuf,
    /// The token.
    pub uri: SlotUri,
    /// The PIN of the user. Without it, nobody logs in.
    pub pin: Option<Zeroizing<String>>,
}

impl fmt::Debug for SlotReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.uri, self.library.display())
    }
}

impl SlotReference {
    /// A key in this token.
    fn key(&self, uri: TokenUri) -> TokenKeyReference {
        TokenKeyReference {
            library: self.library.clone(),
            uri,
            pin: self.pin.clone(),
        }
    }
}

/// A key whose signatures are made by a token. It connects when it first signs.
struct KeyInToken {
    public: PublicKey,
    reference: Arc<TokenKeyReference>,
    library: Arc<Library>,
}

impl TokenKey for KeyInToken {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.library.sign(&self.reference, scheme, digest);
        signed.map_err(SignError::new)
    }
}

impl fmt::Debug for KeyInToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}

/// A secret key in a token, for HMAC-SHA256.
#[derive(Clone)]
pub struct SecretInToken {
    reference: Arc<TokenKeyReference>,
    library: Arc<Library>,
}

impl SecretInToken {
    /// HMAC-SHA256 of a message.
    pub fn hmac(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        let (key, message) = (self.reference.clone(), message.to_vec());
        self.library.call(library::PATIENCE, move |sessions| {
            sessions.hmac(&key, &message)
        })
    }
}

impl fmt::Debug for SecretInToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference.fmt(f)
    }
}

impl Libraries {
    /// The key of a certificate that was made before. The token is not asked.
    pub fn signer(
        &self,
        reference: TokenKeyReference,
        public: PublicKey,
    ) -> Result<Signer, TokenError> {
        let library = self.open(&reference.library)?;
        Ok(Signer::in_token(Arc::new(KeyInToken {
            public,
            reference: Arc::new(reference),
            library,
        })))
    }

    /// A key whose public half is read from the token.
    pub fn new_signer(&self, reference: TokenKeyReference) -> Result<Signer, TokenError> {
        let reference = Arc::new(reference);
        let library = self.open(&reference.library)?;
        let public = library.public_key(&reference)?;
        Ok(Signer::in_token(Arc::new(KeyInToken {
            public,
            reference,
            library,
        })))
    }

    /// A secret key. The token is not asked.
    pub fn secret(&self, reference: TokenKeyReference) -> Result<SecretInToken, TokenError> {
        let library = self.open(&reference.library)?;
        let uri = reference.uri.of_secret();
        Ok(SecretInToken {
            reference: Arc::new(TokenKeyReference { uri, ..reference }),
            library,
        })
    }

    /// Makes a key pair in a token. Its private half cannot leave it.
    pub fn make_pair(
        &self,
        slot: &SlotReference,
        name: KeyName<'_>,
        kind: KeyType,
    ) -> Result<TokenKeyReference, TokenError> {
        let (label, id, at) = (name.label.to_owned(), name.id.to_vec(), slot.clone());
        let made = self.make(slot, move |sessions| {
            let (label, id) = (label.as_str(), id.as_slice());
            sessions.make_pair(&at, &KeyName { label, id }, kind)
        });
        Ok(slot.key(made?))
    }

    /// Makes a secret key for HMAC-SHA256 in a token. It cannot leave it.
    pub fn make_secret(
        &self,
        slot: &SlotReference,
        name: KeyName<'_>,
    ) -> Result<TokenKeyReference, TokenError> {
        let (label, id, at) = (name.label.to_owned(), name.id.to_vec(), slot.clone());
        let made = self.make(slot, move |sessions| {
            let (label, id) = (label.as_str(), id.as_slice());
            sessions.make_secret(&at, &KeyName { label, id })
        });
        Ok(slot.key(made?))
    }

    fn make(
        &self,
        slot: &SlotReference,
        act: impl FnOnce(&mut Sessions) -> Result<TokenUri, TokenError> + Send + 'static,
    ) -> Result<TokenUri, TokenError> {
        let library = self.open(&slot.library)?;
        library.call(library::PATIENCE_TO_MAKE, act)
    }

    /// Where a key is: the slot and the label of its token.
    pub fn locate(&self, key: &TokenKeyReference) -> Result<KeyLocation, TokenError> {
        let (library, key) = (self.open(&key.library)?, key.clone());
        library.call(library::PATIENCE, move |sessions| sessions.locate(&key))
    }

    /// Destroys a key in its token. It may be gone already.
    pub fn destroy(&self, key: &TokenKeyReference) -> Result<(), TokenError> {
        let (library, key) = (self.open(&key.library)?, key.clone());
        library.call(library::PATIENCE, move |sessions| sessions.destroy(&key))
    }

    /// What a token can do.
    pub fn report(&self, slot: &SlotReference) -> Result<TokenReport, TokenError> {
        let (library, slot) = (self.open(&slot.library)?, slot.clone());
        library.call(library::PATIENCE, move |sessions| sessions.report(&slot))
    }
}
