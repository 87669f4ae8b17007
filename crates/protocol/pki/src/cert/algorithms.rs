//! The kinds of key and signature of a certificate, as lists and reports name them.

use std::borrow::Cow;

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use super::Certificate;
use super::signature::{dotted, in_words, signature_algorithm};
use crate::KeyAlgorithm;

/// The AlgorithmIdentifiers of signatures. ECDSA and RSA-PSS have one for each hash function,
/// whatever the key; RSA with PKCS#1 padding also has one without parameters.
static SIGNATURES: &[(&dyn SignatureVerificationAlgorithm, &str)] = &[
    (algorithms::ECDSA_P256_SHA256, "ECDSA-SHA256"),
    (algorithms::ECDSA_P384_SHA384, "ECDSA-SHA384"),
    (algorithms::ECDSA_P521_SHA512, "ECDSA-SHA512"),
    (algorithms::RSA_PKCS1_2048_8192_SHA256, "RSA-SHA256"),
    (algorithms::RSA_PKCS1_2048_8192_SHA384, "RSA-SHA384"),
    (algorithms::RSA_PKCS1_2048_8192_SHA512, "RSA-SHA512"),
    (
        algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        "RSA-PSS-SHA256",
    ),
    (
        algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        "RSA-PSS-SHA384",
    ),
    (
        algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        "RSA-PSS-SHA512",
    ),
    (algorithms::ED25519, "Ed25519"),
    (algorithms::ML_DSA_44, "ML-DSA-44"),
    (algorithms::ML_DSA_65, "ML-DSA-65"),
    (algorithms::ML_DSA_87, "ML-DSA-87"),
];

/// Those that are known by their OID alone: without parameters, or not verified any more.
const MORE_SIGNATURES: &[(&str, &str)] = &[
    ("1.2.840.113549.1.1.11", "RSA-SHA256"),
    ("1.2.840.113549.1.1.12", "RSA-SHA384"),
    ("1.2.840.113549.1.1.13", "RSA-SHA512"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.5", "RSA-SHA1"),
    ("1.2.840.113549.1.1.4", "RSA-MD5"),
    ("1.2.840.10045.4.1", "ECDSA-SHA1"),
];

impl Certificate {
    /// The kind of its key, such as `P-256` or `RSA`: an OID where it has no name here.
    #[must_use]
    pub fn key_name(&self) -> Cow<'static, str> {
        match self.key_kind() {
            Some(kind) => kind.name().into(),
            None => dotted(self.key_algorithm()).into(),
        }
    }

    /// The length of its RSA modulus in bits; `None` for other kinds of keys.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<u32> {
        self.key().rsa_bits().and_then(|bits| bits.try_into().ok())
    }

    /// How it is signed, such as `ECDSA-SHA256`: an OID where that has no name here.
    #[must_use]
    pub fn signature_name(&self) -> Cow<'static, str> {
        let Some(algorithm) = signature_algorithm(self.der()) else {
            return "".into();
        };
        let known = |(one, _): &&(&dyn SignatureVerificationAlgorithm, _)| {
            one.signature_alg_id().as_ref() == algorithm
        };
        if let Some((_, name)) = SIGNATURES.iter().find(known) {
            return (*name).into();
        }
        let oid = dotted(algorithm);
        let known = MORE_SIGNATURES.iter().find(|(one, _)| *one == oid);
        known.map_or(Cow::Owned(oid), |(_, name)| (*name).into())
    }

    pub(crate) fn has_supported_key(&self) -> bool {
        self.key().is_supported()
    }

    /// The kind of its key; `None` when nothing here signs with it.
    pub(crate) fn key_kind(&self) -> Option<KeyAlgorithm> {
        self.key().kind()
    }

    /// What kind of key it has, in words.
    pub(crate) fn key_in_words(&self) -> String {
        self.key().in_words()
    }

    /// How it is signed, in words.
    pub(crate) fn signature_in_words(&self) -> String {
        in_words(self.der())
    }
}
