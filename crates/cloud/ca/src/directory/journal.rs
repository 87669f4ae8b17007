//! `W/index/issued.jsonl`: every certificate that this folder issued, one line of JSON each,
//! appended before its files are written.
//!
//! A certificate counts as issued when its line is durable. A process that is killed before that
//! has issued nothing; one that is killed after it has lost nothing, because the line holds the
//! certificate and its files are written again from it.

mod index;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ids::{Thumbprint, Timestamp};
use pki::Certificate;
use serde::{Deserialize, Serialize};

use crate::{CaError, files, layout};
pub(super) use index::{IssuedIndex, KeyId};

/// No line is longer: an RSA 8192 certificate with a long chain of names.
const MAX_LINE: u64 = 64 * 1024;

/// A certificate that was issued, as a line of JSON in the record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssuedLine {
    pub(super) serial: String,
    /// The SHA-256 of the certificate of the CA that signed it.
    pub(super) ca: Thumbprint,
    pub(super) profile: String,
    pub(super) name: String,
    /// The SHA-256 of its SubjectPublicKeyInfo.
    pub(super) key: Thumbprint,
    pub(super) issued: Timestamp,
    pub(super) not_after: Timestamp,
    /// The certificate, base64 of DER.
    der: String,
}

impl IssuedLine {
    pub(super) fn new(
        certificate: &Certificate,
        profile: &str,
        ca: &Certificate,
        now: Timestamp,
    ) -> Self {
        Self {
            serial: certificate.serial_hex().to_owned(),
            ca: ca.sha256(),
            profile: profile.to_owned(),
            name: certificate
                .subject_common_name()
                .unwrap_or_default()
                .to_owned(),
            key: KeyId::of(certificate).key(),
            issued: now,
            not_after: certificate.not_after(),
            der: STANDARD.encode(certificate.der()),
        }
    }

    fn certificate(&self) -> Option<Certificate> {
        let der = STANDARD.decode(&self.der).ok()?;
        Certificate::from_der(&der).ok()
    }
}

/// The open records of a folder. Only one process has them open.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// Held until this value is dropped.
    _lock: Lock,
}

/// Keeps other `muster ca` processes from writing to the same folder.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for another process that writes.
    pub(super) fn acquire(dir: &Path) -> Result<Self, CaError> {
        let index = layout::index(dir);
        files::create_dir(&index, false)?;
        let path = index.join("lock");
        let failed = |source| CaError::Write {
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o644)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                tracing::warn!("waiting for another muster ca command in this folder");
                file.lock().map_err(failed)?;
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        Ok(Self { _file: file })
    }
}

impl Journal {
    pub(super) fn open(dir: &Path) -> Result<Self, CaError> {
        let lock = Lock::acquire(dir)?;
        let path = layout::index(dir).join("issued.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o644)
            .open(&path);
        let opened = file.and_then(|mut file| Ok((whole_lines(&mut file)?, file)));
        let (length, file) = opened.map_err(|source| CaError::Write {
            path: path.clone(),
            source,
        })?;
        files::sync_dir(&layout::index(dir))?;
        files::sync_dir(dir)?;
        Ok(Self {
            path,
            file,
            length,
            _lock: lock,
        })
    }

    /// Appends lines. They are durable when this returns.
    pub(super) fn append(&mut self, lines: &[IssuedLine]) -> Result<(), CaError> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::with_capacity(lines.len() * 1024);
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(|error| self.failed(error.into()))?;
            text.push(b'\n');
        }
        let written = self.file.write_all_at(&text, self.length);
        if let Err(source) = written.and_then(|()| self.file.sync_data()) {
            // A torn line would spoil the next one; what cannot be cut now is cut by the next
            // process that opens the file.
            let _ = self.file.set_len(self.length);
            return Err(self.failed(source));
        }
        self.length += text.len() as u64;
        Ok(())
    }

    /// What was issued, found by key, name and serial number. Reads the whole record.
    pub(super) fn index(&self) -> Result<IssuedIndex, CaError> {
        index::read(&self.path, &self.file, self.length)
    }

    /// The certificate of a line that the index found.
    pub(super) fn certificate(&self, offset: u64, length: u32) -> Result<Certificate, CaError> {
        let mut line = vec![0; length as usize];
        self.file
            .read_exact_at(&mut line, offset)
            .map_err(|source| CaError::Read {
                path: self.path.clone(),
                source,
            })?;
        let line: Option<IssuedLine> = serde_json::from_slice(&line).ok();
        line.and_then(|line| line.certificate())
            .ok_or_else(|| CaError::Record {
                path: self.path.clone(),
                line: 0,
            })
    }

    fn failed(&self, source: std::io::Error) -> CaError {
        CaError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Cuts a last line that a killed process did not finish. The length that remains.
pub(super) fn whole_lines(file: &mut File) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(MAX_LINE * 16);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(length - start).read_to_end(&mut tail)?;
    let whole = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => start + last as u64 + 1,
        None => start,
    };
    if whole < length {
        file.set_len(whole)?;
        file.sync_data()?;
    }
    Ok(whole)
}

/// Appends one line to a file of records and makes it durable.
pub(super) fn append_line(path: &Path, line: &impl Serialize) -> Result<(), CaError> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let length = whole_lines(&mut file)?;
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        file.seek(SeekFrom::Start(length))?;
        file.write_all(&text)?;
        file.sync_data()
    };
    write().map_err(|source| CaError::Write {
        path: path.to_owned(),
        source,
    })
}
