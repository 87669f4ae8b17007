//! Keys that are made for clients which cannot make their own. They are nowhere but in memory.

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use pki::{KeyError, KeyType, PrivateKey, RequestClaim, RequestKey};
use wire::muster_api::issuer::DeviceKeyType;
use zeroize::Zeroizing;

use super::answer::request_key;
use super::fault::{EstFault, EstReason};

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
    // An RSA key takes a core for a while.
    let making = tokio::task::spawn_blocking(move || generate(kind));
    let failed = || KeyError::Failed("generated");
    Ok(making.await.unwrap_or_else(|_| Err(failed()))?)
}

fn generate(kind: RequestKey) -> Result<PrivateKey, KeyError> {
    match kind {
        RequestKey::P256 => PrivateKey::generate(KeyType::Ec),
        RequestKey::Rsa => PrivateKey::generate(KeyType::Rsa2048),
        RequestKey::P384 => {
            let failed = |_| KeyError::Failed("generated");
            let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map_err(failed)?;
            let document = pair.to_pkcs8v1().map_err(failed)?;
            let der = Zeroizing::new(document.as_ref().to_vec());
            PrivateKey::from_der(&der)
        }
    }
}
