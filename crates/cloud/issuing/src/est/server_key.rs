//! Keys that are made for clients which cannot make their own. They are nowhere but in memory.

use pki::{KeyError, KeyType, PrivateKey, RequestClaim, RequestKey};
use wire::muster_api::issuer::DeviceKeyType;

use super::fault::{EstFault, EstReason};
use crate::profile::request_key;

/// Makes a key of the kind of the request's, if the issuer takes that, else of the issuer's first.
pub(super) async fn make(
    claim: &RequestClaim,
    accepted: &[DeviceKeyType],
) -> Result<PrivateKey, EstFault> {
    if claim.wants_encrypted_key() {
        return Err(EstReason::EncryptedKey.into());
    }
    let mut accepted = accepted.iter().copied().map(request_key);
    let wanted = claim.kind();
    let first = accepted.clone().next().unwrap_or(RequestKey::P256);
    let kind = accepted.find(|kind| Some(*kind) == wanted).unwrap_or(first);
    let kind = match kind {
        RequestKey::P256 => KeyType::Ec,
        RequestKey::P384 => KeyType::Ec384,
        RequestKey::Rsa => KeyType::Rsa2048,
        RequestKey::MlDsa(level) => KeyType::MlDsa(level),
    };
    // An RSA key takes a core for a while.
    let making = tokio::task::spawn_blocking(move || PrivateKey::generate(kind));
    let failed = || KeyError::Failed("generated");
    Ok(making.await.unwrap_or_else(|_| Err(failed()))?)
}
