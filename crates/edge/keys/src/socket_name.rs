//! Unix sockets at paths of any length. The operating system allows 107 bytes; an open folder
//! shortens longer paths.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// The longest path that `bind` and `connect` accept, bytes.
const LONGEST: usize = 107;

/// A short name for `path`, and the folder that has to stay open while the name is used.
pub fn shortened(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    if path.as_os_str().len() <= LONGEST {
        return Ok((path.to_owned(), None));
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = File::open(folder)?;
    let short = Path::new("/proc/self/fd")
        .join(folder.as_raw_fd().to_string())
        .join(name);
    if short.as_os_str().len() > LONGEST {
        let message = "the socket's path is longer than 107 bytes and cannot be shortened";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok((short, Some(folder)))
}
