//! Files that exist in full or not at all: written under another name, flushed, renamed, and
//! the folder flushed too.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::permissions::{OPEN_FOLDER, PRIVATE_FILE, PRIVATE_FOLDER};

#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is damaged", path.display())]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
}

/// Makes a folder and its parents, mode 0755, and flushes each into the folder above it. An
/// existing folder stays as it is.
pub fn make_folder(path: &Path) -> Result<(), DurableError> {
    make(path, OPEN_FOLDER).map_err(|source| io_error("create the folder", path, source))
}

/// Makes a folder that only this user may enter, mode 0700. An existing folder gets that mode.
pub fn private_folder(path: &Path) -> Result<(), DurableError> {
    let private = || {
        make(path, PRIVATE_FOLDER)?;
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, Permissions::from_mode(mode & 0o7700))?;
        }
        Ok(())
    };
    private().map_err(|source| io_error("make private the folder", path, source))
}

/// Makes a folder that everybody may enter, mode 0755. An existing folder gets that mode.
pub fn open_folder(path: &Path) -> Result<(), DurableError> {
    let open = || {
        make(path, OPEN_FOLDER)?;
        if fs::metadata(path)?.permissions().mode() & 0o777 == OPEN_FOLDER {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(OPEN_FOLDER))
    };
    open().map_err(|source| io_error("open to its container the folder", path, source))
}

/// The parents of a new folder get mode 0755, the folder its own mode, whatever the umask is.
fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    make(above, OPEN_FOLDER)?;
    match DirBuilder::new().mode(mode).create(path) {
        // Another process has made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        made => made?,
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    // A folder is only durable when its entry in the folder above is.
    File::open(above)?.sync_all()
}

/// Flushes the folders between `root` and `path`, because a crash may have come
/// before they were flushed.
pub fn sync_above(path: &Path, root: &Path) -> Result<(), DurableError> {
    let above = path.ancestors().skip(1);
    for folder in above.take_while(|folder| folder.starts_with(root)) {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| io_error("flush the folder", folder, source))?;
    }
    Ok(())
}

/// Replaces `path` with `content`, mode 0600. After an error the old file still exists. A missing
/// folder is made, mode 0700.
pub fn write(path: &Path, content: &[u8]) -> Result<(), DurableError> {
    private_folder(path.parent().unwrap_or(Path::new("/")))?;
    replace(path, content)
}

/// As [`write`], in a folder that is not the device's own and keeps its mode. A missing folder is
/// made, mode 0755.
pub fn write_in_any_folder(path: &Path, content: &[u8]) -> Result<(), DurableError> {
    make_folder(path.parent().unwrap_or(Path::new("/")))?;
    replace(path, content)
}

fn replace(path: &Path, content: &[u8]) -> Result<(), DurableError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = folder.join(format!(".{name}.new"));
    let written = || {
        power::step()?;
        // A file that a crash has left may have any mode.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE_FILE)
            .open(&beside)?;
        power::step()?;
        file.write_all(content)?;
        file.sync_all()?;
        power::step()?;
        fs::rename(&beside, path)?;
        power::step()?;
        File::open(folder)?.sync_all()
    };
    written().map_err(|source| io_error("write", path, source))
}

/// Removes a file, if there is one.
pub fn remove(path: &Path) -> Result<(), DurableError> {
    let removed = power::step().and_then(|()| fs::remove_file(path));
    let removed = match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other,
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let flushed = removed.and_then(|()| File::open(folder)?.sync_all());
    flushed.map_err(|source| io_error("remove", path, source))
}

/// Gives a damaged file another name, `NAME.damaged`, in place of an earlier one. Returns its path.
pub fn set_aside(path: &Path) -> Result<PathBuf, DurableError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".damaged");
    let aside = PathBuf::from(aside);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let renamed = power::step().and_then(|()| fs::rename(path, &aside));
    let flushed = renamed.and_then(|()| File::open(folder)?.sync_all());
    flushed.map_err(|source| io_error("set aside", path, source))?;
    Ok(aside)
}

/// Replaces `path` with `value` as JSON.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DurableError> {
    let damaged = |source| DurableError::Damaged {
        path: path.to_owned(),
        source,
    };
    write(path, &serde_json::to_vec_pretty(value).map_err(damaged)?)
}

/// Reads what [`write_json`] wrote; `None` when there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DurableError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io_error("read", path, source)),
    };
    let damaged = |source| DurableError::Damaged {
        path: path.to_owned(),
        source,
    };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

fn io_error(what: &'static str, path: &Path, source: io::Error) -> DurableError {
    DurableError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

/// Nothing but a mark where a test lets the power fail.
#[cfg(not(test))]
mod power {
    pub(super) fn step() -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets the power of a device fail between the steps of its writes. Each thread is a device.
#[cfg(test)]
pub(crate) mod power {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// After this many steps nothing is written until [`restore`].
    pub(crate) fn cut_after(steps: u32) {
        LEFT.set(Some(steps));
    }

    /// Returns the steps that were left.
    pub(crate) fn restore() -> u32 {
        LEFT.take().unwrap_or_default()
    }

    pub(super) fn step() -> io::Result<()> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power is off")),
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: what is flushed cannot be seen, that nothing of it fails can.
    #[test]
    fn folders_are_made_with_their_modes_and_flushed_up_to_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (open, private) = (dir.path().join("a/b"), dir.path().join("a/b/c"));
        make_folder(&open).unwrap();
        private_folder(&private).unwrap();
        assert_eq!((mode(&open), mode(&private)), (0o755, 0o700));
        fs::set_permissions(&private, Permissions::from_mode(0o755)).unwrap();
        make_folder(&private).unwrap();
        assert_eq!(mode(&private), 0o755);
        private_folder(&private).unwrap();
        assert_eq!(mode(&private), 0o700);
        sync_above(&private, dir.path()).unwrap();
        let gone = sync_above(&dir.path().join("no/such"), dir.path()).unwrap_err();
        assert!(gone.to_string().starts_with("cannot flush the folder"));
    }

    /// `iotedge config mp -o /tmp/config.toml` must not close /tmp.
    #[test]
    fn a_folder_that_is_not_the_devices_own_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        let path = dir.path().join("config.toml");
        write_in_any_folder(&path, b"a").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(dir.path()), mode(&path)), (0o777, 0o600));
    }

    #[test]
    fn a_file_is_replaced_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        assert_eq!(read_json::<u32>(&path).unwrap(), None);
        write_json(&path, &1_u32).unwrap();
        fs::write(dir.path().join("a/.b.json.new"), "a remnant of a crash").unwrap();
        write_json(&path, &2_u32).unwrap();
        assert_eq!(read_json::<u32>(&path).unwrap(), Some(2));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::write(&path, "{").unwrap();
        assert!(matches!(
            read_json::<u32>(&path),
            Err(DurableError::Damaged { .. })
        ));
    }
}
