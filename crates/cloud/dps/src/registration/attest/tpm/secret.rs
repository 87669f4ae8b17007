//! The keys that a service sends to TPMs. They are derived, not stored: a restart between
//! two requests of a device changes nothing, and a device that registers again gets the
//! hub key that it has.

use aws_lc_rs::hmac;
use ids::{IdScope, RegistrationId, Timestamp};
use pki::tpm::{EndorsementKey, HMAC_KEY_LENGTH, HmacKey, StorageRootKey};

/// How long one challenge is the current one, seconds. It is accepted for as long again.
const WINDOW: i64 = 300;

/// A registration and its TPM.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) id_scope: &'a IdScope,
    pub(super) registration_id: &'a RegistrationId,
    pub(super) endorsement: &'a EndorsementKey,
    pub(super) storage_root: &'a StorageRootKey,
}

/// A span of time in which challenges are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Window(i64);

/// The keys of one service.
pub(super) struct TpmSecret(hmac::Key);

/// What a derived key is for. No two may be alike.
#[derive(Clone, Copy)]
enum Purpose {
    Challenge(Window),
    HubPrimary,
    HubSecondary,
}

impl Window {
    pub(super) fn at(now: Timestamp) -> Self {
        Self(now.unix_seconds().div_euclid(WINDOW))
    }

    pub(super) fn before(self) -> Self {
        Self(self.0 - 1)
    }
}

impl TpmSecret {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key that a TPM must show to hold within `window`.
    pub(super) fn challenge(&self, subject: &Subject<'_>, window: Window) -> HmacKey {
        self.derive(subject, Purpose::Challenge(window))
    }

    /// The key that the device's tokens for its hub are signed with.
    pub(super) fn hub(&self, subject: &Subject<'_>) -> HmacKey {
        self.derive(subject, Purpose::HubPrimary)
    }

    /// The hub's second key for the device, which no TPM gets.
    pub(super) fn hub_secondary(&self, subject: &Subject<'_>) -> HmacKey {
        self.derive(subject, Purpose::HubSecondary)
    }

    fn derive(&self, subject: &Subject<'_>, purpose: Purpose) -> HmacKey {
        let (label, window) = match purpose {
            Purpose::Challenge(window) => ("tpm challenge", window.0),
            Purpose::HubPrimary => ("tpm hub primary", 0),
            Purpose::HubSecondary => ("tpm hub secondary", 0),
        };
        let mut mac = hmac::Context::with_key(&self.0);
        let parts = [
            label.as_bytes(),
            subject.id_scope.as_str().as_bytes(),
            subject.registration_id.folded().as_bytes(),
            subject.endorsement.as_bytes(),
            subject.storage_root.as_bytes(),
            &window.to_be_bytes(),
        ];
        for part in parts {
            // With its length, so that no two lists of parts are the same bytes.
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        let mut key = [0; HMAC_KEY_LENGTH];
        key.copy_from_slice(mac.sign().as_ref());
        HmacKey::new(key)
    }
}
