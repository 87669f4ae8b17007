//! Sealing the key files that are there.

use std::fs;
use std::io::ErrorKind;

use super::{DeviceIssuers, IssuerError, KeyStorage, key_file};
use crate::{CaError, files};

/// What was done with the key files of a data directory.
#[derive(Debug, Default)]
pub struct SealOutcome {
    /// Files that were written anew under the passphrase.
    pub sealed: usize,
    /// Files that no passphrase opens, each with the reason. Their issuers do not issue.
    pub failed: Vec<(std::path::PathBuf, IssuerError)>,
}

impl DeviceIssuers {
    /// Seals key files that are plain, or sealed under the former passphrase, and proves that the
    /// passphrase opens the others. Without a passphrase nothing is done.
    pub fn seal_all(&self, former: Option<&String>) -> Result<SealOutcome, IssuerError> {
        let mut outcome = SealOutcome::default();
        if self.passphrase.is_none() {
            return Ok(outcome);
        }
        let failed = |source| CaError::Read {
            path: self.dir.clone(),
            source,
        };
        let files = match fs::read_dir(&self.dir) {
            Ok(files) => files,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(outcome),
            Err(error) => return Err(failed(error).into()),
        };
        for file in files {
            let file = file.map_err(failed)?;
            let path = file.path();
            if path.extension().is_none_or(|extension| extension != "pem") {
                continue;
            }
            match self.seal(&path, former) {
                Ok(true) => outcome.sealed += 1,
                Ok(false) => {}
                Err(error) => outcome.failed.push((path, error)),
            }
        }
        Ok(outcome)
    }

    /// Whether the file had to be written anew.
    fn seal(&self, path: &std::path::Path, former: Option<&String>) -> Result<bool, IssuerError> {
        let text = files::read(path)?;
        let is_plain = match key_file::storage(&text) {
            KeyStorage::File => true,
            KeyStorage::SealedFile => false,
            KeyStorage::Token { is_sealed, .. } => !is_sealed,
        };
        let passphrase = self.passphrase.as_deref();
        let (key, chain) = match key_file::read(&text, passphrase) {
            Ok(_) if !is_plain => return Ok(false),
            Err(IssuerError::Key(pki::KeyError::WrongPassphrase)) if former.is_some() => {
                key_file::read(&text, former)?
            }
            read => read?,
        };
        files::write_private(path, &key.to_text(&chain, passphrase)?)?;
        files::sync_dir(&self.dir)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IssuerKeyOptions;

    #[test]
    fn only_a_folder_that_does_not_exist_has_nothing_to_seal() {
        let dir = tempfile::tempdir().unwrap();
        let options = IssuerKeyOptions {
            passphrase: Some("one two".to_owned().into()),
            ..IssuerKeyOptions::default()
        };
        let issuers = DeviceIssuers::with(dir.path(), options);
        assert_eq!(issuers.seal_all(None).unwrap().sealed, 0);
        fs::create_dir(dir.path().join("ca")).unwrap();
        fs::write(dir.path().join("ca/issuers"), "not a folder").unwrap();
        assert!(matches!(
            issuers.seal_all(None),
            Err(IssuerError::File(CaError::Read { .. }))
        ));
    }
}
