//! Bytes inside JSON, as text in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::lenient::{BodyError, Fields};

/// Longest public key of a TPM, bytes: one of RSA 4096 with its template takes half of it.
pub(crate) const MAX_TPM_KEY: usize = 1024;

/// Bytes that travel as base64 inside JSON: TPM keys, certificate requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Base64Bytes(Vec<u8>);

impl Base64Bytes {
    /// Decodes base64 text of at most `max` bytes. White space inside is ignored, as people
    /// wrap what they paste.
    pub fn parse(text: &str, max: usize) -> Result<Self, String> {
        // Four characters for three bytes, and some room for line ends.
        if text.len() > max.saturating_mul(2) {
            return Err(format!("is longer than {max} bytes"));
        }
        let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = STANDARD
            .decode(packed)
            .map_err(|_| "is not base64".to_owned())?;
        match bytes.len() {
            0 => Err("is empty".to_owned()),
            length if length > max => Err(format!("is longer than {max} bytes")),
            _ => Ok(Self(bytes)),
        }
    }

    /// The bytes, decoded from base64.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Base64Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl TryFrom<String> for Base64Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text, 64 * 1024)
    }
}

impl From<Base64Bytes> for String {
    fn from(bytes: Base64Bytes) -> String {
        STANDARD.encode(bytes.0)
    }
}

/// The bytes of a member in base64; an empty text counts as absent.
pub(crate) fn optional_bytes(
    fields: &Fields<'_>,
    name: &str,
    max: usize,
) -> Result<Option<Base64Bytes>, BodyError> {
    match fields.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => Base64Bytes::parse(text, max)
            .map(Some)
            .map_err(|problem| fields.error(name, problem)),
    }
}
