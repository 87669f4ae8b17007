//! A TPM, its settings, and what it says of itself.

use std::fmt;

use zeroize::Zeroizing;

use crate::code::rc;
use crate::connection::Connection;
use crate::primary::{ENDORSEMENT_KEY, STORAGE_ROOT_KEY};
use crate::{Tcti, TpmError};

/// `TPM_PT_MANUFACTURER` and `TPM_PT_FIRMWARE_VERSION_1`
const MANUFACTURER: u32 = 0x105;
const FIRMWARE: u32 = 0x10b;
/// `TPM_PT_PERMANENT`, and its bit `inLockout`.
const PERMANENT: u32 = 0x200;
const IN_LOCKOUT: u32 = 1 << 9;
/// Where persistent objects of the owner are.
const PERSISTENT: std::ops::RangeInclusive<u32> = 0x8100_0000..=0x817f_ffff;
/// Azure's `auth_key_index` when none is given.
const AUTH_KEY_INDEX: u32 = 0x000100;

/// The authorization value of a hierarchy. It is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorization(Zeroizing<Vec<u8>>);

impl Authorization {
    #[must_use]
    pub fn new(value: &str) -> Self {
        Self(Zeroizing::new(value.as_bytes().to_vec()))
    }

    /// For the TPM, and for another process of the device that uses it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(redacted)")
    }
}

/// The section `[tpm]` of `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmSettings {
    pub tcti: Tcti,
    /// The key that the provisioning service gives is kept at the handle 0x81000000 + this.
    pub auth_key_index: u32,
    pub owner: Authorization,
    pub endorsement: Authorization,
}

impl Default for TpmSettings {
    fn default() -> Self {
        Self {
            tcti: Tcti::default(),
            auth_key_index: AUTH_KEY_INDEX,
            owner: Authorization::default(),
            endorsement: Authorization::default(),
        }
    }
}

impl TpmSettings {
    /// The handle of `auth_key_index`.
    #[must_use]
    pub fn auth_key_handle(&self) -> u32 {
        PERSISTENT.start() + self.auth_key_index
    }
}

/// A handle at which a key of the device may be kept: one of the owner's, and not that of the
/// endorsement key or the storage root key.
pub fn key_handle(handle: u32) -> Result<u32, TpmError> {
    match handle {
        ENDORSEMENT_KEY | STORAGE_ROOT_KEY => Err(TpmError::Reserved(handle)),
        other if PERSISTENT.contains(&other) => Ok(other),
        other => Err(TpmError::NotPersistent(other)),
    }
}

/// A TPM 2.0. It is reached when it is used, by each call anew.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tpm {
    pub(crate) settings: TpmSettings,
}

/// What a TPM says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Four letters of the list of vendor ids, for example `IBM`.
    pub manufacturer: String,
    pub firmware: String,
    /// Whether wrong authorization values were given too often.
    pub is_locked_out: bool,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} firmware {}", self.manufacturer, self.firmware)?;
        if self.is_locked_out {
            f.write_str(", locked out")?;
        }
        Ok(())
    }
}

impl Tpm {
    #[must_use]
    pub fn new(settings: TpmSettings) -> Self {
        Self { settings }
    }

    #[must_use]
    pub fn settings(&self) -> &TpmSettings {
        &self.settings
    }

    pub(crate) fn connect(&self) -> Result<Connection, TpmError> {
        Connection::open(&self.settings.tcti)
    }

    /// Asks the TPM for its name: whether it can be reached and is a TPM 2.0.
    pub fn about(&self) -> Result<About, TpmError> {
        let mut connection = self.connect()?;
        let manufacturer = connection.property(MANUFACTURER)?.unwrap_or_default();
        let letters = manufacturer.to_be_bytes();
        let letters = letters.iter().filter(|byte| byte.is_ascii_graphic());
        let firmware = connection.property(FIRMWARE)?.unwrap_or_default();
        let permanent = connection.property(PERMANENT)?.unwrap_or_default();
        Ok(About {
            manufacturer: letters.map(|byte| char::from(*byte)).collect(),
            firmware: format!("{}.{}", firmware >> 16, firmware & 0xffff),
            is_locked_out: permanent & IN_LOCKOUT != 0,
        })
    }

    /// The handle at which the key of the provisioning service is kept.
    #[must_use]
    pub fn auth_key_handle(&self) -> u32 {
        self.settings.auth_key_handle()
    }

    /// Makes a loaded object persistent. What was at the handle goes.
    pub(crate) fn make_persistent(
        &self,
        connection: &mut Connection,
        object: u32,
        handle: u32,
    ) -> Result<(), TpmError> {
        let handle = key_handle(handle)?;
        let owner = self.settings.owner.as_bytes();
        if connection.exists(handle)? {
            connection.evict_control(owner, handle, handle)?;
        }
        connection.evict_control(owner, object, handle)
    }

    /// Loads a key below the storage root key.
    pub(crate) fn load(
        &self,
        connection: &mut Connection,
        private: &[u8],
        public: &[u8],
    ) -> Result<u32, TpmError> {
        let parent = self.storage_root(connection)?;
        connection.load(parent, private, public)
    }

    /// Whether a failure to keep an object says only that the TPM has no room, or that
    /// the owner's authorization value is not known.
    pub(crate) fn may_stay_transient(error: &TpmError) -> bool {
        [rc::NV_SPACE, rc::AUTH_FAIL, rc::BAD_AUTH]
            .iter()
            .any(|code| error.is_refused_with(*code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_device_do_not_go_where_the_primary_keys_are() {
        for handle in [0x8100_0001, 0x8101_0001] {
            assert!(matches!(key_handle(handle), Err(TpmError::Reserved(_))));
        }
        for handle in [0x80ff_ffff, 0x8180_0000, 0x0100_0000] {
            assert!(matches!(
                key_handle(handle),
                Err(TpmError::NotPersistent(_))
            ));
        }
        for handle in [0x8100_0000, 0x8100_0002, 0x8101_0002, 0x817f_ffff] {
            assert!(key_handle(handle).is_ok(), "{handle:#x}");
        }
    }
}
