//! Private keys in PKCS#11 tokens.
//!
//! A library is loaded only from a file that the operator of the machine named
//! ([`AllowedLibraries`]), never because a request says so. One thread per library owns its sessions:
//! PKCS#11 is initialised and logged in per program, and a library that hangs must not take callers
//! with it.

mod allowed;
mod error;
mod library;
mod session;
mod uri;

use std::fmt;
use std::sync::Arc;

use pki::{PublicKey, SignError, SignatureScheme, Signer, TokenKey};
use zeroize::Zeroizing;

pub use allowed::AllowedLibraries;
pub use error::{KeyLocation, TokenError};
pub use library::Libraries;
use library::Library;
pub use uri::{PinSource, TokenUri};

/// A key in a token: which one, and what opens it.
#[derive(Clone)]
pub struct TokenKeyReference {
    /// The file of the PKCS#11 library.
    pub library: std::path::PathBuf,
    /// The token and the key in it.
    pub uri: TokenUri,
    /// The PIN of the user.
    pub pin: Zeroizing<String>,
}

impl fmt::Debug for TokenKeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.uri, self.library.display())
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

    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signed = self.library.sign(&self.reference, scheme, message);
        signed.map_err(SignError::new)
    }
}

impl fmt::Debug for KeyInToken {
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
}
