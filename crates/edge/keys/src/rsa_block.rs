//! What Azure's clients give to the private operation of RSA with PKCS#1 padding.

use pki::{RsaHash, SignatureScheme};

use crate::KeyError;

/// DigestInfo (RFC 8017, 9.2) up to the digest: the bytes that differ are the whole length, the
/// last of the object identifier, and the length of the digest.
fn prefix(hash: RsaHash) -> [u8; 19] {
    let (whole, algorithm, length) = match hash {
        RsaHash::Sha256 => (0x31, 1, 32),
        RsaHash::Sha384 => (0x41, 2, 48),
        RsaHash::Sha512 => (0x51, 3, 64),
    };
    [
        0x30, whole, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, algorithm, 5, 0, 4,
        length,
    ]
}

/// The scheme and the digest of a DigestInfo.
pub(crate) fn read(block: &[u8]) -> Result<(SignatureScheme, &[u8]), KeyError> {
    for hash in [RsaHash::Sha256, RsaHash::Sha384, RsaHash::Sha512] {
        if let Some(digest) = block.strip_prefix(&prefix(hash)) {
            return Ok((SignatureScheme::RsaPkcs1(hash), digest));
        }
    }
    Err(KeyError::invalid(
        "only the DigestInfo of SHA-256, SHA-384 or SHA-512 is signed with RSA-PKCS1",
    ))
}
