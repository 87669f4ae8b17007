//! Raw signatures, for what webpki's path builder does not take: version 1 leaves and very deep paths.

use rustls_pki_types::SignatureVerificationAlgorithm;
use webpki::aws_lc_rs as algorithms;

use super::Certificate;

/// What may sign a certificate: RSA of 2048 to 8192 bits with SHA-2, P-256, P-384, P-521, Ed25519.
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
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

pub(super) fn matches(
    certificate: &Certificate,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
    message: &[u8],
    signature: &[u8],
) -> bool {
    algorithms
        .iter()
        .filter(|a| a.public_key_alg_id().as_ref() == certificate.key_algorithm())
        .any(|a| {
            a.verify_signature(certificate.key_bits(), message, signature)
                .is_ok()
        })
}

pub(super) fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    Signed::split(certificate.der()).is_some_and(|signed| {
        let algorithms = named(signed.algorithm);
        matches(issuer, &algorithms, signed.message, signed.signature)
    })
}

/// A public key, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubjectKey<'a> {
    /// The content of its AlgorithmIdentifier.
    pub(crate) algorithm: &'a [u8],
    /// Its bits.
    pub(crate) bits: &'a [u8],
}

/// Whether a signed structure (a certification request, RFC 2986) was signed with `key`.
pub(crate) fn signs_itself(der: &[u8], key: SubjectKey<'_>) -> bool {
    Signed::split(der).is_some_and(|signed| {
        named(signed.algorithm)
            .iter()
            .filter(|a| a.public_key_alg_id().as_ref() == key.algorithm)
            .any(|a| {
                a.verify_signature(key.bits, signed.message, signed.signature)
                    .is_ok()
            })
    })
}

pub(super) fn is_supported(certificate: &Certificate, issuer: &Certificate) -> bool {
    let weak = issuer.key_algorithm().is_empty() || is_short_rsa(issuer);
    !weak
        && Signed::split(certificate.der()).is_some_and(|signed| {
            named(signed.algorithm)
                .iter()
                .any(|a| a.public_key_alg_id().as_ref() == issuer.key_algorithm())
        })
}

/// Whether signatures that were made with the certificate's key can be verified at all.
pub(super) fn has_supported_key(certificate: &Certificate) -> bool {
    let key = certificate.key_algorithm();
    let known = |a: &&dyn SignatureVerificationAlgorithm| a.public_key_alg_id().as_ref() == key;
    CERTIFICATE_ALGORITHMS.iter().any(known) && !is_short_rsa(certificate)
}

fn named(signature_algorithm: &[u8]) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    CERTIFICATE_ALGORITHMS
        .iter()
        .copied()
        .filter(|a| a.signature_alg_id().as_ref() == signature_algorithm)
        .collect()
}

fn is_short_rsa(certificate: &Certificate) -> bool {
    let key = SubjectKey {
        algorithm: certificate.key_algorithm(),
        bits: certificate.key_bits(),
    };
    key.is_rsa() && key.bits.len() < SHORTEST_RSA
}

/// RSAPublicKey of 2048 bits: two headers, 257 bytes of modulus, the exponent.
const SHORTEST_RSA: usize = 264;

impl SubjectKey<'_> {
    fn is_rsa(self) -> bool {
        let rsa = algorithms::RSA_PKCS1_2048_8192_SHA256.public_key_alg_id();
        self.algorithm == rsa.as_ref()
    }

    /// RSA of at least 2048 bits.
    pub(crate) fn is_long_rsa(self) -> bool {
        self.is_rsa() && self.bits.len() >= SHORTEST_RSA
    }

    /// P-256.
    pub(crate) fn is_p256(self) -> bool {
        self.algorithm == algorithms::ECDSA_P256_SHA256.public_key_alg_id().as_ref()
    }

    /// P-384.
    pub(crate) fn is_p384(self) -> bool {
        self.algorithm == algorithms::ECDSA_P384_SHA384.public_key_alg_id().as_ref()
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

/// TBSCertificate ::= SEQUENCE { version [0] EXPLICIT INTEGER DEFAULT v1, … }: the others say theirs first.
pub(super) fn claims_version_1(der: &[u8]) -> bool {
    const VERSION: u8 = 0xa0;
    const INTEGER_0: &[u8] = &[2, 1, 0];
    let first = read(der)
        .and_then(|(certificate, _)| read(certificate.content))
        .and_then(|(to_be_signed, _)| read(to_be_signed.content));
    first.is_some_and(|(first, _)| first.whole[0] != VERSION || first.content == INTEGER_0)
}

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
