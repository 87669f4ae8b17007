//! Paddings of RSA signatures (RFC 8017, 9.1.1 and 9.2), for keys whose private operation a TPM
//! gives as such.

use aws_lc_rs::digest::{self, Algorithm};
use pki::RsaHash;

pub(crate) fn algorithm(hash: RsaHash) -> &'static Algorithm {
    match hash {
        RsaHash::Sha256 => &digest::SHA256,
        RsaHash::Sha384 => &digest::SHA384,
        RsaHash::Sha512 => &digest::SHA512,
    }
}

/// The start of a DigestInfo, up to the digest.
fn digest_info(hash: RsaHash) -> [u8; 19] {
    let (last_of_oid, length) = match hash {
        RsaHash::Sha256 => (1, 32),
        RsaHash::Sha384 => (2, 48),
        RsaHash::Sha512 => (3, 64),
    };
    [
        0x30,
        length + 17,
        0x30,
        0x0d,
        0x06,
        0x09,
        0x60,
        0x86,
        0x48,
        0x01,
        0x65,
        0x03,
        0x04,
        0x02,
        last_of_oid,
        0x05,
        0x00,
        0x04,
        length,
    ]
}

/// EMSA-PKCS1-v1_5 of a digest: `size` is the length of the modulus. `None` when it is too short.
pub(crate) fn pkcs1(hash: RsaHash, digest: &[u8], size: usize) -> Option<Vec<u8>> {
    let content = [&digest_info(hash)[..], digest].concat();
    let filler = size
        .checked_sub(content.len() + 3)
        .filter(|filler| *filler >= 8)?;
    Some([&[0, 1][..], &vec![0xff; filler], &[0], &content].concat())
}

/// EMSA-PSS of a digest with a salt as long as that; the modulus has `size` bytes, its highest bit
/// set.
pub(crate) fn pss(hash: RsaHash, digest: &[u8], salt: &[u8], size: usize) -> Option<Vec<u8>> {
    let algorithm = algorithm(hash);
    let length = algorithm.output_len();
    let seed = digest::digest(algorithm, &[&[0; 8], digest, salt].concat());
    let zeros = size.checked_sub(salt.len() + length + 2)?;
    let mut block = [&vec![0; zeros][..], &[1], salt].concat();
    mask(algorithm, seed.as_ref(), &mut block);
    // The block is one bit shorter than the modulus.
    block[0] &= 0x7f;
    block.extend_from_slice(seed.as_ref());
    block.push(0xbc);
    Some(block)
}

/// MGF1: masks `block` in place.
fn mask(algorithm: &'static Algorithm, seed: &[u8], block: &mut [u8]) {
    for (counter, chunk) in (0_u32..).zip(block.chunks_mut(algorithm.output_len())) {
        let mask = digest::digest(algorithm, &[seed, &counter.to_be_bytes()].concat());
        for (byte, mask) in chunk.iter_mut().zip(mask.as_ref()) {
            *byte ^= mask;
        }
    }
}

/// Random bytes for a salt.
pub(crate) fn salt(hash: RsaHash) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
    let mut salt = vec![0; algorithm(hash).output_len()];
    aws_lc_rs::rand::fill(&mut salt)?;
    Ok(salt)
}
