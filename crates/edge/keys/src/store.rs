//! The keys themselves.

mod held;
mod opened;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use pkcs11::{AllowedLibraries, Libraries, SlotReference, SlotUri, TokenReport};
use pki::{KeyType, Signer};

use crate::{KeyError, KeyId, NewKeys, SecretKey, Settings, files};
use opened::Opened;

/// A key pair that signs, and stays where it is.
#[derive(Debug, Clone)]
pub struct OpenPair {
    pub signer: Signer,
    /// Where it is, for people.
    pub place: String,
}

/// Opens and makes the keys of a device. Each call may take seconds, or minutes where a TPM makes
/// an RSA key, and blocks its thread.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The key pair of an id.
    fn pair(&self, id: &KeyId) -> Result<OpenPair, KeyError>;

    /// The key pair of an id. A missing one is made, of the first kind
    /// that is possible.
    fn make_pair(&self, id: &KeyId, kinds: &[KeyType]) -> Result<OpenPair, KeyError>;

    /// Gives a key pair another id, in the place of the key pair that has it. What was made in that
    /// place before is gone.
    fn move_pair(&self, from: &KeyId, to: &KeyId) -> Result<(), KeyError>;

    /// Deletes a key pair that was made by [`make_pair`](Self::make_pair).
    fn delete_pair(&self, id: &KeyId) -> Result<(), KeyError>;

    /// The symmetric key of an id.
    fn secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError>;

    /// The symmetric key of an id. A missing one is made.
    fn make_secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError>;

    /// Keeps a symmetric key, unless there is one with this id.
    fn import_secret(&self, id: &KeyId, bytes: &[u8]) -> Result<(), KeyError>;

    /// Deletes a symmetric key that was made or imported.
    fn delete_secret(&self, id: &KeyId) -> Result<(), KeyError>;
}

/// The keys of a device, in the process that holds them.
pub struct Keys {
    /// `None`: nothing is made, and only what the settings name is found.
    folder: Option<PathBuf>,
    settings: RwLock<Settings>,
    libraries: Libraries,
    opened: Opened,
    /// Held while a key is made, moved or deleted.
    changing: Mutex<()>,
}

impl Keys {
    /// Opens the folder in which keys are that this device made. It is made if it is missing.
    pub fn in_folder(folder: &Path, settings: Settings) -> Result<Self, KeyError> {
        files::private_folder(folder)?;
        Ok(Self {
            folder: Some(folder.to_owned()),
            ..Self::without_folder(settings)
        })
    }

    /// The keys that settings name, and no others: for tools that check a configuration.
    #[must_use]
    pub fn without_folder(settings: Settings) -> Self {
        Self {
            folder: None,
            settings: RwLock::new(settings),
            libraries: Libraries::new(AllowedLibraries::any()),
            opened: Opened::default(),
            changing: Mutex::new(()),
        }
    }

    fn folder(&self) -> Result<&Path, KeyError> {
        let none = || KeyError::invalid("keys are made only by the role that holds them");
        self.folder.as_deref().ok_or_else(none)
    }

    /// Obeys another configuration from now on.
    pub fn configure(&self, settings: Settings) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = settings;
        self.opened.forget_all();
    }

    /// What the token in which keys are made can do; `None` when they are made in files.
    pub fn token_for_new_keys(&self) -> Option<Result<TokenReport, KeyError>> {
        let new_keys = self.settings().new_keys?;
        let report = slot_reference(&new_keys).and_then(|slot| Ok(self.libraries.report(&slot)?));
        Some(report)
    }

    /// Opens a key anew when it is next used.
    pub(crate) fn forget(&self, id: &KeyId) {
        self.opened.forget(id);
    }

    fn settings(&self) -> Settings {
        let settings = self.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        let changing = self.changing.lock();
        changing.unwrap_or_else(PoisonError::into_inner)
    }

    /// A key that the configuration names is not the role's to change.
    fn require_own(&self, id: &KeyId) -> Result<(), KeyError> {
        match self.settings().sources.contains_key(id) {
            false => Ok(()),
            true => Err(KeyError::invalid(format!(
                "the configuration says where the key {id} is; it is not changed"
            ))),
        }
    }
}

/// The token of `pkcs11_base_slot`.
fn slot_reference(new_keys: &NewKeys) -> Result<SlotReference, KeyError> {
    let (uri, source) = SlotUri::with_pin(new_keys.slot.reveal())?;
    Ok(SlotReference {
        library: new_keys.library.clone(),
        uri,
        pin: opened::pin(source)?,
    })
}

impl KeyStore for Keys {
    fn pair(&self, id: &KeyId) -> Result<OpenPair, KeyError> {
        self.open_pair(id)
    }

    fn make_pair(&self, id: &KeyId, kinds: &[KeyType]) -> Result<OpenPair, KeyError> {
        // An existing one is found while another key is made, which may take a token minutes.
        match self.open_pair(id) {
            Err(KeyError::NotFound(_)) => {}
            other => return other,
        }
        let _changing = self.change();
        // It may have been made meanwhile.
        match self.open_pair(id) {
            Err(KeyError::NotFound(_)) => {}
            other => return other,
        }
        files::room(self.folder()?)?;
        self.new_pair(id, kinds)?;
        self.open_pair(id)
    }

    fn move_pair(&self, from: &KeyId, to: &KeyId) -> Result<(), KeyError> {
        let _changing = self.change();
        self.require_own(from)?;
        self.require_own(to)?;
        // It has to be a key pair that works before it takes another one's place.
        self.open_pair(from)?;
        let replaced = self.reference_of(to);
        files::rename(self.folder()?, from, to)?;
        self.opened.forget(from);
        self.opened.forget(to);
        if let Some(replaced) = replaced {
            self.destroy_in_token(to, &replaced);
        }
        Ok(())
    }

    fn delete_pair(&self, id: &KeyId) -> Result<(), KeyError> {
        self.delete(id, &self.open_pair(id).map(drop))
    }

    fn secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError> {
        Ok(Arc::new(self.open_secret(id)?))
    }

    fn make_secret(&self, id: &KeyId) -> Result<Arc<dyn SecretKey>, KeyError> {
        Ok(Arc::new(self.secret_or_new(id)?))
    }

    fn import_secret(&self, id: &KeyId, bytes: &[u8]) -> Result<(), KeyError> {
        let _changing = self.change();
        match self.open_secret(id) {
            Err(KeyError::NotFound(_)) => {}
            other => return other.map(drop),
        }
        files::room(self.folder()?)?;
        files::write(self.folder()?, id, &held::symmetric(id, bytes)?)
    }

    fn delete_secret(&self, id: &KeyId) -> Result<(), KeyError> {
        self.delete(id, &self.open_secret(id).map(drop))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "Keys({})", folder.display()),
            None => f.write_str("Keys"),
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod guard_tests;
