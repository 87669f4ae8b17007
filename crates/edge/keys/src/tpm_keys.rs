//! Key pairs in the TPM, without PKCS#11.

use pki::Signer;
use serde::{Deserialize, Serialize};
use tpm::{Authorization, KeyPlace, Tpm, TpmError, TpmSettings, WrappedKey};

use crate::{HiddenText, KeyError};

/// How the TPM is reached, as the configuration writes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TpmAccess {
    /// `device:/dev/tpmrm0`.
    pub tcti: String,
    pub owner: HiddenText,
    pub endorsement: HiddenText,
}

impl TpmAccess {
    /// The key of a persistent object.
    pub(crate) fn persistent(&self, handle: u32) -> Result<Signer, KeyError> {
        self.signer(KeyPlace::Persistent(handle))
    }

    /// The key of a file that only this TPM can load.
    pub(crate) fn wrapped(&self, pem: &str) -> Result<Signer, KeyError> {
        let key = WrappedKey::from_pem(pem);
        let key = key.map_err(|error| KeyError::unavailable(error.to_string()))?;
        self.signer(KeyPlace::Wrapped(key))
    }

    fn signer(&self, place: KeyPlace) -> Result<Signer, KeyError> {
        let tcti = self.tcti.parse();
        let tcti = tcti.map_err(|error: tpm::TctiError| KeyError::invalid(error.to_string()))?;
        let tpm = Tpm::new(TpmSettings {
            tcti,
            owner: Authorization::new(self.owner.reveal()),
            endorsement: Authorization::new(self.endorsement.reveal()),
            ..TpmSettings::default()
        });
        let key = tpm.signing_key(place);
        let key = key.map_err(|error: TpmError| KeyError::unavailable(in_words(&error)))?;
        Ok(key.into_signer())
    }
}

/// An error with its causes.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let whole = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    format!("the TPM does not give the key: {whole}")
}
