//! Folders and files of uploads on the disk: durable, and closed to other users.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ids::Timestamp;
use nix::sys::statvfs::statvfs;
use registry::WrittenFile;

use super::error::BlobError;
use super::{INCOMING, Replace};

/// Makes a folder, and those above it that are missing. A new folder is durable when the one above
/// it is synced.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let missing: Vec<_> = folder
        .ancestors()
        .take_while(|above| !above.as_os_str().is_empty() && !above.exists())
        .collect();
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        sync(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Brings the names of a folder to the disk.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A new file, or an empty one in the place of another.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)
}

/// Moves a complete file to its place below `directory`. With [`Replace::No`] the part stays, too.
pub(super) fn publish(
    part: &Path,
    (directory, target): (&Path, &Path),
    replace: Replace,
) -> Result<WrittenFile, BlobError> {
    let moved = || {
        let folder = target.parent().unwrap_or(directory);
        make(folder)?;
        let found = std::fs::metadata(part)?;
        match replace {
            Replace::Yes => std::fs::rename(part, target)?,
            Replace::No => std::fs::hard_link(part, target)?,
        }
        // Others may have made these folders, and not synced them yet.
        for folder in folder.ancestors() {
            sync(folder)?;
            if folder == directory {
                break;
            }
        }
        Ok(WrittenFile {
            bytes: found.len(),
            modified: timestamp(found.modified()?),
        })
    };
    moved().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists => BlobError::Exists,
        _ => error.into(),
    })
}

/// In units of 100 ns; what is before 1970 becomes 1970.
fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_ticks(i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX))
}

/// Refuses when a file system has fewer free bytes than it has to keep.
pub(super) fn require_space(path: &Path, min_free: u64) -> Result<(), BlobError> {
    match has_space(path, min_free)? {
        true => Ok(()),
        false => Err(BlobError::NoSpace),
    }
}

/// Whether a file system has the free bytes that it has to keep.
pub(super) fn has_space(path: &Path, min_free: u64) -> io::Result<bool> {
    let found = statvfs(path)?;
    let free = found
        .blocks_available()
        .saturating_mul(found.fragment_size());
    Ok(free >= min_free)
}

/// Makes the directory of uploads, and tries what uploads do in it.
pub(super) fn probe(directory: &Path) -> io::Result<()> {
    let incoming = directory.join(INCOMING);
    make(&incoming)?;
    let (part, target) = (incoming.join("probe.part"), directory.join(".probe"));
    let _left_before = (std::fs::remove_file(&part), std::fs::remove_file(&target));
    let attempt = || {
        create(&part)?.sync_all()?;
        std::fs::hard_link(&part, &target)?;
        sync(directory)
    };
    let (attempt, removed) = (attempt(), std::fs::remove_file(&target));
    let _ = std::fs::remove_file(&part);
    attempt.and(removed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        let found = std::fs::metadata(path).unwrap();
        found.permissions().mode() & 0o777
    }

    #[test]
    fn a_published_file_is_closed_to_others() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("a/uploads");
        probe(&directory).unwrap();
        let names = std::fs::read_dir(&directory).unwrap();
        assert_eq!(names.count(), 1, "the probe is gone");
        let part = directory.join(INCOMING).join("x.part");
        create(&part).unwrap();
        std::fs::write(&part, "hello").unwrap();
        let target = directory.join("hub/d1/a/b.txt");
        let place = (directory.as_path(), target.as_path());
        assert_eq!(publish(&part, place, Replace::No).unwrap().bytes, 5);
        let again = publish(&part, place, Replace::No);
        assert!(matches!(again, Err(BlobError::Exists)));
        publish(&part, place, Replace::Yes).unwrap();
        assert_eq!(mode(&target), 0o600);
        for folder in target.ancestors().skip(1).take(5) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_found() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(probe(&file.join("uploads")).is_err());
        assert!(probe(&file).is_err());
    }

    #[test]
    fn free_space_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        require_space(folder.path(), 1).unwrap();
        let none = require_space(folder.path(), u64::MAX);
        assert!(matches!(none, Err(BlobError::NoSpace)));
    }
}
