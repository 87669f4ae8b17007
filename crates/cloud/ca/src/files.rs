//! Files that hold keys and certificates: read with a limit, written whole or not at all, never
//! readable by others.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pki::{Certificate, PrivateKey};
use zeroize::Zeroizing;

use crate::CaError;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
/// More than a chain of ten RSA 4096 certificates with their text forms.
const MAX_BYTES: u64 = 1024 * 1024;

/// Creates a folder and its parents; only the owner may enter those that hold keys.
pub(crate) fn create_dir(path: &Path, private: bool) -> Result<(), CaError> {
    let wrote = |source| CaError::Write {
        path: path.to_owned(),
        source,
    };
    let mode = if private { 0o700 } else { 0o755 };
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(wrote)?;
    if private {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(wrote)?;
    }
    Ok(())
}

/// Writes a certificate: everybody may read it.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), CaError> {
    write(path, text.as_bytes(), PUBLIC)
}

/// Writes a private key: only the owner may read it, from the first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CaError> {
    write(path, text.as_bytes(), PRIVATE)
}

/// Writes beside the target, syncs, renames: after a crash the old file is there, or the new one.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // Nothing more can be done about it, and the first error says what happened.
        let _ = fs::remove_file(&temporary);
        CaError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits away from a public file.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn temporary_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{number}.new", std::process::id()))
}

/// Makes renames in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), CaError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| CaError::Write {
            path: path.to_owned(),
            source,
        })
}

/// Refuses when `path` exists.
pub(crate) fn require_absent(path: &Path) -> Result<(), CaError> {
    if path.symlink_metadata().is_ok() {
        return Err(CaError::Exists {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Reads a text file that may hold a key.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<String>, CaError> {
    let failed = |source| CaError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(CaError::TooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    Ok(text)
}

/// Reads a file with certificates, in whatever form.
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, CaError> {
    let failed = |source| CaError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CaError::TooLarge {
            path: path.to_owned(),
            limit: MAX_BYTES,
        });
    }
    Ok(bytes)
}

/// Reads a passphrase from a file: its first line, without the line's end.
pub fn read_passphrase(path: &Path) -> Result<Zeroizing<String>, CaError> {
    let text = read(path)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(CaError::NoPassphrase {
            path: path.to_owned(),
        }),
    }
}

/// Reads the first certificate of a PEM file.
pub(crate) fn read_certificate(path: &Path) -> Result<Certificate, CaError> {
    let bad = |source| CaError::Certificate {
        path: path.to_owned(),
        source,
    };
    let bundle = Certificate::parse_pem_bundle(&read(path)?).map_err(bad)?;
    bundle
        .into_iter()
        .next()
        .ok_or_else(|| bad(pki::PemError::NoCertificate))
}

/// Reads a private key file.
pub(crate) fn read_key(path: &Path, passphrase: Option<&[u8]>) -> Result<PrivateKey, CaError> {
    PrivateKey::from_pem(&read(path)?, passphrase).map_err(|source| CaError::Key {
        path: path.to_owned(),
        source,
    })
}
