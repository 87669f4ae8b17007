use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::pair::KeyPair;
use super::{KeyAlgorithm, KeyMatches, KeyMismatch, MlDsa, PrivateKey, PublicKey};
use crate::Certificate;
use crate::der::Writer;

/// How a message is hashed, padded and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureScheme {
    /// ECDSA with P-256 and SHA-256; the signature is DER.
    EcdsaP256Sha256,
    /// ECDSA with P-384 and SHA-384; the signature is DER.
    EcdsaP384Sha384,
    /// ECDSA with P-521 and SHA-512; the signature is DER.
    EcdsaP521Sha512,
    /// Ed25519 of the message itself.
    Ed25519,
    /// RSASSA-PKCS1-v1_5.
    RsaPkcs1(RsaHash),
    /// RSASSA-PSS, the salt as long as the hash.
    RsaPss(RsaHash),
    /// ML-DSA of the message itself, without a context.
    MlDsa(MlDsa),
}

/// The hash function of an RSA signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl SignatureScheme {
    /// The schemes that keys of a kind sign with. In TLS the first that the peer verifies is used.
    #[must_use]
    pub fn of_key(algorithm: KeyAlgorithm) -> &'static [Self] {
        match algorithm {
            KeyAlgorithm::P256 => &[Self::EcdsaP256Sha256],
            KeyAlgorithm::P384 => &[Self::EcdsaP384Sha384],
            KeyAlgorithm::P521 => &[Self::EcdsaP521Sha512],
            KeyAlgorithm::Ed25519 => &[Self::Ed25519],
            KeyAlgorithm::MlDsa(MlDsa::Level44) => &[Self::MlDsa(MlDsa::Level44)],
            KeyAlgorithm::MlDsa(MlDsa::Level65) => &[Self::MlDsa(MlDsa::Level65)],
            KeyAlgorithm::MlDsa(MlDsa::Level87) => &[Self::MlDsa(MlDsa::Level87)],
            KeyAlgorithm::Rsa => &[
                Self::RsaPss(RsaHash::Sha512),
                Self::RsaPss(RsaHash::Sha384),
                Self::RsaPss(RsaHash::Sha256),
                Self::RsaPkcs1(RsaHash::Sha512),
                Self::RsaPkcs1(RsaHash::Sha384),
                Self::RsaPkcs1(RsaHash::Sha256),
            ],
        }
    }

    /// The scheme of certificates, CRLs and OCSP answers: every verifier knows it.
    #[must_use]
    pub fn for_issuing(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::P256 => Self::EcdsaP256Sha256,
            KeyAlgorithm::P384 => Self::EcdsaP384Sha384,
            KeyAlgorithm::P521 => Self::EcdsaP521Sha512,
            KeyAlgorithm::Ed25519 => Self::Ed25519,
            KeyAlgorithm::Rsa => Self::RsaPkcs1(RsaHash::Sha256),
            KeyAlgorithm::MlDsa(level) => Self::MlDsa(level),
        }
    }
}

impl SignatureScheme {
    /// The digest that is signed; `None` for Ed25519 and ML-DSA, which sign the message itself.
    #[must_use]
    pub fn digest(self, message: &[u8]) -> Option<Vec<u8>> {
        let digest = digest::digest(self.hash()?, message);
        Some(digest.as_ref().to_vec())
    }

    /// `None` for Ed25519 and ML-DSA.
    pub(super) fn hash(self) -> Option<&'static digest::Algorithm> {
        Some(match self {
            Self::EcdsaP256Sha256
            | Self::RsaPkcs1(RsaHash::Sha256)
            | Self::RsaPss(RsaHash::Sha256) => &digest::SHA256,
            Self::EcdsaP384Sha384
            | Self::RsaPkcs1(RsaHash::Sha384)
            | Self::RsaPss(RsaHash::Sha384) => &digest::SHA384,
            Self::EcdsaP521Sha512
            | Self::RsaPkcs1(RsaHash::Sha512)
            | Self::RsaPss(RsaHash::Sha512) => &digest::SHA512,
            Self::Ed25519 | Self::MlDsa(_) => return None,
        })
    }
}

/// An ECDSA signature as certificates have it, Ecdsa-Sig-Value ::= SEQUENCE { r, s } (RFC 3279,
/// 2.2.3), from `r` and `s` side by side, as tokens give it.
#[must_use]
pub fn ecdsa_signature_der(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut der = Writer::default();
    der.sequence(|der| {
        der.unsigned(r);
        der.unsigned(s);
    });
    der.finish()
}

/// Why a key did not sign. Its text says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SignError(Arc<dyn std::error::Error + Send + Sync>);

impl SignError {
    /// An error of the place where the key is.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

/// A private key that never leaves another place, such as a PKCS#11 token.
pub trait TokenKey: fmt::Debug + Send + Sync {
    /// The public half. It never changes.
    fn public_key(&self) -> &PublicKey;

    /// Signs the [digest](SignatureScheme::digest) of a message with one of the
    /// [schemes](SignatureScheme::of_key) of the key.
    fn sign_digest(&self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Signs a message of any length. A place with Ed25519 keys, which sign messages themselves,
    /// has its own.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match scheme.digest(message) {
            Some(digest) => self.sign_digest(scheme, &digest),
            None => Err(SignError::new(NotDigested)),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the place of the key signs digests only, and Ed25519 signs messages")]
struct NotDigested;

/// A key that signs: in memory, or in a token. It signs certificates through
/// [`Issuer`](crate::Issuer) and handshakes through [`certified`](Self::certified). The bytes of the
/// private key cannot be read from it.
#[derive(Clone)]
pub struct Signer(Location);

#[derive(Clone)]
enum Location {
    Memory { pair: KeyPair, public: PublicKey },
    Token(Arc<dyn TokenKey>),
}

/// The cryptographic library did not sign.
#[derive(Debug, thiserror::Error)]
#[error("the cryptographic library failed to sign with a key of type {}", .0.name())]
struct LibraryFailed(KeyAlgorithm);

impl Signer {
    /// A key that is in another place.
    #[must_use]
    pub fn in_token(key: Arc<dyn TokenKey>) -> Self {
        Self(Location::Token(key))
    }

    pub(super) fn in_memory(pair: KeyPair) -> Self {
        let public = PublicKey::from_bits(pair.algorithm(), pair.public_key());
        Self(Location::Memory { pair, public })
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.0, Location::Memory { .. })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        match &self.0 {
            Location::Memory { public, .. } => public,
            Location::Token(key) => key.public_key(),
        }
    }

    /// Signs a message.
    ///
    /// # Errors
    /// When the key is in a token that does not answer, or the scheme is not one of its kind.
    pub fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.0 {
            Location::Memory { pair, public } => pair
                .sign(scheme, message)
                .ok_or_else(|| SignError::new(LibraryFailed(public.kind()))),
            Location::Token(key) => key.sign(scheme, message),
        }
    }

    /// Signs a [digest](SignatureScheme::digest) that somebody else made.
    ///
    /// # Errors
    /// As [`sign`](Self::sign), and when the digest has another length than that of the scheme.
    pub fn sign_digest(
        &self,
        scheme: SignatureScheme,
        digest: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        match &self.0 {
            Location::Memory { pair, public } => pair
                .sign_digest(scheme, digest)
                .ok_or_else(|| SignError::new(LibraryFailed(public.kind()))),
            Location::Token(key) => key.sign_digest(scheme, digest),
        }
    }

    /// Proves that this key belongs to `certificate`.
    ///
    /// # Errors
    /// When the certificate carries another public key.
    pub fn matches(&self, certificate: &Certificate) -> Result<KeyMatches, KeyMismatch> {
        self.public_key().matches(certificate)
    }
}

impl From<PrivateKey> for Signer {
    /// Forgets the encoded key.
    fn from(key: PrivateKey) -> Self {
        key.signer
    }
}

impl AsRef<Self> for Signer {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Location::Memory { public, .. } => write!(f, "Signer({})", public.kind().name()),
            Location::Token(key) => write!(f, "Signer({key:?})"),
        }
    }
}
