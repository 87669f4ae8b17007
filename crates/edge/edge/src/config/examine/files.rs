//! Files that a configuration names: whether they exist, can be read, are private, and hold what
//! they should.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ids::error_chain;
use keys::KeyId;
use pki::{Certificate, Signer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::Examiner;
use crate::config::{Fault, FileReference, KeyLocation, read_additional_info};

/// The longest file that is read, bytes. Ten certificates of 4096 bit are a tenth of it.
const MAX_FILE: u64 = 256 * 1024;

impl Examiner<'_> {
    pub(super) fn certificates(&mut self, file: &FileReference) -> Option<Vec<Certificate>> {
        let bytes = self.bytes(file)?;
        self.open_to_everybody(file);
        let chain = Certificate::read_all(&bytes).map_err(|error| error_chain(&error));
        self.keep_or_record(file, chain)
    }

    /// The key of an id, which `location` names. A key that the device makes itself is not looked
    /// for.
    pub(super) fn private_key(&mut self, id: &str, location: &KeyLocation) -> Option<Signer> {
        let (line, key) = match location {
            KeyLocation::Held => return None,
            KeyLocation::File(file) => {
                self.open_to_others(file);
                (file.line, &file.key)
            }
            KeyLocation::Pkcs11(token) => (token.line, &token.key),
            KeyLocation::Tpm(object) => (object.line, &object.key),
        };
        match KeyId::parse(id).and_then(|id| self.keys.pair(&id)) {
            Ok(pair) => Some(pair.signer),
            Err(error) => {
                let message = format!("{key}: {error}");
                self.faults.push(Fault::error(line, message));
                None
            }
        }
    }

    /// A user who can read a key can be the device.
    pub(super) fn open_to_others(&mut self, file: &FileReference) {
        let path = file.path.display();
        if let Ok(about) = std::fs::metadata(&file.path)
            && about.mode() & 0o077 != 0
        {
            let mode = about.mode() & 0o777;
            self.faults.push(Fault::error(
                file.line,
                format!(
                    "{} {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",
                    file.key
                ),
            ));
        }
    }

    /// A user who can write the trusted roots decides which servers the device trusts.
    pub(super) fn open_to_everybody(&mut self, file: &FileReference) {
        let Ok(about) = std::fs::metadata(&file.path) else {
            return;
        };
        let (mode, path) = (about.mode() & 0o777, file.path.display());
        if mode & 0o002 != 0 {
            let message = format!(
                "{} {path} can be written by everybody (mode {mode:04o}); run: chmod 644 {path}",
                file.key
            );
            self.faults.push(Fault::warning(file.line, message));
        }
    }

    pub(super) fn payload(&mut self, file: &FileReference) -> Option<Value> {
        let bytes = self.bytes(file)?;
        self.open_to_everybody(file);
        // Editors on Windows put a byte order mark in front of UTF-8.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match serde_json::from_slice(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.faults.push(Fault::error(
                    file.line,
                    format!(
                        "provisioning.payload {} is not JSON in UTF-8: {error}",
                        file.path.display()
                    ),
                ));
                None
            }
        }
    }

    pub(super) fn additional_info(&mut self, file: &FileReference) {
        let Some(bytes) = self.bytes(file) else {
            return;
        };
        self.open_to_everybody(file);
        let read = str::from_utf8(&bytes).map_err(|error| error.to_string());
        let read = read.and_then(read_additional_info);
        self.keep_or_record(file, read);
    }

    pub(super) fn bytes(&mut self, file: &FileReference) -> Option<Zeroizing<Vec<u8>>> {
        match read(file) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let problem = problem_of(&file.path, &error);
                self.faults
                    .push(Fault::error(file.line, format!("{}: {problem}", file.key)));
                None
            }
        }
    }

    pub(super) fn keep_or_record<T>(
        &mut self,
        file: &FileReference,
        outcome: Result<T, String>,
    ) -> Option<T> {
        let outcome = outcome.map_err(|problem| {
            let message = format!("{} {}: {problem}", file.key, file.path.display());
            self.faults.push(Fault::error(file.line, message));
        });
        outcome.ok()
    }
}

pub(super) fn problem_of(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("the file {path} does not exist"),
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "the file {path} may not be read by this user; give it to the user that runs the \
                 runtime, mode 0600"
            )
        }
        _ => format!("the file {path} cannot be read: {error}"),
    }
}

fn read(file: &FileReference) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // With its full capacity from the start, because growing would leave copies of a key in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    let mut open = std::fs::File::open(&file.path)?.take(MAX_FILE + 1);
    open.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!(
            "it has more than {MAX_FILE} bytes"
        )));
    }
    Ok(bytes)
}
