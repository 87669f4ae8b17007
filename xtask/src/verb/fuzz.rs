//! Runs each fuzz target for a while. Needs `cargo-fuzz` and a nightly
//! toolchain, which the ordinary checks do not.

use std::process::Command;

use anyhow::bail;
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
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if !on_path("cargo-fuzz") {
        bail!(
            "cargo-fuzz is not here; `cargo install cargo-fuzz --locked` and `rustup toolchain install nightly` bring it"
        );
    }
    let mut failed = Vec::new();
    for target in targets(workspace)? {
        let wanted = options.only.as_deref().unwrap_or_default();
        if target.contains(wanted)
            && let Err(error) = run_one(workspace, &target, options.seconds)
        {
            say(format!("{error:#}"));
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("these targets found something: {}", failed.join(", "))
}

fn run_one(workspace: &Workspace, target: &str, seconds: u32) -> anyhow::Result<()> {
    heading(target);
    let seconds = format!("-max_total_time={seconds}");
    // Through rustup's proxy, because cargo-fuzz needs nightly.
    run_command(
        Command::new("cargo")
            .args([
                "+nightly",
                "fuzz",
                "run",
                target,
                "--",
                &seconds,
                "-max_len=65536",
            ])
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .current_dir(workspace.root()),
    )
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
