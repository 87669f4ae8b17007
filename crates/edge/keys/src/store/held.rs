//! Keys that the role makes: in its folder, or in the token for new keys, with a file in the folder
//! that says which one.

use aws_lc_rs::rand::fill;
use pkcs11::{KeyName, TokenKeyReference, TokenUri};
use pki::{KeyType, PrivateKey};
use zeroize::Zeroizing;

use super::{Keys, slot_reference};
use crate::secrets::Secret;
use crate::{KeyError, KeyId, NewKeys, files, key_file};

/// The beginning of a file that says where a key is.
const LIBRARY: &str = "PKCS#11 library: ";
const URI: &str = "PKCS#11 URI: ";
/// The length of symmetric keys, bytes.
const SECRET_BYTES: usize = 32;

impl Keys {
    /// Makes a key pair of the first kind that is possible.
    pub(super) fn new_pair(&self, id: &KeyId, kinds: &[KeyType]) -> Result<(), KeyError> {
        let mut problem = KeyError::invalid("none of the kinds of keys that are asked for is made");
        let new_keys = self.settings().new_keys;
        for kind in kinds {
            let made = match &new_keys {
                Some(new_keys) => self.pair_in_token(id, *kind, new_keys),
                None => self.pair_in_file(id, *kind),
            };
            match made {
                Ok(()) => return Ok(()),
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }

    fn pair_in_file(&self, id: &KeyId, kind: KeyType) -> Result<(), KeyError> {
        let key = PrivateKey::generate(kind);
        let key = key.map_err(|error| KeyError::unavailable(error.to_string()))?;
        files::write(self.folder()?, id, key.to_pem().as_bytes())
    }

    fn pair_in_token(&self, id: &KeyId, kind: KeyType, new_keys: &NewKeys) -> Result<(), KeyError> {
        let slot = slot_reference(new_keys)?;
        let name = random::<16>()?;
        let name = KeyName {
            label: id.as_str(),
            id: &name,
        };
        let made = self.libraries.make_pair(&slot, name, kind)?;
        self.write_reference(id, &made)
    }

    /// The symmetric key of an id, or a new one: in the token if it has HMAC-SHA256, else in a file.
    /// An existing one is found while another key is made, which may take a token minutes.
    pub(crate) fn secret_or_new(&self, id: &KeyId) -> Result<Secret, KeyError> {
        match self.open_secret(id) {
            Err(KeyError::NotFound(_)) => {}
            other => return other,
        }
        let _changing = self.change();
        // It may have been made meanwhile.
        match self.open_secret(id) {
            Err(KeyError::NotFound(_)) => {}
            other => return other,
        }
        files::room(self.folder()?)?;
        let bytes = Zeroizing::new(random::<SECRET_BYTES>()?);
        match self.settings().new_keys {
            Some(new_keys) if !id.is_of_the_runtime() => {
                let slot = slot_reference(&new_keys)?;
                let report = self.libraries.report(&slot)?;
                let has = |name: &str| report.mechanisms.iter().any(|one| one == name);
                if has("CKM_SHA256_HMAC") && has("CKM_GENERIC_SECRET_KEY_GEN") {
                    let name = KeyName {
                        label: id.as_str(),
                        id: &bytes[..16],
                    };
                    let made = self.libraries.make_secret(&slot, name)?;
                    self.write_reference(id, &made)?;
                    return self.open_secret(id);
                }
                files::write(self.folder()?, id, bytes.as_slice())?;
            }
            _ => files::write(self.folder()?, id, bytes.as_slice())?,
        }
        self.open_secret(id)
    }

    fn write_reference(&self, id: &KeyId, key: &TokenKeyReference) -> Result<(), KeyError> {
        let (library, uri) = (key.library.display(), &key.uri);
        let text = format!("{LIBRARY}{library}\n{URI}{uri}\n");
        files::write(self.folder()?, id, text.as_bytes())
    }

    /// The key in a token that a file stands for; `None` for a file with the key itself.
    pub(super) fn reference_of(&self, id: &KeyId) -> Option<TokenKeyReference> {
        let path = self.folder.as_ref()?.join(id.file_name());
        let bytes = files::read(&path).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let mut lines = text.lines();
        let library = lines.next()?.strip_prefix(LIBRARY)?;
        let uri: TokenUri = lines.next()?.strip_prefix(URI)?.parse().ok()?;
        Some(TokenKeyReference {
            library: library.into(),
            uri,
            pin: None,
        })
    }

    /// The PIN is not kept beside the key: it is in the configuration. No other token gets it, and
    /// no library is loaded that the configuration does not name.
    pub(super) fn with_pin(
        &self,
        id: &KeyId,
        reference: TokenKeyReference,
    ) -> Result<TokenKeyReference, KeyError> {
        let settings = self.settings();
        let Some(new_keys) = settings.new_keys else {
            return Err(KeyError::unavailable(format!(
                "the key {id} was made in a PKCS#11 token, {reference:?}, but the configuration \
                 has no pkcs11_base_slot any more; give it again in [aziot_keys]"
            )));
        };
        let slot = slot_reference(&new_keys)?;
        if reference.library != slot.library || *reference.uri.slot() != slot.uri {
            return Err(KeyError::unavailable(format!(
                "the key {id} was made in another PKCS#11 token, {reference:?}, than that of \
                 pkcs11_base_slot, {} in {}; give the former one again in [aziot_keys], or name \
                 the key in [preloaded_keys]",
                slot.uri,
                slot.library.display()
            )));
        }
        Ok(TokenKeyReference {
            pin: slot.pin,
            ..reference
        })
    }

    /// Deletes a key that this role made, in its token too.
    pub(super) fn delete(
        &self,
        id: &KeyId,
        is_of_the_kind: &Result<(), KeyError>,
    ) -> Result<(), KeyError> {
        let _changing = self.change();
        self.require_own(id)?;
        if let Err(wrong @ (KeyError::NotFound(_) | KeyError::Invalid(_))) = is_of_the_kind {
            return Err(wrong.clone());
        }
        let reference = self.reference_of(id);
        files::remove(self.folder()?, id)?;
        self.opened.forget(id);
        if let Some(reference) = reference {
            self.destroy_in_token(id, &reference);
        }
        Ok(())
    }

    /// Destroys a key that no file stands for any more. One that stays in its token harms nothing.
    pub(super) fn destroy_in_token(&self, id: &KeyId, reference: &TokenKeyReference) {
        let destroyed = self
            .with_pin(id, reference.clone())
            .and_then(|key| Ok(self.libraries.destroy(&key)?));
        if let Err(error) = destroyed {
            tracing::warn!(
                key = %id,
                error = %error,
                "a key that is not used any more stays in its token"
            );
        }
    }
}

/// Refuses bytes that are something else than a symmetric key to the readers of a key's file: the
/// place of a key in a token, or a private key.
pub(super) fn symmetric(id: &KeyId, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let is_reference = bytes.starts_with(LIBRARY.as_bytes());
    let is_tpm_key = std::str::from_utf8(bytes).is_ok_and(tpm::is_key_file);
    let is_pem = bytes.starts_with(b"-----BEGIN");
    if is_reference || is_tpm_key || is_pem || key_file::private_key(bytes).is_ok() {
        return Err(KeyError::invalid(format!(
            "the bytes for the key {id} are no symmetric key; they are not imported"
        )));
    }
    let bytes = Zeroizing::new(bytes.to_vec());
    Secret::in_memory(bytes.clone(), id, "to be imported".to_owned())?;
    Ok(bytes)
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    fill(&mut bytes).map_err(|_| KeyError::unavailable("no random numbers can be had"))?;
    Ok(bytes)
}
