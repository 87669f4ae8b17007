//! The role becomes a user of its own, the owner of its folder.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;

use keys::KeyId;
use nix::unistd::{User, initgroups, setgid, setuid};

use crate::daemon::own_user;
use crate::files::paths::Paths;

/// Takes over the key file of an earlier version, and becomes the user of the role if the machine
/// has it.
pub(super) fn take(paths: &Paths) -> io::Result<()> {
    let (folder, keys) = (paths.keys_folder(), paths.keys_folder().join("keys"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&keys)?;
    if keys::adopt(&paths.earlier_master_key(), &keys, &KeyId::master())? {
        tracing::info!("the master key of an earlier version moved into the folder of the keys");
    }
    let Some(user) = own_user(paths) else {
        return Ok(());
    };
    give(&folder, &user)?;
    give(&keys, &user)?;
    for entry in fs::read_dir(&keys)? {
        give(&entry?.path(), &user)?;
    }
    let name = CString::new(user.name.as_str())?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}

fn give(path: &Path, user: &User) -> io::Result<()> {
    // A link was made by somebody else, and so was its target.
    if fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
}
