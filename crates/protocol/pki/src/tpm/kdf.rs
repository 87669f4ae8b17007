//! The two ways a TPM derives keys (part 1, 11.4.10), with SHA-256.

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

/// What a derived key is for. The text goes into the derivation with its closing zero.
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    /// The seed of a credential.
    Identity,
    /// The seed of a duplicated object.
    Duplicate,
    /// The key that encrypts what is wrapped.
    Storage,
    /// The key that authenticates it.
    Integrity,
}

impl Label {
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Identity => b"IDENTITY\0",
            Self::Duplicate => b"DUPLICATE\0",
            Self::Storage => b"STORAGE\0",
            Self::Integrity => b"INTEGRITY\0",
        }
    }
}

/// `KDFa`: counter mode with HMAC-SHA256; `length` bytes, in which the bits are counted too.
pub(super) fn kdf_a(
    key: &[u8],
    label: Label,
    context: [&[u8]; 2],
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let bits = u32::try_from(8 * length).unwrap_or(u32::MAX);
    collect(length, |counter| {
        let mut mac = hmac::Context::with_key(&key);
        mac.update(&counter.to_be_bytes());
        mac.update(label.bytes());
        context.iter().for_each(|part| mac.update(part));
        mac.update(&bits.to_be_bytes());
        mac.sign().as_ref().to_vec()
    })
}

/// `KDFe`: a hash over an elliptic-curve secret and the two points it came from; 32 bytes.
pub(super) fn kdf_e(
    secret: &[u8],
    label: Label,
    ephemeral_x: &[u8],
    public_x: &[u8],
) -> Zeroizing<Vec<u8>> {
    collect(digest::SHA256_OUTPUT_LEN, |counter| {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(&counter.to_be_bytes());
        for part in [secret, label.bytes(), ephemeral_x, public_x] {
            hash.update(part);
        }
        hash.finish().as_ref().to_vec()
    })
}

fn collect(length: usize, block: impl Fn(u32) -> Vec<u8>) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(length + digest::SHA256_OUTPUT_LEN));
    for counter in 1.. {
        if out.len() >= length {
            break;
        }
        out.extend_from_slice(&Zeroizing::new(block(counter)));
    }
    out.truncate(length);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two known answers that a TPM simulator gave.
    #[test]
    fn keys_are_those_that_a_tpm_derives() {
        let short = kdf_a(b"yolo\0", Label::Identity, [b"kek\0", b"yoyo\0"], 16);
        assert_eq!(
            *short,
            [
                0xd2, 0xd7, 0x2c, 0xc7, 0xa8, 0xa5, 0xeb, 0x09, 0xe8, 0xc7, 0x90, 0x12, 0xe2, 0xda,
                0x9f, 0x22
            ]
        );
        let long = kdf_a(b"ca\0", Label::Identity, [b"abc\0", b""], 128);
        assert_eq!(long.len(), 128);
        assert_eq!(long[..8], [0x1a, 0xae, 0x71, 0x51, 0xac, 0x1a, 0x56, 0x90]);
        assert_eq!(
            long[120..],
            [0xb1, 0x63, 0xc7, 0x45, 0x8b, 0x87, 0x8e, 0x8c]
        );
    }
}
