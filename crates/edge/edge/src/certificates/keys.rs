//! The key pairs of certificates that are issued on or for the device. The role that holds the
//! device's keys makes and keeps them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use keys::{KeyError, KeyId, KeyStore};
use pki::{KeyType, Signer};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::identity_files::ConfiguredKeys;
use super::issuer::IssuanceError;
use crate::config::{Config, KeyLocation};

/// Makes and keeps key pairs under ids. What it has made is durable when it returns.
pub trait KeyPairs: Debug + Send + Sync {
    /// The key of this id. Makes one of `kind` if it does not exist.
    fn open_or_make(&self, id: &str, kind: KeyType) -> Result<Signer, KeyPairError>;

    /// The key of this id; `None` when it certainly does not exist.
    fn open(&self, id: &str) -> Result<Option<Signer>, KeyPairError>;

    /// Destroys the key of this id, if it exists.
    fn remove(&self, id: &str) -> Result<(), KeyPairError>;
}

#[derive(Debug, thiserror::Error)]
#[error("the key {id} cannot be used")]
pub struct KeyPairError {
    id: String,
    source: KeyError,
}

/// The key that the configuration names for a certificate: it is that one, whatever its number, and
/// it is neither made nor destroyed.
#[derive(Debug)]
pub(super) struct NamedKey {
    pub(super) keys: Arc<dyn KeyPairs>,
    pub(super) id: &'static str,
}

impl KeyPairs for NamedKey {
    fn open_or_make(&self, _: &str, kind: KeyType) -> Result<Signer, KeyPairError> {
        self.keys.open_or_make(self.id, kind)
    }

    fn open(&self, _: &str) -> Result<Option<Signer>, KeyPairError> {
        self.keys.open(self.id)
    }

    fn remove(&self, _: &str) -> Result<(), KeyPairError> {
        Ok(())
    }
}

/// The keys of the role.
#[derive(Debug, Clone)]
pub struct RoleKeys {
    store: Arc<dyn KeyStore>,
    /// Where the configuration says that keys are, by key id.
    configured: BTreeMap<String, KeyLocation>,
}

impl RoleKeys {
    #[must_use]
    pub fn new(store: Arc<dyn KeyStore>, config: &Config) -> Self {
        let configured = config.private_keys().into_iter();
        let configured = configured.map(|(id, location)| (id, location.clone()));
        Self {
            store,
            configured: configured.collect(),
        }
    }

    fn call<T>(
        &self,
        id: &str,
        call: impl FnOnce(&dyn KeyStore, &KeyId) -> Result<T, KeyError>,
    ) -> Result<T, KeyPairError> {
        let answer = KeyId::parse(id).and_then(|id| blocking(|| call(&*self.store, &id)));
        answer.map_err(|source| KeyPairError {
            id: id.to_owned(),
            source,
        })
    }
}

/// The role may take seconds. Other tasks of this thread go on meanwhile.
fn blocking<T>(call: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(call),
        _ => call(),
    }
}

impl KeyPairs for RoleKeys {
    fn open_or_make(&self, id: &str, kind: KeyType) -> Result<Signer, KeyPairError> {
        let pair = self.call(id, |store, id| store.make_pair(id, &[kind]))?;
        Ok(pair.signer)
    }

    fn open(&self, id: &str) -> Result<Option<Signer>, KeyPairError> {
        self.call(id, |store, id| match store.pair(id) {
            Ok(pair) => Ok(Some(pair.signer)),
            Err(KeyError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn remove(&self, id: &str) -> Result<(), KeyPairError> {
        self.call(id, |store, id| match store.delete_pair(id) {
            Err(KeyError::NotFound(_)) => Ok(()),
            other => other,
        })
    }
}

impl ConfiguredKeys for RoleKeys {
    fn open_configured(&self, location: &KeyLocation) -> Result<Signer, IssuanceError> {
        let mut configured = self.configured.iter();
        let found = configured.find(|(_, configured)| *configured == location);
        let Some((id, _)) = found else {
            let why = "a key that the configuration does not name cannot be opened";
            return Err(IssuanceError::Files(why.to_owned()));
        };
        let pair = self.call(id, |store, id| store.pair(id));
        let pair = pair.map_err(|error| IssuanceError::Files(ids::error_chain(&error)))?;
        Ok(pair.signer)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use keys::{Keys, Settings};

    use super::*;

    /// Keys in a folder of the test.
    pub(crate) fn keys_in(folder: &Path) -> Arc<RoleKeys> {
        let store = Keys::in_folder(folder, Settings::default()).unwrap();
        Arc::new(RoleKeys {
            store: Arc::new(store),
            configured: BTreeMap::new(),
        })
    }

    #[test]
    fn a_key_is_made_once_and_is_gone_when_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let keys = keys_in(&dir.path().join("keys"));
        assert!(keys.open("device-id-1").unwrap().is_none());
        let made = keys.open_or_make("device-id-1", KeyType::Ec).unwrap();
        let again = keys.open_or_make("device-id-1", KeyType::Ec).unwrap();
        assert_eq!(made.public_key(), again.public_key());
        let other = keys.open_or_make("deviceid-1", KeyType::Ec).unwrap();
        assert_ne!(made.public_key(), other.public_key());
        keys.remove("device-id-1").unwrap();
        keys.remove("device-id-1").unwrap();
        assert!(keys.open("device-id-1").unwrap().is_none());
        assert!(keys.open("deviceid-1").unwrap().is_some());
    }
}
