//! Mountpoints in the folder of a workload socket. The engine cannot create them itself, because it
//! mounts that folder read-only.

use std::path::Path;

use crate::runtime::{Mountpoint, RuntimeError};

pub(super) fn make(folder: &Path, mountpoints: &[Mountpoint]) -> Result<(), RuntimeError> {
    for Mountpoint { inside, source } in mountpoints {
        let path = folder.join(inside);
        let made = if path.exists() {
            Ok(())
        } else if source.is_absolute() && source.metadata().is_ok_and(|what| !what.is_dir()) {
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::File::create_new(&path).map(drop))
        } else {
            std::fs::create_dir_all(&path)
        };
        made.map_err(|source| RuntimeError::Mountpoint { path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_mountpoint_is_a_file_or_a_folder_as_its_source_is() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("mgmt.sock");
        std::fs::write(&socket, "").unwrap();
        let folder = dir.path().join("module");
        let mounts = [
            ("mgmt.sock", socket.clone()),
            ("more/other.sock", socket),
            ("data", dir.path().to_owned()),
            ("volume", PathBuf::from("volume")),
        ];
        let mounts = mounts.map(|(inside, source)| Mountpoint {
            inside: PathBuf::from(inside),
            source,
        });
        for _ in 0..2 {
            make(&folder, &mounts).unwrap();
        }
        assert!(folder.join("mgmt.sock").is_file() && folder.join("more/other.sock").is_file());
        assert!(folder.join("data").is_dir() && folder.join("volume").is_dir());
    }
}
