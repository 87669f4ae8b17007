//! The TPM of this device, as registration, tokens and the local API use it.

use device::{TpmFault, TpmFaultKind, TpmKey, TpmPublicKeys};
use ids::error_chain;
use tpm::{ImportedKey, Tpm, TpmError, TpmSettings};

use crate::config::{Config, Fault};

/// The TPM that `[tpm]` names. Its calls block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceTpm(Tpm);

impl DeviceTpm {
    #[must_use]
    pub fn new(settings: TpmSettings) -> Self {
        Self(Tpm::new(settings))
    }

    /// The commands.
    #[must_use]
    pub fn commands(&self) -> &Tpm {
        &self.0
    }

    /// Keeps a key at the handle of `auth_key_index`, in place of the one before. To be called when
    /// a hub has accepted the device with it.
    pub fn keep(&self, key: &TpmKey) -> Result<(), TpmFault> {
        self.0.persist(&imported(key)?).map_err(fault)
    }
}

/// Asks the TPM that a configuration uses for its name, and says so if there is no answer.
#[must_use]
pub fn unreachable(config: &Config) -> Option<Fault> {
    if !config.uses_tpm() {
        return None;
    }
    let line = config.tpm.as_ref().map(|section| section.line.0);
    match Tpm::new(config.tpm_settings()).about() {
        Ok(about) if about.is_locked_out => Some(Fault::warning(
            line,
            "tpm: wrong authorization values were given to the TPM too often; it refuses keys \
             that need one until its recovery time is over",
        )),
        Ok(_) => None,
        Err(error) => Some(Fault::error(line, format!("tpm: {}", error_chain(&error)))),
    }
}

impl device::Tpm for DeviceTpm {
    fn public_keys(&self) -> Result<TpmPublicKeys, TpmFault> {
        let keys = self.0.public_keys().map_err(fault)?;
        Ok(TpmPublicKeys {
            endorsement: keys.endorsement,
            storage_root: keys.storage_root,
        })
    }

    fn import(&self, blob: &[u8]) -> Result<TpmKey, TpmFault> {
        let key = self.0.import(blob).map_err(fault)?;
        Ok(TpmKey::new(key.to_bytes()))
    }

    fn sign(&self, key: &TpmKey, data: &[u8]) -> Result<[u8; 32], TpmFault> {
        self.0.sign(&imported(key)?, data).map_err(fault)
    }
}

/// What was kept may be damaged.
fn imported(key: &TpmKey) -> Result<ImportedKey, TpmFault> {
    ImportedKey::from_bytes(key.as_bytes()).map_err(|error| TpmFault {
        kind: TpmFaultKind::KeyLost,
        message: format!("the kept key of the TPM is damaged: {error}"),
    })
}

fn fault(error: TpmError) -> TpmFault {
    let kind = if error.key_is_lost() {
        TpmFaultKind::KeyLost
    } else if error.is_transient() {
        TpmFaultKind::Transient
    } else {
        TpmFaultKind::Lasting
    };
    TpmFault {
        kind,
        message: error_chain(&error),
    }
}
