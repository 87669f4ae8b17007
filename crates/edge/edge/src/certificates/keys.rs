//! The key pairs of certificates that are issued on or for the device.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pki::{KeyError, KeyType, PrivateKey, Signer};
use zeroize::Zeroizing;

use crate::files::durable::{self, DurableError};

/// Makes and keeps key pairs under ids. What it has made is durable when it returns.
pub trait KeyPairs: Debug + Send + Sync {
    /// The key of this id. Makes one of `kind`, unless it exists.
    fn open_or_make(&self, id: &str, kind: KeyType) -> Result<Signer, KeyPairError>;

    /// The key of this id; `None` when it certainly does not exist.
    fn open(&self, id: &str) -> Result<Option<Signer>, KeyPairError>;

    /// Destroys the key of this id, if there is one.
    fn remove(&self, id: &str) -> Result<(), KeyPairError>;
}

#[derive(Debug, thiserror::Error)]
pub enum KeyPairError {
    #[error(transparent)]
    File(#[from] DurableError),
    #[error("the key {id} cannot be used")]
    Key { id: String, source: KeyError },
}

/// Keys in files of mode 0600, PKCS#8.
#[derive(Debug)]
pub struct KeyFiles {
    folder: PathBuf,
}

impl KeyFiles {
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(file_name(id, "key"))
    }
}

/// A file name for an id, as Azure's services make it: two ids never share one.
pub(crate) fn file_name(id: &str, extension: &str) -> String {
    let plain: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let digest = crate::config::digest_of(id);
    format!("{plain}-{digest}.{extension}")
}

impl KeyPairs for KeyFiles {
    fn open_or_make(&self, id: &str, kind: KeyType) -> Result<Signer, KeyPairError> {
        if let Some(key) = self.open(id)? {
            return Ok(key);
        }
        let failed = |source| KeyPairError::Key {
            id: id.to_owned(),
            source,
        };
        let key = PrivateKey::generate(kind).map_err(failed)?;
        durable::write(&self.path(id), key.to_pem().as_bytes())?;
        Ok(key.into())
    }

    fn open(&self, id: &str) -> Result<Option<Signer>, KeyPairError> {
        let path = self.path(id);
        let pem = match fs::read(&path) {
            Ok(pem) => Zeroizing::new(pem),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(DurableError::Io {
                    what: "read",
                    path,
                    source,
                }
                .into());
            }
        };
        let read = PrivateKey::from_pem(&String::from_utf8_lossy(&pem), None);
        let key = read.map_err(|source| KeyPairError::Key {
            id: id.to_owned(),
            source,
        })?;
        Ok(Some(key.into()))
    }

    fn remove(&self, id: &str) -> Result<(), KeyPairError> {
        Ok(durable::remove(&self.path(id))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_gone_when_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyFiles::in_folder(&dir.path().join("keys"));
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
