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
    /// Measures a server that has so many devices stored, beside one that has a thousand.
    #[arg(long)]
    stored: Option<usize>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let Name::Registration(registration) = &options.name;
    let programs = "-p muster --bin muster -p sim --bin registration-bench";
    build(workspace, programs)?;
    let built = workspace.target().join("release");
    let mut bench = Command::new(built.join("registration-bench"));
    bench
        .args(["--output", &registration.output])
        .env("MUSTER_BIN_DIR", &built);
    if let Some(stored) = registration.stored {
        build(workspace, "-p registry --example fill")?;
        bench
            .arg("--stored")
            .arg(stored.to_string())
            .arg("--fill")
            .arg(built.join("examples/fill"));
    }
    run_command(&mut bench)
}

fn build(workspace: &Workspace, what: &str) -> anyhow::Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--quiet", "--locked", "--release"]);
    run_command(build.args(what.split(' ')))
}
