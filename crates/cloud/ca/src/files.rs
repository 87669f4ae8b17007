//! Files with keys and certificates: read with a limit, written whole or not at all, and never
//! readable by others when they hold a key.

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
/// Larger than a chain of ten RSA 4096 certificates with their text forms.
const MAX_BYTES: u64 = 1024 * 1024;

/// Creates a folder and its parents. Only the owner may enter a folder with keys.
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

/// Writes a certificate, which everybody may read.
pub(crate) fn write_public(path: &Path, text: &str) -> Result<(), CaError> {
    write(path, text.as_bytes(), PUBLIC)
}

/// Writes a private key, which only the owner may read, from the first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CaError> {
    write(path, text.as_bytes(), PRIVATE)
}

/// Writes to another file, flushes and renames it. After a crash there is the old file
/// or the new one.
fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The first error is reported; another one here would not help.
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
    // The umask may have narrowed the mode of a public file.
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

/// Reads a file with certificates in any form.
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

/// Reads a passphrase: the first line of a file.
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
