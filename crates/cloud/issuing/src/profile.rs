use pki::{IssuingProfile, MlDsa, ProfileConfig, ProfileError, RequestKey};
use provisioning::IssuerRecord;
use wire::muster_api::issuer::DeviceKeyType;

/// What an issuer makes of requests.
pub(crate) fn profile(issuer: &IssuerRecord) -> Result<IssuingProfile, ProfileError> {
    let stored = &issuer.profile;
    let key_types = stored.key_types.iter().copied().map(request_key);
    IssuingProfile::new(ProfileConfig {
        kind: stored.kind,
        validity: stored.lifetime.length(),
        key_types: key_types.collect(),
    })
}

pub(crate) fn request_key(kind: DeviceKeyType) -> RequestKey {
    match kind {
        DeviceKeyType::P256 => RequestKey::P256,
        DeviceKeyType::P384 => RequestKey::P384,
        DeviceKeyType::Rsa => RequestKey::Rsa,
        DeviceKeyType::MlDsa44 => RequestKey::MlDsa(MlDsa::Level44),
        DeviceKeyType::MlDsa65 => RequestKey::MlDsa(MlDsa::Level65),
        DeviceKeyType::MlDsa87 => RequestKey::MlDsa(MlDsa::Level87),
    }
}
