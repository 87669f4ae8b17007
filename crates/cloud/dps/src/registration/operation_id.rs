//! Operation ids: a device gets one when it registers and sends it back when it polls.
//!
//! They are verified, not stored: `5.<16 hex>.<guid>`, where the sixteen digits are a truncated
//! HMAC over registration id and guid. A poll survives a restart, and a client can only poll for a
//! registration whose operation id it was given.

use aws_lc_rs::hmac;
use ids::RegistrationId;
use uuid::Uuid;

/// The leading part of every operation id, as Azure's have it.
const PREFIX: &str = "5.";
/// Bytes of the HMAC that are kept: the sixteen digits of Azure's ids.
const TAG_LENGTH: usize = 8;

/// The key that operation ids of one service are made with.
#[derive(Clone)]
pub struct OperationKey(hmac::Key);

/// An operation id that this service has issued for one registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationId(String);

impl OperationKey {
    /// `secret` is the service's.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// `guid` is fresh randomness.
    pub fn issue(&self, registration: &RegistrationId, guid: Uuid) -> OperationId {
        let tag = u64::from_be_bytes(self.tag(registration, guid));
        OperationId(format!("{PREFIX}{tag:016x}.{}", guid.hyphenated()))
    }

    /// `None` when the text is not an operation id of this service for that registration.
    pub fn verify(&self, registration: &RegistrationId, text: &str) -> Option<OperationId> {
        let (tag, guid) = text.strip_prefix(PREFIX)?.split_once('.')?;
        let guid = Uuid::try_parse(guid).ok()?;
        let tag = u64::from_str_radix(tag, 16)
            .ok()
            .filter(|_| tag.len() == 2 * TAG_LENGTH)?;
        let ours = self.tag(registration, guid);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&tag.to_be_bytes(), &ours);
        same.ok().map(|()| OperationId(text.to_owned()))
    }

    fn tag(&self, registration: &RegistrationId, guid: Uuid) -> [u8; TAG_LENGTH] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(registration.folded().as_bytes());
        context.update(guid.as_bytes());
        let mut tag = [0; TAG_LENGTH];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_LENGTH]);
        tag
    }
}

impl std::fmt::Debug for OperationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperationKey(secret)")
    }
}

impl OperationId {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RegistrationId {
        RegistrationId::parse(text).unwrap()
    }

    #[test]
    fn only_ids_of_this_service_and_registration_are_accepted() {
        let key = OperationKey::new(b"secret");
        let guid = Uuid::from_u128(7);
        let issued = key.issue(&id("Edge-001"), guid).into_string();
        assert_eq!(issued.len(), 2 + 16 + 1 + 36);
        assert!(key.verify(&id("edge-001"), &issued).is_some());
        assert!(key.verify(&id("edge-002"), &issued).is_none());
        assert!(
            OperationKey::new(b"other")
                .verify(&id("edge-001"), &issued)
                .is_none()
        );
        let flipped = issued.replacen(
            &issued[2..3],
            if &issued[2..3] == "0" { "1" } else { "0" },
            1,
        );
        for bad in [
            flipped.as_str(),
            "",
            "5.",
            "5.abc.def",
            "5.+000000000000000.x",
            &issued[2..],
        ] {
            assert!(key.verify(&id("edge-001"), bad).is_none(), "{bad}");
        }
    }
}
