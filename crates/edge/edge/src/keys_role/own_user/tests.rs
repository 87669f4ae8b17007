use std::os::unix::fs::{chown, symlink};

use nix::unistd::geteuid;

use super::*;

const USER: Uid = Uid::from_raw(65_534);
const GROUP: Gid = Gid::from_raw(65_534);

/// The owner of a path, or of the link itself.
fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

#[test]
fn a_link_in_the_place_of_the_folder_of_keys_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (other, keys) = (dir.path().join("etc"), dir.path().join("keys"));
    fs::create_dir(&other).unwrap();
    symlink(&other, &keys).unwrap();
    let refused = Folder::open(&keys).map(drop).unwrap_err().to_string();
    assert!(refused.contains("keys is not a folder"), "{refused}");
    fs::write(dir.path().join("file"), "x").unwrap();
    assert!(Folder::open(&dir.path().join("file")).is_err());
    assert!(Folder::open(&dir.path().join("none")).is_err());
}

/// Only root can give files away, so that only root can try this.
#[test]
fn roots_folder_is_given_once_without_following_links() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, other) = (dir.path().join("keys"), dir.path().join("shadow"));
    fs::create_dir(&keys).unwrap();
    fs::write(&other, "x").unwrap();
    fs::write(keys.join("a.key"), "x").unwrap();
    symlink(&other, keys.join("b.key")).unwrap();
    let given = Folder::open(&keys).unwrap().give(USER, GROUP);
    if !geteuid().is_root() {
        given.unwrap_err();
        return;
    }
    given.unwrap();
    let user = USER.as_raw();
    assert_eq!((owner(&keys), owner(&keys.join("a.key"))), (user, user));
    assert_eq!(owner(&other), 0, "the target of a link is somebody else's");
    // The folder is the role's now, and so is all that it puts there: a hard link, too.
    fs::hard_link(&other, keys.join("c.key")).unwrap();
    Folder::open(&keys).unwrap().give(USER, GROUP).unwrap();
    assert_eq!(owner(&other), 0);
    chown(&keys, Some(1), None).unwrap();
    let refused = Folder::open(&keys).unwrap().give(USER, GROUP).unwrap_err();
    assert!(refused.to_string().contains("chown -R 65534"), "{refused}");
}

#[test]
fn the_key_of_an_earlier_version_is_the_roles_in_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (old, keys) = (dir.path().join("master-key"), dir.path().join("keys"));
    fs::write(&old, [5; 32]).unwrap();
    fs::create_dir(&keys).unwrap();
    let new_owner = geteuid().is_root().then_some((USER, GROUP));
    adopt(&old, &Folder::open(&keys).unwrap(), new_owner).unwrap();
    assert!(!old.exists());
    let moved = fs::read_dir(&keys).unwrap().next().unwrap().unwrap();
    assert_eq!(fs::read(moved.path()).unwrap(), [5; 32]);
    let wanted = new_owner.map_or(geteuid(), |(user, _)| user);
    assert_eq!(owner(&moved.path()), wanted.as_raw());
}
