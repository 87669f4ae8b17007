//! The endorsement key and the storage root key: those at the usual handles, or made from the usual
//! templates and kept there.

use pki::tpm::push_sized;

use crate::commands::hierarchy;
use crate::connection::Connection;
use crate::public::{endorsement_template, storage_root_template};
use crate::{Tpm, TpmError};

pub(crate) const ENDORSEMENT_KEY: u32 = 0x8101_0001;
pub(crate) const STORAGE_ROOT_KEY: u32 = 0x8100_0001;

impl Tpm {
    /// The handle of the endorsement key.
    pub(crate) fn endorsement(&self, connection: &mut Connection) -> Result<u32, TpmError> {
        if connection.exists(ENDORSEMENT_KEY)? {
            return Ok(ENDORSEMENT_KEY);
        }
        let value = self.settings.endorsement.as_bytes();
        let template = endorsement_template();
        let made = connection.create_primary(hierarchy::ENDORSEMENT, value, &template)?;
        self.keep(connection, made, ENDORSEMENT_KEY)
    }

    /// The handle of the storage root key.
    pub(crate) fn storage_root(&self, connection: &mut Connection) -> Result<u32, TpmError> {
        if connection.exists(STORAGE_ROOT_KEY)? {
            return Ok(STORAGE_ROOT_KEY);
        }
        let value = self.settings.owner.as_bytes();
        let template = storage_root_template();
        let made = connection.create_primary(hierarchy::OWNER, value, &template)?;
        self.keep(connection, made, STORAGE_ROOT_KEY)
    }

    /// Keeps a primary key where nothing is, because it takes long to make again. Where that is not possible, the
    /// loaded one is used.
    fn keep(&self, connection: &mut Connection, made: u32, handle: u32) -> Result<u32, TpmError> {
        let owner = self.settings.owner.as_bytes();
        match connection.evict_control(owner, made, handle) {
            Ok(()) => {
                connection.flush(made)?;
                Ok(handle)
            }
            Err(error) if Self::may_stay_transient(&error) => {
                tracing::warn!(
                    error = %error,
                    handle = %format_args!("{handle:#x}"),
                    "a primary key of the TPM cannot be kept and is made each time"
                );
                Ok(made)
            }
            Err(error) => Err(error),
        }
    }
}

/// A `TPM2B_PUBLIC` of the public area of an object.
pub(crate) fn public_of(connection: &mut Connection, handle: u32) -> Result<Vec<u8>, TpmError> {
    let area = connection.read_public(handle)?;
    let mut sized = Vec::with_capacity(area.len() + 2);
    push_sized(&mut sized, &area);
    Ok(sized)
}
