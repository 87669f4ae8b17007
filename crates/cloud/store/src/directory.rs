use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// A data directory that this process holds: mode 0700, with a lock that ends with the process.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory when it is missing, closes it to others and locks it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be created or written.
    pub fn lock(path: &Path) -> Result<Self, OpenError> {
        make_durable(path).map_err(OpenError::io("creating directory", path))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(OpenError::io("closing to other users", path))?;
        let file = path.join("server.lock");
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&file)
            .map_err(OpenError::io("opening", &file))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    directory: path.to_owned(),
                    holder: read_holder(&mut lock),
                });
            }
            Err(TryLockError::Error(cause)) => return Err(OpenError::io("locking", &file)(cause)),
        }
        write_holder(&mut lock).map_err(OpenError::io("writing", &file))?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(path: &Path) -> PathBuf {
        path.join("muster.db")
    }

    /// Where the event logs of a data directory are, each in a folder of its own.
    #[must_use]
    pub fn events(path: &Path) -> PathBuf {
        path.join("events")
    }
}

/// Makes a folder, and those above it that are missing. A new folder is durable when the one
/// above it is synced.
pub(crate) fn make_durable(path: &Path) -> std::io::Result<()> {
    let missing: Vec<_> = path
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn read_holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_holder(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}
