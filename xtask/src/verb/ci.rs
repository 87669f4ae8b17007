//! What the project's CI runs, in the order in which it fails fastest.

use std::process::Command;
use std::time::{Duration, Instant};

use clap::Args;

use crate::console::{heading, say, spell};
use crate::workspace::{Workspace, on_path, run as run_command};

#[derive(Args)]
pub(crate) struct Options {
    /// Only what needs no running program: format, house rules, graph, lints.
    #[arg(long)]
    checks: bool,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut laps = Vec::new();
    for (name, mut command) in steps(workspace, options.checks) {
        heading(name);
        let begun = Instant::now();
        run_command(&mut command)?;
        laps.push((name, begun.elapsed()));
    }
    heading("Passed");
    for (name, took) in &laps {
        say(format!("{:>12}  {name}", spell(*took)));
    }
    let whole: Duration = laps.iter().map(|(_, took)| *took).sum();
    say(format!("{:>12}  altogether", spell(whole)));
    Ok(())
}

fn steps(workspace: &Workspace, checks_only: bool) -> Vec<(&'static str, Command)> {
    let clippy = "--quiet --locked --workspace --all-targets -- -D warnings";
    let mut steps = vec![
        ("Format", with(workspace.cargo("fmt"), "--all --check")),
        ("House rules", with(workspace.cargo("xtask"), "tidy")),
        ("Crate graph", with(workspace.cargo("xtask"), "graph")),
        ("Lints", with(workspace.cargo("clippy"), clippy)),
        // Running them takes cargo-fuzz and minutes; that they are still what the code is, does
        // not.
        ("Fuzz targets", fuzz_targets(workspace)),
    ];
    if on_path("cargo-deny") {
        let check = with(workspace.cargo("deny"), "check bans licenses sources");
        steps.push(("Licences and sources", check));
    } else {
        say(
            "cargo-deny is not here: licences and sources are not looked at \
             (banned crates are, by `cargo xtask graph`)",
        );
    }
    if !checks_only {
        // The README's test command, word for word.
        steps.push(("Tests", with(workspace.cargo("xtask"), "test")));
        steps.push(("Demo", with(workspace.cargo("xtask"), "demo --exit")));
    }
    steps
}

fn fuzz_targets(workspace: &Workspace) -> Command {
    let mut check = with(workspace.cargo("check"), "--quiet --locked --bins");
    check
        .arg("--manifest-path")
        .arg(workspace.root().join("fuzz/Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace.target());
    check
}

fn with(mut command: Command, arguments: &str) -> Command {
    command.args(arguments.split_whitespace());
    command
}
