//! Removing a folder in which an engine lived: its mounts first.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::workspace::run;

/// Removes a folder with all that is in it. Absent is as good as removed.
pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for mount in mounts_below(&mounts, folder) {
        run(Command::new("umount").arg(mount))?;
    }
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Mount points below a folder, the innermost first. The second field of each
/// line is the mount point (proc(5)); ours hold no blanks.
fn mounts_below<'a>(mounts: &'a str, folder: &Path) -> Vec<&'a str> {
    let mut below: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|mount| Path::new(mount).starts_with(folder))
        .collect();
    below.sort_by_key(|mount| std::cmp::Reverse(mount.len()));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_are_taken_innermost_first() {
        let mounts = "a / ext4 rw 0 0\nb /tmp/x/exec nsfs rw 0 0\nc /tmp/x/exec/netns/d nsfs rw 0 0\nd /tmp/xy nsfs rw 0 0\n";
        let found = mounts_below(mounts, Path::new("/tmp/x"));
        assert_eq!(found, ["/tmp/x/exec/netns/d", "/tmp/x/exec"]);
    }

    #[test]
    fn an_absent_folder_is_as_good_as_removed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(remove(&dir.path().join("absent")).is_ok());
    }
}
