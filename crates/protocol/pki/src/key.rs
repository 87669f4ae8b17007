//! Private keys: read from what tools write, kept in zeroized memory, never shown.

mod decode;
mod encrypt;
mod ml_dsa;
mod pair;
mod public;
mod rcgen_key;
mod signer;
mod tls;

use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use crate::Certificate;
use crate::cert::encode_pem;
pub(crate) use encrypt::ITERATIONS;
pub use encrypt::{seal, unseal};
pub use ml_dsa::MlDsa;
use pair::KeyPair;
pub use public::{KeyAlgorithm, PublicKey};
pub(crate) use rcgen_key::RcgenKey;
pub use signer::{RsaHash, SignError, SignatureScheme, Signer, TokenKey, ecdsa_signature_der};

/// What kind of key to make. P-256 unless something old asks for RSA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyType {
    /// ECDSA with the curve P-256.
    #[default]
    Ec,
    /// ECDSA with the curve P-384.
    Ec384,
    /// RSA of 2048 bits.
    Rsa2048,
    /// RSA of 3072 bits.
    Rsa3072,
    /// RSA of 4096 bits.
    Rsa4096,
    /// ML-DSA, an experiment.
    MlDsa(MlDsa),
}

/// Why a private key could not be read, made or written. Never carries key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No private key block.
    #[error("there is no private key in it (no -----BEGIN … PRIVATE KEY----- block)")]
    NoKey,
    /// A certificate where a key was meant.
    #[error("it holds a certificate and no private key; is this the certificate file?")]
    CertificateInstead,
    /// More than one key.
    #[error("it holds several private keys, one is wanted")]
    Several,
    /// The PEM or DER is broken, or the kind of key is not supported.
    #[error("the private key cannot be read: {0}")]
    Unreadable(String),
    /// An encrypted key and no passphrase.
    #[error(
        "the private key is encrypted; give its passphrase, or decrypt it with: openssl pkey -in \
         OLD -out NEW"
    )]
    PassphraseNeeded,
    /// The passphrase does not open it.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// Encryption that is not PBES2 with AES: DEK-Info blocks of OpenSSL before 3.0, or DES as
    /// `openssl req` still uses.
    #[error(
        "the private key is encrypted in an old form (DES, or an OpenSSL DEK-Info block); convert \
         it with: openssl pkcs8 -topk8 -in OLD -out NEW, or decrypt it with: openssl pkey -in OLD \
         -out NEW"
    )]
    OldEncryption,
    /// The library could not make or encode it.
    #[error("the private key could not be {0}")]
    Failed(&'static str),
}

/// The key and the certificate do not belong together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the private key does not belong to the certificate of {subject}; they are from different \
     requests, give the pair that was made together"
)]
pub struct KeyMismatch {
    subject: String,
}

/// Proof that a private key belongs to a certificate. Only [`PublicKey::matches`]
/// makes one.
#[derive(Debug, Clone)]
pub struct KeyMatches(Certificate);

impl KeyMatches {
    /// The certificate that the key belongs to.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.0
    }
}

/// A private key whose bytes are here. RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519 or
/// ML-DSA.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    signer: Signer,
}

impl PrivateKey {
    fn new(pair: KeyPair, pkcs8: Zeroizing<Vec<u8>>) -> Self {
        Self {
            pkcs8,
            signer: Signer::in_memory(pair),
        }
    }

    /// Makes a new key. Randomness is the operating system's, through aws-lc.
    ///
    /// # Errors
    /// When the library has no randomness or memory.
    pub fn generate(kind: KeyType) -> Result<Self, KeyError> {
        let (pair, pkcs8) = KeyPair::generate(kind)?;
        Ok(Self::new(pair, pkcs8))
    }

    /// Reads the private key of a PEM text: PKCS#8, PKCS#1, SEC1 or, with
    /// `passphrase`, encrypted PKCS#8 (PBES2).
    ///
    /// Other blocks (parameters, certificates) may stand around it. A passphrase that is
    /// not needed is ignored.
    ///
    /// # Errors
    /// When there is no key or several, its kind is not supported, or the passphrase
    /// is missing or wrong.
    pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        decode::from_pem(text, passphrase)
    }

    /// Reads a key from unencrypted DER: PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// When the bytes are no key of a supported kind.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let (pair, pkcs8) = KeyPair::from_der(der)?;
        Ok(Self::new(pair, pkcs8))
    }

    /// The key as unencrypted DER PKCS#8, borrowed.
    #[must_use]
    pub fn pkcs8_der(&self) -> PrivatePkcs8KeyDer<'_> {
        PrivatePkcs8KeyDer::from(self.pkcs8.as_slice())
    }

    /// The key as an unencrypted PKCS#8 PEM block, zeroized when dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(encode_pem("PRIVATE KEY", &self.pkcs8))
    }

    /// The key as encrypted PKCS#8 PEM: PBES2 with PBKDF2-HMAC-SHA256 and
    /// AES-256-CBC, which OpenSSL opens.
    ///
    /// # Errors
    /// When the passphrase is empty or the library fails.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        encrypt::to_pem(&self.pkcs8, passphrase)
    }

    /// The public key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> Vec<u8> {
        self.signer.public_key().spki_der()
    }

    /// Proves that this key belongs to `certificate`.
    ///
    /// # Errors
    /// When the certificate carries another public key.
    pub fn matches(&self, certificate: &Certificate) -> Result<KeyMatches, KeyMismatch> {
        self.signer.matches(certificate)
    }
}

impl AsRef<Signer> for PrivateKey {
    fn as_ref(&self) -> &Signer {
        &self.signer
    }
}

impl Clone for PrivateKey {
    fn clone(&self) -> Self {
        Self {
            pkcs8: self.pkcs8.clone(),
            signer: self.signer.clone(),
        }
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PrivateKey({}, redacted)",
            self.signer.public_key().kind().name()
        )
    }
}
