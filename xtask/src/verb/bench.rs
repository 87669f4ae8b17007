//! Figures. The measuring itself lives in `sim`, next to the harness it uses.

use std::process::Command;

use clap::{Args, Subcommand};

use crate::workspace::{Workspace, run as run_command};

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    name: Name,
}

#[derive(Subcommand)]
enum Name {
    /// What one complete durable registration costs, next to a bare TLS server.
    Registration(Registration),
}

#[derive(Args)]
struct Registration {
    /// `table` or `json`.
    #[arg(long, default_value = "table")]
    output: String,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let Name::Registration(registration) = &options.name;
    run_command(workspace.cargo("build").args([
        "--quiet",
        "--locked",
        "--release",
        "-p",
        "muster",
        "--bin",
        "muster",
        "-p",
        "sim",
        "--bin",
        "registration-bench",
    ]))?;
    let built = workspace.target().join("release");
    run_command(
        Command::new(built.join("registration-bench"))
            .args(["--output", &registration.output])
            .env("MUSTER_BIN_DIR", &built),
    )
}
