//! Bodies, and the bytes in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki::KeyType;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::ApiError;
use crate::KeyError;

/// A body in JSON.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let text = wire::lenient::without_bom(body);
    serde_json::from_slice(text).map_err(|error| ApiError::Body(error.to_string()))
}

/// A member of a body in base64.
pub(super) fn bytes(name: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| KeyError::invalid(format!("{name} is not base64")))?;
    Ok(Zeroizing::new(bytes))
}

pub(super) fn text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `preferredAlgorithms`: those kinds that are known, in the order of the caller.
pub(super) fn kinds(preferred: Option<&str>) -> Result<Vec<KeyType>, KeyError> {
    let preferred = preferred.unwrap_or("*");
    let kinds = preferred.split(':').filter_map(|name| match name {
        "*" | "ec-p256" => Some(KeyType::Ec),
        "ec-p384" => Some(KeyType::Ec384),
        "rsa-2048" => Some(KeyType::Rsa2048),
        "rsa-3072" => Some(KeyType::Rsa3072),
        "rsa-4096" => Some(KeyType::Rsa4096),
        _ => None,
    });
    let kinds: Vec<KeyType> = kinds.collect();
    match kinds.is_empty() {
        false => Ok(kinds),
        true => Err(KeyError::invalid(format!(
            "none of {preferred:?} is a kind of key that is made: ec-p256, ec-p384, rsa-2048, \
             rsa-3072, rsa-4096, *"
        ))),
    }
}
