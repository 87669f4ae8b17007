//! Raw signatures, for what webpki's path builder does not take: version 1 leaves
//! and very deep paths.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use super::Certificate;
use crate::{KeyAlgorithm, MlDsa, RsaHash, SignatureScheme};

mod rsa;
mod words;
#[cfg(test)]
mod wycheproof;

pub use rsa::RsaWeakness;
pub(super) use words::{dotted, in_words};

/// What may sign a certificate: RSA of 2048 to 8192 bits with SHA-2, P-256, P-384, P-521, Ed25519,
/// ML-DSA.
pub(crate) static CERTIFICATE_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    // The same without the NULL that RFC 4055 wants in the AlgorithmIdentifier, as some make it.
    algorithms::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    algorithms::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ML_DSA_44,
    algorithms::ML_DSA_65,
    algorithms::ML_DSA_87,
];

fn matches(
    key: SubjectKey<'_>,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    message: &[u8],
    signature: &[u8],
) -> bool {
    algorithms
        .iter()
        .filter(|a| a.public_key_alg_id().as_ref() == key.algorithm)
        .any(|a| a.verify_signature(key.bits, message, signature).is_ok())
}

pub(super) fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    is_signed_with(certificate.der(), issuer.key())
}

/// A public key, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubjectKey<'a> {
    /// The content of its AlgorithmIdentifier.
    pub(crate) algorithm: &'a [u8],
    /// The size of the key in bits.
    pub(crate) bits: &'a [u8],
}

/// Whether a signed structure was signed with `key`: a certificate or a list of revocations
/// (RFC 5280), or a certification request (RFC 2986).
pub(crate) fn is_signed_with(der: &[u8], key: SubjectKey<'_>) -> bool {
    Signed::split(der).is_some_and(|signed| {
        let algorithms = named(signed.algorithm);
        matches(key, &algorithms, signed.message, signed.signature)
    })
}

/// Whether `signature` over `message` was made with the key of `certificate` by `scheme`.
pub(super) fn verifies(
    certificate: &Certificate,
    message: &[u8],
    signature: &[u8],
    scheme: SignatureScheme,
) -> bool {
    let algorithm = match scheme {
        SignatureScheme::EcdsaP256Sha256 => algorithms::ECDSA_P256_SHA256,
        SignatureScheme::EcdsaP384Sha384 => algorithms::ECDSA_P384_SHA384,
        SignatureScheme::EcdsaP521Sha512 => algorithms::ECDSA_P521_SHA512,
        SignatureScheme::Ed25519 => algorithms::ED25519,
        SignatureScheme::MlDsa(level) => level.verification(),
        SignatureScheme::RsaPkcs1(RsaHash::Sha256) => algorithms::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::RsaPkcs1(RsaHash::Sha384) => algorithms::RSA_PKCS1_2048_8192_SHA384,
        SignatureScheme::RsaPkcs1(RsaHash::Sha512) => algorithms::RSA_PKCS1_2048_8192_SHA512,
        SignatureScheme::RsaPss(RsaHash::Sha256) => algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        SignatureScheme::RsaPss(RsaHash::Sha384) => algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        SignatureScheme::RsaPss(RsaHash::Sha512) => algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    };
    matches(certificate.key(), &[algorithm], message, signature)
}

pub(super) fn is_supported(certificate: &Certificate, issuer: &Certificate) -> bool {
    issuer.has_supported_key()
        && Signed::split(certificate.der()).is_some_and(|signed| {
            named(signed.algorithm)
                .iter()
                .any(|a| a.public_key_alg_id().as_ref() == issuer.key_algorithm())
        })
}

/// The content of the AlgorithmIdentifier of a certificate's signature.
pub(super) fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    Signed::split(certificate).map(|signed| signed.algorithm)
}

fn named(signature_algorithm: &[u8]) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    CERTIFICATE_ALGORITHMS
        .iter()
        .copied()
        .filter(|a| a.signature_alg_id().as_ref() == signature_algorithm)
        .collect()
}

impl SubjectKey<'_> {
    fn is_rsa(self) -> bool {
        let rsa = algorithms::RSA_PKCS1_2048_8192_SHA256.public_key_alg_id();
        self.algorithm == rsa.as_ref()
    }

    /// Whether signatures that are made with it can be verified at all, on
    /// certificates and in handshakes.
    pub(crate) fn is_supported(self) -> bool {
        let known = |a: &&dyn SignatureVerificationAlgorithm| {
            a.public_key_alg_id().as_ref() == self.algorithm
        };
        CERTIFICATE_ALGORITHMS.iter().any(known) && (!self.is_rsa() || self.is_long_rsa())
    }

    /// RSA of 2048 to 8192 bits.
    pub(crate) fn is_long_rsa(self) -> bool {
        self.rsa_bits()
            .is_some_and(|bits| (2048..=8192).contains(&bits))
    }

    /// The kind of key; `None` when nothing here signs with it.
    pub(crate) fn kind(self) -> Option<KeyAlgorithm> {
        let known = [
            (algorithms::ECDSA_P256_SHA256, KeyAlgorithm::P256),
            (algorithms::ECDSA_P384_SHA384, KeyAlgorithm::P384),
            (algorithms::ECDSA_P521_SHA512, KeyAlgorithm::P521),
            (algorithms::ED25519, KeyAlgorithm::Ed25519),
            (algorithms::RSA_PKCS1_2048_8192_SHA256, KeyAlgorithm::Rsa),
        ];
        let ml_dsa = MlDsa::ALL.map(|level| (level.verification(), KeyAlgorithm::MlDsa(level)));
        let mut known = known.into_iter().chain(ml_dsa);
        let found = known.find(|(one, _)| one.public_key_alg_id().as_ref() == self.algorithm);
        found.map(|(_, kind)| kind)
    }

    /// What kind of key it is, with an article.
    pub(crate) fn in_words(self) -> String {
        if let Some(bits) = self.rsa_bits() {
            return format!("an RSA key of {bits} bits");
        }
        words::key(self.algorithm)
    }
}

/// The content of the AlgorithmIdentifier of a SubjectPublicKeyInfo.
pub(crate) fn algorithm_of_key(spki: &[u8]) -> Box<[u8]> {
    let inside = read(spki).map(|(info, _)| info.content);
    let algorithm = inside
        .and_then(read)
        .map(|(algorithm, _)| algorithm.content);
    algorithm.unwrap_or_default().into()
}

/// The public key of a certificate, found by its place: nothing else of the certificate is read, so
/// that nothing in it keeps a handshake from being verified.
#[derive(Debug, Clone, Copy)]
pub struct LeafKey<'a> {
    spki: &'a [u8],
    key: SubjectKey<'a>,
}

impl<'a> LeafKey<'a> {
    /// The key in the DER of a certificate of any version; `None` for other bytes.
    #[must_use]
    pub fn of(certificate: &'a [u8]) -> Option<Self> {
        const VERSION: u8 = 0xa0;
        const INTEGER: u8 = 2;
        const SEQUENCE: u8 = 0x30;
        let tagged = |der: &'a [u8], tag: u8| read(der).filter(|(found, _)| found.whole[0] == tag);
        let (outer, _) = tagged(certificate, SEQUENCE)?;
        let (to_be_signed, _) = tagged(outer.content, SEQUENCE)?;
        let mut rest = to_be_signed.content;
        if let Some((_, after)) = tagged(rest, VERSION) {
            rest = after;
        }
        // serialNumber, signature, issuer, validity, subject.
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            rest = tagged(rest, tag)?.1;
        }
        let (spki, _) = tagged(rest, SEQUENCE)?;
        let (algorithm, rest) = tagged(spki.content, SEQUENCE)?;
        let (bits, _) = read(rest)?;
        Some(Self {
            spki: spki.whole,
            key: SubjectKey {
                algorithm: algorithm.content,
                // A BIT STRING without unused bits.
                bits: bits.content.strip_prefix(&[0])?,
            },
        })
    }

    /// The SubjectPublicKeyInfo of the key, DER.
    #[must_use]
    pub fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// The length of an RSA modulus in bits; `None` for other kinds of keys.
    #[must_use]
    pub fn rsa_bits(&self) -> Option<u32> {
        self.key.rsa_bits().and_then(|bits| bits.try_into().ok())
    }

    /// What is wrong with its kind; `None` when signatures of it can be verified.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let words = || format!("the certificate has {}; {KEYS}", self.key.in_words());
        (!self.key.is_supported()).then(words)
    }

    /// Whether `signature` over `message` was made with it by one of `algorithms`.
    #[must_use]
    pub fn signed(
        &self,
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        matches(self.key, algorithms, message, signature)
    }
}

/// What is accepted instead of a key that is not.
const KEYS: &str = "use RSA of 2048 to 8192 bits, P-256, P-384, P-521, Ed25519 or ML-DSA";

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280, 4.1).
struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn split(der: &'a [u8]) -> Option<Self> {
        let (outer, _) = read(der)?;
        let (message, rest) = read(outer.content)?;
        let (algorithm, rest) = read(rest)?;
        let (signature, _) = read(rest)?;
        Some(Self {
            message: message.whole,
            algorithm: algorithm.content,
            // A BIT STRING whose first byte counts unused bits: none in a signature.
            signature: signature.content.strip_prefix(&[0])?,
        })
    }
}

struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
}

/// Reads one DER element with a definite length and a one-byte tag.
fn read(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let first = usize::from(*der.get(1)?);
    let (header, length) = match first {
        0..=0x7f => (2, first),
        0x81..=0x84 => {
            let count = first - 0x80;
            let bytes = der.get(2..2 + count)?;
            let length = bytes.iter().fold(0, |sum, b| sum << 8 | usize::from(*b));
            (2 + count, length)
        }
        _ => return None,
    };
    let end = header.checked_add(length)?;
    let whole = der.get(..end)?;
    let content = whole.get(header..)?;
    Some((Element { whole, content }, &der[end..]))
}
