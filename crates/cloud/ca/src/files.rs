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
    write(path, text.as_bytes(), PUBLIC, Flush::Now)
}

/// Writes a private key, which only the owner may read, from the first byte on.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), CaError> {
    write(path, text.as_bytes(), PRIVATE, Flush::Now)
}

/// When a written file is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// When the call returns; its name after [`sync_dir`].
    Now,
    /// After [`sync_filesystem`]. A power failure before it may leave an empty file.
    Later,
}

/// Writes a file that everybody may read, one of many.
pub(crate) fn write_one_of_many(path: &Path, text: &str, flush: Flush) -> Result<(), CaError> {
    write(path, text.as_bytes(), PUBLIC, flush)
}

/// Writes binary data that holds a private key.
pub(crate) fn write_private_bytes(path: &Path, bytes: &[u8], flush: Flush) -> Result<(), CaError> {
    write(path, bytes, PRIVATE, flush)
}

/// Writes to another file and renames it. After a crash of the process there is the old file
/// or the new one.
fn write(path: &Path, bytes: &[u8], mode: u32, flush: Flush) -> Result<(), CaError> {
    let temporary = temporary_beside(path);
    let written =
        write_new(&temporary, bytes, mode, flush).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        // The first error is reported; another one here would not help.
        let _ = fs::remove_file(&temporary);
        CaError::Write {
            path: path.to_owned(),
            source,
        }
    })
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, flush: Flush) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have narrowed the mode of a public file.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    match flush {
        Flush::Now => file.sync_all(),
        Flush::Later => Ok(()),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}-{number}.new", std::process::id()))
}

/// Deletes what killed processes left in a folder while they wrote `*.pem` files.
pub(crate) fn remove_abandoned(dir: &Path, file_name: &str) -> bool {
    let Some(rest) = file_name
        .strip_prefix('.')
        .and_then(|n| n.strip_suffix(".new"))
    else {
        return false;
    };
    let process = rest
        .rsplit_once(".pem.")
        .and_then(|(_, numbers)| numbers.split_once('-'));
    let Some(process) = process.and_then(|(process, _)| process.parse::<u32>().ok()) else {
        return false;
    };
    if process == std::process::id() || Path::new(&format!("/proc/{process}")).exists() {
        return false;
    }
    fs::remove_file(dir.join(file_name)).is_ok()
}

/// Makes all files of a file system durable.
pub(crate) fn sync_filesystem(inside: &Path) -> Result<(), CaError> {
    File::open(inside)
        .and_then(|dir| Ok(nix::unistd::syncfs(dir)?))
        .map_err(|source| CaError::Write {
            path: inside.to_owned(),
            source,
        })
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
    let mut text = Zeroizing::new(String::with_capacity(capacity(&file, MAX_BYTES)));
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

/// Room for a whole file: memory that grows while it is read keeps what was read first.
fn capacity(file: &File, limit: u64) -> usize {
    let length = file.metadata().map_or(0, |file| file.len());
    usize::try_from(length.min(limit) + 1).unwrap_or_default()
}

/// Reads a file with certificates in any form.
pub(crate) fn read_bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, CaError> {
    read_at_most(path, MAX_BYTES).map(Zeroizing::new)
}

/// Reads a file of records.
pub(crate) fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, CaError> {
    let failed = |source| CaError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::with_capacity(capacity(&file, limit));
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(CaError::TooLarge {
            path: path.to_owned(),
            limit,
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
