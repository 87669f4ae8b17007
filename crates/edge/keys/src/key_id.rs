use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::KeyError;

/// The longest id, bytes.
const MAX_BYTES: usize = 256;

/// The name of a key on its device. Those of the runtime are Azure's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(String);

impl KeyId {
    /// Reads an id: 1 to 256 bytes without control characters.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() || text.len() > MAX_BYTES || text.chars().any(char::is_control) {
            return Err(KeyError::invalid(format!(
                "a key id has 1 to {MAX_BYTES} bytes, without control characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The identity of the device: its symmetric key, or the key of its certificate.
    #[must_use]
    pub fn device() -> Self {
        Self("device-id".to_owned())
    }

    /// The key of the device's next certificate.
    #[must_use]
    pub fn next_device() -> Self {
        Self("device-id-temp".to_owned())
    }

    #[must_use]
    pub fn edge_ca() -> Self {
        Self("aziot-edged-ca".to_owned())
    }

    /// The key of the Edge CA's next certificate.
    #[must_use]
    pub fn next_edge_ca() -> Self {
        Self("aziot-edged-ca-temp".to_owned())
    }

    #[must_use]
    pub fn local_ca() -> Self {
        Self("local-ca".to_owned())
    }

    /// The symmetric key from which the keys of modules are derived.
    #[must_use]
    pub fn master() -> Self {
        Self("aziot_identityd_master_id".to_owned())
    }

    /// The symmetric key with which data of modules is encrypted.
    #[must_use]
    pub fn encryption() -> Self {
        Self("iotedge_master_encryption_id".to_owned())
    }

    /// The key that signs handles.
    pub(crate) fn handles() -> Self {
        Self("handle-validation-key".to_owned())
    }

    /// Whether modules, or clients of the role, need it at all times: such a key is never put into
    /// a token, which may be missing after a start.
    pub(crate) fn is_of_the_runtime(&self) -> bool {
        [Self::master(), Self::encryption(), Self::handles()].contains(self)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its file: for people what is readable of the id, then a digest that differs.
    pub(crate) fn file_name(&self) -> String {
        let readable = self.0.chars().filter(char::is_ascii_alphanumeric);
        let mut name: String = readable.take(80).collect();
        name.push('-');
        for byte in digest(&SHA256, self.0.as_bytes()).as_ref() {
            name.push_str(&format!("{byte:02x}"));
        }
        name.push_str(".key");
        name
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        Self::parse(&text)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_look_alike_have_files_of_their_own() {
        let name = |text: &str| KeyId::parse(text).unwrap().file_name();
        assert!(name("device-id").starts_with("deviceid-"));
        assert_ne!(name("device-id"), name("deviceid"));
        assert_ne!(name("a/../b"), name("ab"));
        assert!(!name("../../x").contains('/'));
        assert!(name(&"a".repeat(256)).len() < 255);
        for bad in ["", "a\nb", &"a".repeat(257)] {
            assert!(KeyId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
