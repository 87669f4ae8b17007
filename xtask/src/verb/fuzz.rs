//! Runs each fuzz target for a while, from the committed seeds and from what earlier runs on this
//! machine found. Needs `cargo-fuzz`, which the ordinary checks do not.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::console::{heading, say};
use crate::workspace::{Workspace, on_path, run as run_command};

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only targets whose names contain this.
    #[arg(long)]
    only: Option<String>,
    /// How many targets run side by side.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if !on_path("cargo-fuzz") {
        bail!("cargo-fuzz is not here; `cargo install cargo-fuzz --locked` brings it");
    }
    let wanted = options.only.as_deref().unwrap_or_default();
    let mut waiting = targets(workspace)?;
    waiting.retain(|target| target.contains(wanted));
    if waiting.is_empty() {
        bail!("no target's name contains `{wanted}`");
    }
    let toolchain = Toolchain::find();
    heading(toolchain.describe());
    run_command(
        toolchain
            .fuzz(workspace, "build")
            .arg("--sanitizer")
            .arg(toolchain.sanitizer()),
    )?;
    let failed = run_side_by_side(workspace, options, &toolchain, waiting)?;
    if failed.is_empty() {
        return Ok(());
    }
    bail!("these targets found something: {}", failed.join(", "))
}

/// Starts a target whenever fewer than `jobs` run; returns the names of those that found something.
fn run_side_by_side(
    workspace: &Workspace,
    options: &Options,
    toolchain: &Toolchain,
    mut waiting: Vec<String>,
) -> anyhow::Result<Vec<String>> {
    waiting.reverse();
    let mut running: Vec<(String, Child)> = Vec::new();
    let mut failed = Vec::new();
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < options.jobs.max(1)
            && let Some(target) = waiting.pop()
        {
            let child =
                Run::new(workspace, &target)?.start(workspace, toolchain, options.seconds)?;
            say(format!("{target}: begun"));
            running.push((target, child));
        }
        let mut index = 0;
        while let Some((_, child)) = running.get_mut(index) {
            let Some(status) = child.try_wait()? else {
                index += 1;
                continue;
            };
            let (target, _) = running.remove(index);
            say(format!(
                "{target}: {}",
                Run::new(workspace, &target)?.last_line(status.success())
            ));
            if !status.success() {
                failed.push(target);
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(failed)
}

/// What cargo-fuzz is run with. The instrumentation needs features that stable
/// compilers keep behind a switch; nightly adds the address sanitizer, which finds
/// little in code without `unsafe`.
enum Toolchain {
    Nightly,
    Pinned,
}

impl Toolchain {
    fn find() -> Self {
        let toolchains = Command::new("rustup").args(["toolchain", "list"]).output();
        match toolchains {
            Ok(list) if String::from_utf8_lossy(&list.stdout).contains("nightly") => Self::Nightly,
            _ => Self::Pinned,
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Nightly => "Fuzz targets, nightly toolchain, address sanitizer",
            Self::Pinned => "Fuzz targets, pinned toolchain, no sanitizer (there is no nightly)",
        }
    }

    fn sanitizer(&self) -> &'static str {
        match self {
            Self::Nightly => "address",
            Self::Pinned => "none",
        }
    }

    /// `cargo fuzz VERB`, through rustup's proxy.
    fn fuzz(&self, workspace: &Workspace, verb: &str) -> Command {
        let mut command = Command::new("cargo");
        match self {
            Self::Nightly => {
                command.arg("+nightly");
            }
            Self::Pinned => {
                command.env("RUSTC_BOOTSTRAP", "1");
            }
        }
        command
            .args(["fuzz", verb])
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .current_dir(workspace.root());
        command
    }
}

/// The files of one target's run.
struct Run {
    target: String,
    /// What was found on this machine; grows.
    corpus: PathBuf,
    /// Committed inputs; read only.
    seeds: PathBuf,
    log: PathBuf,
}

impl Run {
    fn new(workspace: &Workspace, target: &str) -> anyhow::Result<Self> {
        let corpus = workspace.root().join("fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus)
            .with_context(|| format!("cannot create {}", corpus.display()))?;
        Ok(Self {
            target: target.to_owned(),
            corpus,
            seeds: seeds(workspace).join(target),
            log: workspace.scratch("fuzz")?.join(format!("{target}.log")),
        })
    }

    fn start(
        &self,
        workspace: &Workspace,
        toolchain: &Toolchain,
        seconds: u32,
    ) -> anyhow::Result<Child> {
        let log = std::fs::File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        toolchain
            .fuzz(workspace, "run")
            .args(["--sanitizer", toolchain.sanitizer(), &self.target])
            .args([&self.corpus, &self.seeds])
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=65536", "-timeout=10", "-print_final_stats=1"])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start cargo-fuzz")
    }

    /// How the run ended, for people: what was executed, or where to read what was found.
    fn last_line(&self, passed: bool) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let executed = log
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .map_or("?", str::trim);
        if passed {
            format!("ok, {executed} inputs")
        } else {
            format!("found something, see {}", self.log.display())
        }
    }
}

/// The folder of committed inputs, one folder a target.
pub(crate) fn seeds(workspace: &Workspace) -> PathBuf {
    workspace.root().join("fuzz/seeds")
}

/// The targets that `fuzz/Cargo.toml` lists.
pub(crate) fn targets(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let manifest: toml::Table =
        std::fs::read_to_string(workspace.root().join("fuzz/Cargo.toml"))?.parse()?;
    let bins = manifest.get("bin").and_then(toml::Value::as_array);
    Ok(bins
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(|bin| bin.get("name").and_then(toml::Value::as_str))
        .map(str::to_owned)
        .collect())
}
