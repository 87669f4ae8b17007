//! Where things are: the checkout, its target directory, the programs built
//! from it, and the few environment variables that the verbs obey.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// The checkout that this `cargo xtask` was built from.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> anyhow::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest
            .parent()
            .context("xtask lies one folder below the workspace's root")?
            .to_path_buf();
        let target = match environment("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Ok(Self { root, target })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// `target/xtask/NAME`, created.
    pub(crate) fn scratch(&self, name: &str) -> anyhow::Result<PathBuf> {
        let dir = self.target.join("xtask").join(name);
        std::fs::create_dir_all(&dir)
            .with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(dir)
    }

    /// A program of ours as the dev profile builds it.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// `cargo` with the toolchain that runs us, in the workspace's root.
    pub(crate) fn cargo(&self, verb: &str) -> Command {
        let cargo = environment("CARGO").unwrap_or_else(|| "cargo".to_owned());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).arg(verb);
        command
    }

    /// The host's target triple, as `rustc -vV` says it.
    pub(crate) fn host_triple(&self) -> anyhow::Result<String> {
        let rustc = environment("RUSTC").unwrap_or_else(|| "rustc".to_owned());
        let output = Command::new(&rustc)
            .arg("-vV")
            .current_dir(&self.root)
            .output()
            .with_context(|| format!("cannot run `{rustc} -vV`"))?;
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .map(str::to_owned)
            .context("`rustc -vV` printed no `host:` line")
    }
}

/// Runs a command to its end; anything but success is an error that repeats the command line.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a command to its end and gives what it wrote on standard output.
/// The error carries its standard error.
pub(crate) fn capture(command: &mut Command) -> anyhow::Result<String> {
    let line = command_line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote no UTF-8"))
}

fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// The only place of xtask that reads the environment.
#[expect(
    clippy::disallowed_methods,
    reason = "xtask is a program; every variable it obeys is read here"
)]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Whether a program of this name is on the PATH.
pub(crate) fn on_path(program: &str) -> bool {
    environment("PATH").is_some_and(|path| {
        path.split(':')
            .any(|dir| Path::new(dir).join(program).is_file())
    })
}
