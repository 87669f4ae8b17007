//! Signs with a key in a token.

use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use pki::{RsaHash, SignatureScheme};

use super::OpenKey;
use crate::TokenError;

/// What is given to a token: it never hashes itself, because not every token can.
struct Input<'a> {
    mechanism: Mechanism<'a>,
    name: &'static str,
    data: Vec<u8>,
}

/// Signs a digest.
pub(super) fn sign(
    open: &OpenKey,
    scheme: SignatureScheme,
    digest: &[u8],
) -> Result<Vec<u8>, TokenError> {
    let input = input(scheme, digest).ok_or_else(|| TokenError::KeyKind {
        uri: open.at.uri.clone(),
        found: "Ed25519 or ML-DSA".to_owned(),
    })?;
    let signed = open.session.sign(&input.mechanism, open.key, &input.data);
    let signed =
        signed.map_err(|error| open.at.failed(&format!("sign by {}", input.name), &error))?;
    Ok(match input.mechanism {
        Mechanism::Ecdsa => pki::ecdsa_signature_der(&signed),
        _ => signed,
    })
}

fn input(scheme: SignatureScheme, digest: &[u8]) -> Option<Input<'static>> {
    Some(match scheme {
        SignatureScheme::EcdsaP256Sha256
        | SignatureScheme::EcdsaP384Sha384
        | SignatureScheme::EcdsaP521Sha512 => Input {
            mechanism: Mechanism::Ecdsa,
            name: "CKM_ECDSA",
            data: digest.to_vec(),
        },
        SignatureScheme::Ed25519 | SignatureScheme::MlDsa(_) => return None,
        SignatureScheme::RsaPkcs1(hash) => Input {
            mechanism: Mechanism::RsaPkcs,
            name: "CKM_RSA_PKCS",
            data: [digest_info(hash), digest].concat(),
        },
        SignatureScheme::RsaPss(hash) => Input {
            mechanism: Mechanism::RsaPkcsPss(pss(hash)),
            name: "CKM_RSA_PKCS_PSS",
            data: digest.to_vec(),
        },
    })
}

/// HMAC-SHA256 with a secret key.
pub(super) fn hmac(open: &OpenKey, message: &[u8]) -> Result<Vec<u8>, TokenError> {
    let signed = open.session.sign(&Mechanism::Sha256Hmac, open.key, message);
    signed.map_err(|error| open.at.failed("sign by CKM_SHA256_HMAC", &error))
}

/// What stands before the digest in a DigestInfo (RFC 8017, 9.2, note 1).
fn digest_info(hash: RsaHash) -> &'static [u8] {
    match hash {
        RsaHash::Sha256 => &[
            0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
        ],
        RsaHash::Sha384 => &[
            0x30, 0x41, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2, 5, 0, 4, 0x30,
        ],
        RsaHash::Sha512 => &[
            0x30, 0x51, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3, 5, 0, 4, 0x40,
        ],
    }
}

fn pss(hash: RsaHash) -> PkcsPssParams {
    let (hash_alg, mgf, salt) = match hash {
        RsaHash::Sha256 => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32_u64),
        RsaHash::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48),
        RsaHash::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64),
    };
    PkcsPssParams {
        hash_alg,
        mgf,
        s_len: salt.into(),
    }
}
