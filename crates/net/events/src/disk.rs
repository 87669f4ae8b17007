//! The operations that the log needs of a disk. Tests replace them by a disk that fails on demand.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The files of one folder.
pub(crate) trait Disk: Send + Sync {
    /// Makes a folder that does not exist yet, durably.
    fn make_folder(&self, folder: &Path) -> Result<()>;

    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>>;

    /// Makes a file that begins with `begin` and has zeros up to `bytes`, durably; on failure
    /// nothing of it stays. Its bytes are written now, so that an append changes no metadata and
    /// a sync stays cheap.
    fn create(&self, path: &Path, begin: &[u8], bytes: u64) -> Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>>;

    fn remove(&self, path: &Path) -> Result<()>;

    /// Deletes an empty folder.
    fn remove_folder(&self, folder: &Path) -> Result<()>;
}

/// A file of the log, open for reading and writing.
pub(crate) trait DiskFile: Send + Sync {
    /// The present size of the file, in bytes.
    fn len(&self) -> Result<u64>;

    /// Fills `buffer` from a position on. Returns the number of bytes, which is less only at the
    /// end of the file.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize>;

    /// Writes all of `bytes` from a position on. On failure a part may be written.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<()>;

    /// Returns once all writes are on the disk. After a failure it is unknown which ones are.
    fn sync(&self) -> Result<()>;
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn make_folder(&self, folder: &Path) -> Result<()> {
        make_durable(folder)
    }

    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    }

    fn create(&self, path: &Path, begin: &[u8], bytes: u64) -> Result<Box<dyn DiskFile>> {
        let unfinished = path.with_extension("new");
        let made = make_zeros(&unfinished, begin, bytes).and_then(|file| {
            std::fs::rename(&unfinished, path)?;
            sync_folder_of(path)?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => {
                // The attempt must not keep a full disk full.
                let _ = std::fs::remove_file(&unfinished);
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(file))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_folder(&self, folder: &Path) -> Result<()> {
        std::fs::remove_dir(folder)
    }
}

/// Makes a folder, and those above it that are missing. A new folder is durable once the one
/// above it is synced.
fn make_durable(path: &Path) -> Result<()> {
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

fn make_zeros(path: &Path, begin: &[u8], bytes: u64) -> Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let zeros = vec![0; 1 << 18];
    file.write_all(begin)?;
    let mut left = bytes.saturating_sub(begin.len() as u64);
    while left > 0 {
        let some = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&zeros[..some])?;
        left -= some as u64;
    }
    file.sync_all()?;
    Ok(file)
}

fn sync_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl DiskFile for File {
    fn len(&self) -> Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(some) => filled += some,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.write_all_at(bytes, at)
    }

    fn sync(&self) -> Result<()> {
        self.sync_data()
    }
}
