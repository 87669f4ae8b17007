//! Moves the files of the two CAs of a roll, so that it can be repeated from any point.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ids::Thumbprint;

use super::state::Rolled;
use crate::layout::{self, CaPaths};
use crate::{CaError, files};

/// Copies the current files aside, and the next ones into their place.
pub(super) fn forward(dir: &Path, rolled: Rolled, previous: Thumbprint) -> Result<(), CaError> {
    let kept = rolled.previous(dir);
    // Its certificate is written last. When it is there, the current files may be new already.
    let is_kept = kept.certificate.exists()
        && files::read_certificate(&kept.certificate)?.sha256() == previous;
    if !is_kept {
        copy(&rolled.current(dir), &kept)?;
        sync(dir)?;
    }
    copy(&rolled.next(dir), &rolled.current(dir))?;
    sync(dir)
}

/// Copies the previous files back into their place.
pub(super) fn back(dir: &Path, rolled: Rolled) -> Result<(), CaError> {
    let kept = rolled.previous(dir);
    // It is deleted first, after its files were copied.
    if kept.certificate.exists() {
        copy(&kept, &rolled.current(dir))?;
    }
    sync(dir)
}

fn copy(from: &CaPaths, to: &CaPaths) -> Result<(), CaError> {
    files::write_private(&to.key, &files::read(&from.key)?)?;
    files::write_public(&to.chain, &files::read(&from.chain)?)?;
    files::write_public(&to.certificate, &files::read(&from.certificate)?)?;
    // It holds the other key, and is only there when it was asked for.
    remove_file(&to.pfx)
}

/// Deletes the files of a CA, the certificate first.
pub(super) fn remove(paths: &CaPaths) -> Result<(), CaError> {
    all(paths).into_iter().try_for_each(remove_file)
}

pub(super) fn exists(paths: &CaPaths) -> bool {
    all(paths).into_iter().any(|path| path.exists())
}

fn all(paths: &CaPaths) -> [&Path; 4] {
    [&paths.certificate, &paths.chain, &paths.pfx, &paths.key]
}

pub(super) fn remove_file(path: &Path) -> Result<(), CaError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(CaError::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

fn sync(dir: &Path) -> Result<(), CaError> {
    files::sync_dir(&layout::private(dir))?;
    files::sync_dir(&layout::certs(dir))
}
