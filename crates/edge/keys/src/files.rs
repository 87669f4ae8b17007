//! The role's folder: one file a key, mode 0600, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::{KeyError, KeyId};

/// The longest key file, bytes. RSA 8192 in PEM has 6 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// How many keys a device has at most.
const MAX_KEYS: usize = 1024;

/// Recognises a file that has been replaced or written since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: Option<SystemTime>,
}

pub(crate) fn stamp(path: &Path) -> io::Result<Stamp> {
    let about = fs::metadata(path)?;
    Ok(Stamp {
        device: about.dev(),
        inode: about.ino(),
        size: about.size(),
        written: about.modified().ok(),
    })
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // With its full capacity from the start, because growing would leave copies of a key in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    let mut file = File::open(path)?.take(MAX_FILE + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("it has more than {MAX_FILE} bytes");
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

/// Why a file is not read, in words.
pub(crate) fn problem(path: &Path, error: &io::Error) -> KeyError {
    let path = path.display();
    KeyError::Unavailable(match error.kind() {
        ErrorKind::NotFound => format!("the key file {path} does not exist"),
        ErrorKind::PermissionDenied => format!(
            "the key file {path} may not be read by the user that holds the device's keys; give \
             it to that user, mode 0600"
        ),
        _ => format!("the key file {path} cannot be read: {error}"),
    })
}

/// Makes the folder of keys, and checks that only this user enters it.
pub(crate) fn private_folder(folder: &Path) -> Result<(), KeyError> {
    let failed = |error: io::Error| {
        let folder = folder.display();
        KeyError::unavailable(format!(
            "the folder of keys {folder} cannot be made: {error}"
        ))
    };
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    folder.parent().map_or(Ok(()), sync).map_err(failed)
}

/// Writes a new key. An existing one is replaced whole.
pub(crate) fn write(folder: &Path, id: &KeyId, content: &[u8]) -> Result<(), KeyError> {
    let name = id.file_name();
    let path = folder.join(&name);
    let beside = folder.join(format!(".{name}.new"));
    let put = || {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        sync(folder)
    };
    put().map_err(|error| {
        let path = path.display();
        KeyError::unavailable(format!("the key file {path} cannot be written: {error}"))
    })
}

/// Checks that there is room for one more key.
pub(crate) fn room(folder: &Path) -> Result<(), KeyError> {
    let keys = fs::read_dir(folder).map(Iterator::count).unwrap_or(0);
    match keys < MAX_KEYS {
        true => Ok(()),
        false => Err(KeyError::invalid(format!(
            "this device has {MAX_KEYS} keys already; delete some"
        ))),
    }
}

/// Gives a key another id.
pub(crate) fn rename(folder: &Path, from: &KeyId, to: &KeyId) -> Result<(), KeyError> {
    let (old, new) = (folder.join(from.file_name()), folder.join(to.file_name()));
    match fs::rename(&old, &new).and_then(|()| sync(folder)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(KeyError::NotFound(from.clone())),
        other => other.map_err(|error| {
            KeyError::unavailable(format!("the key {from} cannot become {to}: {error}"))
        }),
    }
}

/// Removes a key; `NotFound` when it does not exist.
pub(crate) fn remove(folder: &Path, id: &KeyId) -> Result<(), KeyError> {
    let path = folder.join(id.file_name());
    match fs::remove_file(&path).and_then(|()| sync(folder)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Err(KeyError::NotFound(id.clone())),
        other => other.map_err(|error| {
            let path = path.display();
            KeyError::unavailable(format!("the key file {path} cannot be removed: {error}"))
        }),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Moves a file that another version of the runtime kept into the folder of keys, unless that
/// folder has a key of this id. The file is not read. Returns whether it was moved.
pub fn adopt(file: &Path, folder: &Path, id: &KeyId) -> io::Result<bool> {
    let target = folder.join(id.file_name());
    if target.try_exists()? || !file.try_exists()? {
        return Ok(false);
    }
    let above = file.parent().unwrap_or(Path::new("/"));
    fs::rename(file, &target)?;
    // First where it is, then where it was: a crash between the two leaves it in one of them.
    sync(folder)?;
    sync(above)?;
    Ok(true)
}
