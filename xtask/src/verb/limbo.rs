//! Runs cases of x509-limbo. The decisions are those of `pki`, which a program of its own asks.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::workspace::{Workspace, run as run_command};

/// The cases that the tests run.
const CASES: &str = "crates/protocol/pki/tests/data/x509-limbo.json";

#[derive(Args)]
pub(crate) struct Options {
    /// A file of cases in the suite's format [default: the committed one].
    file: Option<PathBuf>,
    /// A line for each case, or one JSON object.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

/// Fails when a case differs from the suite and no reason is listed for it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let committed = workspace.root().join(CASES);
    let file = absolute(options.file.as_deref().unwrap_or(&committed))?;
    let format = match options.output {
        Output::Table => "table",
        Output::Json => "json",
    };
    let mut cases = workspace.cargo("run");
    cases.args([
        "--quiet",
        "--locked",
        "-p",
        "pki",
        "--example",
        "limbo",
        "--",
    ]);
    run_command(cases.arg(file).arg(format))
}

/// The program starts in the workspace's root, the caller may be in another folder.
fn absolute(file: &Path) -> anyhow::Result<PathBuf> {
    file.canonicalize()
        .with_context(|| format!("cannot read {}", file.display()))
}
