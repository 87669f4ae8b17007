//! The unmodified Node SDKs, for the stories that need them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::console::say;
use crate::package;
use crate::workspace::{Workspace, capture, run};

/// Where the committed list of packages is, with their versions and digests.
const LISTED: &str = "sim/tests/sdk";
const LIST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// The oldest Node that the scripts of the stories are written for.
const OLDEST: u32 = 18;

/// The folder of installed packages, `target/xtask/node/node_modules`, filled
/// when it is not.
pub(crate) fn modules(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.scratch("node")?;
    let modules = folder.join("node_modules");
    let installed = folder.join("installed");
    let listed = workspace.root().join(LISTED);
    let lock = read(&listed.join(LOCK))?;
    ensure_node()?;
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == lock) && modules.is_dir() {
        return Ok(modules);
    }
    package::ensure("npm", "npm")?;
    say(format!(
        "installing the Node SDKs into {}",
        folder.display()
    ));
    for file in [LIST, LOCK] {
        std::fs::write(folder.join(file), read(&listed.join(file))?)?;
    }
    // `ci` installs what the lock says, or fails. No package needs its scripts.
    run(Command::new("npm")
        .args(["ci", "--ignore-scripts", "--omit=dev"])
        .args(["--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder))
    .with_context(|| format!("cannot install what {LISTED}/{LOCK} lists"))?;
    std::fs::write(&installed, lock)?;
    Ok(modules)
}

fn ensure_node() -> anyhow::Result<()> {
    package::ensure("node", "nodejs")?;
    let version = capture(Command::new("node").arg("--version"))?;
    match major(&version) {
        Some(major) if major >= OLDEST => Ok(()),
        _ => bail!(
            "Node {OLDEST} or newer is needed (Debian: nodejs); `node --version` says {:?}",
            version.trim()
        ),
    }
}

/// `v20.11.1` is 20.
fn major(version: &str) -> Option<u32> {
    let (major, _) = version.trim().strip_prefix('v')?.split_once('.')?;
    major.parse().ok()
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_node() {
        assert_eq!(major("v18.20.4\n"), Some(18));
        assert_eq!(major("node 18"), None);
    }

    /// A host name in the lock would be asked whatever registry is configured.
    #[test]
    fn the_lock_names_digests_and_no_registry() {
        let listed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(LISTED);
        let lock = read(&listed.join(LOCK)).unwrap();
        assert!(!lock.contains("\"resolved\""));
        assert!(lock.contains("\"integrity\": \"sha512-"));
    }
}
