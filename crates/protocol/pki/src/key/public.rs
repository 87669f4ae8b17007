use rcgen::{PublicKeyData, SignatureAlgorithm};

use super::{KeyMatches, KeyMismatch, MlDsa};
use crate::Certificate;
use crate::der::{Reader, Writer, tag};

/// The kinds of keys that sign here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// ECDSA with the curve P-256.
    P256,
    /// ECDSA with the curve P-384.
    P384,
    /// ECDSA with the curve P-521.
    P521,
    /// EdDSA with the curve of RFC 8032.
    Ed25519,
    /// RSA of 2048 to 8192 bits.
    Rsa,
    /// ML-DSA.
    MlDsa(MlDsa),
}

impl KeyAlgorithm {
    /// The name in texts, for example `P-256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
            Self::MlDsa(level) => level.name(),
        }
    }

    /// How certificates are signed with a key of this kind.
    pub(crate) fn issuing(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::Rsa => &rcgen::PKCS_RSA_SHA256,
            Self::MlDsa(level) => level.in_rcgen(),
        }
    }
}

/// The public half of a key that signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    bits: Box<[u8]>,
}

impl PublicKey {
    /// A key of the content of its BIT STRING: a point (SEC 1, uncompressed), an RSAPublicKey
    /// (RFC 8017, A.1.1), the 32 bytes of Ed25519, or those of ML-DSA (FIPS 204).
    #[must_use]
    pub fn from_bits(algorithm: KeyAlgorithm, bits: &[u8]) -> Self {
        Self {
            algorithm,
            bits: bits.into(),
        }
    }

    /// An RSA key of its two numbers, each in bytes, the highest first.
    #[must_use]
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let mut der = Writer::default();
        der.sequence(|der| {
            der.unsigned(modulus);
            der.unsigned(exponent);
        });
        Self::from_bits(KeyAlgorithm::Rsa, &der.finish())
    }

    /// Modulus and exponent of an RSA key, without leading zeros; `None` for another key.
    #[must_use]
    pub fn rsa_numbers(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        if self.algorithm != KeyAlgorithm::Rsa {
            return None;
        }
        let mut key = Reader::only(&self.bits, tag::SEQUENCE).ok()?;
        let (modulus, exponent) = (key.integer().ok()?, key.integer().ok()?);
        let plain = |number: &[u8]| {
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            number[zeros..].to_vec()
        };
        Some((plain(modulus), plain(exponent)))
    }

    /// The key of a certificate; `None` when nothing here signs with keys of its kind.
    #[must_use]
    pub fn of_certificate(certificate: &Certificate) -> Option<Self> {
        let algorithm = certificate.key_kind()?;
        Some(Self::from_bits(algorithm, certificate.key_bits()))
    }

    /// The kind of key.
    #[must_use]
    pub fn kind(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The content of the BIT STRING of the SubjectPublicKeyInfo.
    #[must_use]
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// The key as DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn spki_der(&self) -> Vec<u8> {
        self.subject_public_key_info()
    }

    /// Proves that `certificate` is for this key.
    ///
    /// # Errors
    /// When the certificate carries another public key.
    pub fn matches(&self, certificate: &Certificate) -> Result<KeyMatches, KeyMismatch> {
        // The bits decide: encoders differ in how they write the algorithm's parameters.
        if *self.bits == *certificate.key_bits() {
            return Ok(KeyMatches(certificate.clone()));
        }
        Err(KeyMismatch {
            subject: certificate.subject(),
        })
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm.issuing()
    }
}
