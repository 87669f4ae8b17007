//! Signature schemes by their names in TLS.

use pki::{KeyAlgorithm, MlDsa, RsaHash, SignatureScheme};

use crate::KeyError;

const NAMES: [(SignatureScheme, &str); 13] = [
    (SignatureScheme::EcdsaP256Sha256, "ecdsa_secp256r1_sha256"),
    (SignatureScheme::EcdsaP384Sha384, "ecdsa_secp384r1_sha384"),
    (SignatureScheme::EcdsaP521Sha512, "ecdsa_secp521r1_sha512"),
    (SignatureScheme::Ed25519, "ed25519"),
    (
        SignatureScheme::RsaPkcs1(RsaHash::Sha256),
        "rsa_pkcs1_sha256",
    ),
    (
        SignatureScheme::RsaPkcs1(RsaHash::Sha384),
        "rsa_pkcs1_sha384",
    ),
    (
        SignatureScheme::RsaPkcs1(RsaHash::Sha512),
        "rsa_pkcs1_sha512",
    ),
    (
        SignatureScheme::RsaPss(RsaHash::Sha256),
        "rsa_pss_rsae_sha256",
    ),
    (
        SignatureScheme::RsaPss(RsaHash::Sha384),
        "rsa_pss_rsae_sha384",
    ),
    (
        SignatureScheme::RsaPss(RsaHash::Sha512),
        "rsa_pss_rsae_sha512",
    ),
    (SignatureScheme::MlDsa(MlDsa::Level44), "mldsa44"),
    (SignatureScheme::MlDsa(MlDsa::Level65), "mldsa65"),
    (SignatureScheme::MlDsa(MlDsa::Level87), "mldsa87"),
];

pub(crate) fn name(scheme: SignatureScheme) -> &'static str {
    let found = NAMES.iter().find(|(one, _)| *one == scheme);
    found.map_or("unknown", |(_, name)| name)
}

pub(crate) fn parse(text: &str) -> Result<SignatureScheme, KeyError> {
    let found = NAMES.iter().find(|(_, name)| *name == text);
    found
        .map(|(scheme, _)| *scheme)
        .ok_or_else(|| KeyError::invalid(format!("{text:?} is not a signature scheme")))
}

/// A kind of key by its name.
pub(crate) fn kind(text: &str) -> Option<KeyAlgorithm> {
    let all = [
        KeyAlgorithm::P256,
        KeyAlgorithm::P384,
        KeyAlgorithm::P521,
        KeyAlgorithm::Ed25519,
        KeyAlgorithm::Rsa,
    ];
    let ml_dsa = MlDsa::ALL.map(KeyAlgorithm::MlDsa);
    let mut all = all.into_iter().chain(ml_dsa);
    all.find(|kind| kind.name() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_a_name_that_is_read_again() {
        let kinds = ["P-256", "P-384", "P-521", "Ed25519", "RSA", "ML-DSA-65"];
        for kind in kinds.map(|name| kind(name).unwrap()) {
            for scheme in SignatureScheme::of_key(kind) {
                assert_eq!(parse(name(*scheme)), Ok(*scheme));
            }
        }
        assert!(parse("unknown").is_err());
    }
}
