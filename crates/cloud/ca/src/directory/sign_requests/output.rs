//! The folder with the certificates.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::journal::KeyId;
use crate::CaError;
use crate::files::{self, Flush};

const CERTIFICATE: &str = ".cert.pem";
const CHAIN: &str = "-full-chain.cert.pem";

pub(super) struct Output {
    dir: PathBuf,
    /// Names with a certificate file when the run began.
    names: HashSet<String>,
    force: bool,
}

impl Output {
    /// Also removes what killed runs left half written.
    pub(super) fn open(dir: &Path, force: bool) -> Result<Self, CaError> {
        files::create_dir(dir, false)?;
        let failed = |source| CaError::Read {
            path: dir.to_owned(),
            source,
        };
        let mut names = HashSet::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let Ok(file) = entry.map_err(failed)?.file_name().into_string() else {
                continue;
            };
            if files::remove_abandoned(dir, &file) || file.ends_with(CHAIN) {
                continue;
            }
            if let Some(name) = file.strip_suffix(CERTIFICATE) {
                names.insert(name.to_owned());
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            names,
            force,
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.names.iter().cloned()
    }

    /// Why the files of a name must not be replaced by a certificate for this key.
    pub(super) fn other_key(&self, name: &str, key: KeyId) -> Option<String> {
        if self.force || !self.names.contains(name) {
            return None;
        }
        let path = self.dir.join(format!("{name}{CERTIFICATE}"));
        let problem = match files::read_certificate(&path) {
            Ok(there) if KeyId::of(&there) == key => return None,
            Ok(_) => "is there already, for another key",
            Err(_) => "is there already, and is not a certificate",
        };
        let path = path.display();
        Some(format!(
            "{path} {problem}; choose another folder, or replace it with --force"
        ))
    }

    /// Writes the chain, then the certificate, where they differ.
    pub(super) fn write(&self, name: &str, certificate: &str, chain: &str) -> Result<(), CaError> {
        for (suffix, text) in [(CHAIN, chain), (CERTIFICATE, certificate)] {
            let path = self.dir.join(format!("{name}{suffix}"));
            match fs::read(&path) {
                Ok(there) if there == text.as_bytes() => continue,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(CaError::Read { path, source }),
            }
            files::write_one_of_many(&path, text, Flush::Later)?;
        }
        Ok(())
    }
}
