//! AES-128 in CFB mode with an initial vector of zeros, as TPMs use it: each key serves once.

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;

/// Length of the key.
pub(super) const KEY_LENGTH: usize = 16;

/// Encrypts `in_out` in place with AES-128 in CFB mode.
pub(super) fn encrypt(key: &[u8], in_out: &mut [u8]) -> Result<(), Unspecified> {
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(&AES_128, key)?)?;
    let zeros = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(in_out, zeros).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl enc -aes-128-cfb` makes of the bytes 0 to 39 under the key 0 to 15 and
    /// a vector of zeros.
    #[test]
    fn three_blocks_are_what_openssl_makes_of_them() {
        let key: Vec<u8> = (0..16).collect();
        let mut text: Vec<u8> = (0..40).collect();
        encrypt(&key, &mut text).unwrap();
        let expected =
            "c6a03934838a5d8567468b69adc5d676a59b0277ccb9bf8cc1a95a409958eba40ab0d3d6b96ba8d4";
        let hex: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }
}
