//! The role becomes a user of its own, the owner of its folder.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use keys::KeyId;
use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{Gid, Uid, fchownat, initgroups, setgid, setuid};

use crate::daemon::own_user;
use crate::files::paths::Paths;

/// Takes over the key file of an earlier version, and becomes the user of the role if the machine
/// has it.
pub(super) fn take(paths: &Paths) -> io::Result<()> {
    let folder = paths.keys_folder();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder.join("keys"))?;
    let keys = Folder::open(&folder.join("keys"))?;
    let user = own_user(paths);
    let owner = user.as_ref().map(|user| (user.uid, user.gid));
    adopt(&paths.earlier_master_key(), &keys, owner)?;
    let Some(user) = user else {
        return Ok(());
    };
    keys.give(user.uid, user.gid)?;
    Folder::open(&folder.canonicalize()?)?.give_alone(user.uid, user.gid)?;
    let name = CString::new(user.name.as_str())?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}

fn adopt(file: &Path, keys: &Folder, owner: Option<(Uid, Gid)>) -> io::Result<()> {
    if let (Some((user, group)), true) = (owner, file.exists()) {
        let file = no_link(OFlag::O_NONBLOCK).open(file)?;
        fchown(file, Some(user.as_raw()), Some(group.as_raw()))?;
    }
    if keys::adopt(file, &keys.by_descriptor(), &KeyId::master())? {
        tracing::info!("the master key of an earlier version moved into the folder of the keys");
    }
    Ok(())
}

/// Opens for reading, and fails where the path ends with a symbolic link.
fn no_link(more: OFlag) -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | more).bits());
    options
}

/// An open folder. Once it is the role's, that user can put a symbolic link in the place of
/// everything in the folder above: root acts on what it has opened, not on paths.
struct Folder {
    path: PathBuf,
    file: File,
}

impl Folder {
    fn open(path: &Path) -> io::Result<Self> {
        let file = no_link(OFlag::O_DIRECTORY).open(path).map_err(|error| {
            let path = path.display();
            let problem = format!("{path} is not a folder that can be opened: {error}");
            io::Error::new(error.kind(), problem)
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn by_descriptor(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.file.as_raw_fd().to_string())
    }

    /// Whether the folder has still to be given. The folder of a third user is refused.
    fn is_roots(&self, user: Uid) -> io::Result<bool> {
        match self.file.metadata()?.uid() {
            0 => Ok(true),
            owner if owner == user.as_raw() => Ok(false),
            owner => {
                let path = self.path.display();
                Err(io::Error::other(format!(
                    "{path} belongs to the user with number {owner}; give it to the role's user: \
                     chown -R {user} {path}"
                )))
            }
        }
    }

    /// Gives the folder and what is in it to a user. After that root changes no owner in it again.
    fn give(&self, user: Uid, group: Gid) -> io::Result<()> {
        if !self.is_roots(user)? {
            return Ok(());
        }
        for entry in fs::read_dir(self.by_descriptor())? {
            let (name, link) = (entry?.file_name(), AtFlags::AT_SYMLINK_NOFOLLOW);
            fchownat(&self.file, name.as_os_str(), Some(user), Some(group), link)?;
        }
        self.give_alone(user, group)
    }

    fn give_alone(&self, user: Uid, group: Gid) -> io::Result<()> {
        match self.is_roots(user)? {
            true => fchown(&self.file, Some(user.as_raw()), Some(group.as_raw())),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
