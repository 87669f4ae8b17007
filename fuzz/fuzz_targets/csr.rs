//! Certification requests of devices, DER and PEM. What a profile admits names the device.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use ids::RegistrationId;
use libfuzzer_sys::fuzz_target;
use ids::ProfileKind;
use pki::{IssuingProfile, ProfileConfig, RequestKey};

static PROFILES: LazyLock<Vec<IssuingProfile>> = LazyLock::new(|| {
    let profile = |kind| {
        IssuingProfile::new(ProfileConfig {
            kind,
            validity: Duration::from_secs(3600),
            key_types: [RequestKey::USUAL, RequestKey::EXPERIMENTAL].concat(),
        })
    };
    ProfileKind::ALL.map(profile).into_iter().flatten().collect()
});

fuzz_target!(|data: &[u8]| {
    let Ok(id) = RegistrationId::parse("edge-001") else { return };
    let request = match pki::prove_request(data) {
        Ok(request) => request,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for profile in PROFILES.iter() {
        match profile.admit(request.clone(), Some(&id)) {
            Ok(admitted) => assert_eq!(admitted.common_name(), id.as_str()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let _ = profile.admit(request.clone(), None);
    }
});
