//! Handles: what the Keys API gives out for a key. They are signed, so that they outlive the role.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::fill;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::store::Keys;
use crate::{KeyError, KeyId, SecretKey as _};

/// The longest handle, bytes.
const MAX_BYTES: usize = 8 * 1024;
/// What derived keys may be derived by, bytes.
pub(crate) const MAX_DERIVATION: usize = 1024;

/// What a handle stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Handle {
    pub(crate) key_id: KeyId,
    pub(crate) kind: HandleKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum HandleKind {
    Pair,
    Secret,
    /// A key that is derived by these bytes, base64.
    Derived(String),
}

#[derive(Serialize, Deserialize)]
struct Signed {
    #[serde(flatten)]
    handle: Handle,
    nonce: String,
}

impl Handle {
    pub(crate) fn pair(id: &KeyId) -> Self {
        Self {
            key_id: id.clone(),
            kind: HandleKind::Pair,
        }
    }

    pub(crate) fn secret(id: &KeyId) -> Self {
        Self {
            key_id: id.clone(),
            kind: HandleKind::Secret,
        }
    }

    /// The text of this handle.
    pub(crate) fn issue(&self, keys: &Keys) -> Result<String, KeyError> {
        let mut nonce = [0; 16];
        fill(&mut nonce).map_err(|_| KeyError::unavailable("no random numbers can be had"))?;
        let signed = Signed {
            handle: self.clone(),
            nonce: STANDARD.encode(nonce),
        };
        let text = serde_json::to_string(&signed);
        let text = text.map_err(|error| KeyError::invalid(error.to_string()))?;
        let tag = keys
            .secret_or_new(&KeyId::handles())?
            .hmac(text.as_bytes())?;
        let (text, tag) = (STANDARD.encode(text), STANDARD.encode(tag));
        Ok(format!("sr={text}&sig={tag}"))
    }

    /// Reads a handle that this device has given out.
    pub(crate) fn read(text: &str, keys: &Keys) -> Result<Self, KeyError> {
        let unknown = || KeyError::invalid("the key handle is not one of this device");
        if text.len() > MAX_BYTES {
            return Err(unknown());
        }
        let parts = text
            .strip_prefix("sr=")
            .and_then(|rest| rest.split_once("&sig="));
        let (text, tag) = parts.ok_or_else(unknown)?;
        let text = STANDARD.decode(text).map_err(|_| unknown())?;
        let tag = STANDARD.decode(tag).map_err(|_| unknown())?;
        let right = keys.secret_or_new(&KeyId::handles())?.hmac(&text)?;
        verify_slices_are_equal(&right, &tag).map_err(|_| unknown())?;
        let signed: Signed = serde_json::from_slice(&text).map_err(|_| unknown())?;
        Ok(signed.handle)
    }
}
