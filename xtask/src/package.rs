//! What the distribution provides and the verbs need: found, or installed from the distribution.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::console::say;
use crate::workspace::{on_path, run};

/// Makes sure that `program` is there, from the Debian package `package`.
pub(crate) fn ensure(program: &str, package: &str) -> anyhow::Result<()> {
    if on_path(program) {
        return Ok(());
    }
    install(package).with_context(|| format!("`{program}` is needed and not here"))
}

/// Installs a package of the distribution.
pub(crate) fn install(package: &str) -> anyhow::Result<()> {
    if !on_path("apt-get") {
        bail!("there is no `apt-get` to install {package} with; install it by hand");
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("installing needs root: `apt-get install --no-install-recommends {package}`");
    }
    say(format!("installing {package} from the distribution"));
    let once = || {
        run(Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive")
            // Packages of daemons would start them; ours are started apart.
            .env("RUNLEVEL", "1"))
    };
    once()
        .or_else(|_| {
            run(Command::new("apt-get").args(["update", "-q"]))?;
            once()
        })
        .with_context(|| format!("cannot install {package}"))
}
