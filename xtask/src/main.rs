//! The project's chores, one verb a file. Depends on no crate of ours: it
//! drives the programs from outside, as a user would.

mod verb {
    pub(crate) mod bench;
    pub(crate) mod ci;
    pub(crate) mod demo;
    pub(crate) mod fuzz;
    pub(crate) mod graph;
    pub(crate) mod guide;
    pub(crate) mod image;
    pub(crate) mod limbo;
    pub(crate) mod test;
    pub(crate) mod tidy;
}

mod console;
mod workspace;

mod child;
mod folder;
mod interrupt;
mod journal;
mod wait;

mod docker;
mod engine;
mod image;
mod node;
mod package;
mod python;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::console::complain;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Muster's chores", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The main job on real parts, from certificates to running modules.
    Demo(verb::demo::Options),
    /// Every test; installs and starts what they need.
    Test(verb::test::Options),
    /// What the project's CI runs.
    Ci(verb::ci::Options),
    /// Figures, with the baseline of the same run and their ratio.
    Bench(verb::bench::Options),
    /// The house rules that a compiler does not know.
    Tidy(verb::tidy::Options),
    /// The crate graph, compared with `graph.txt`.
    Graph(verb::graph::Options),
    /// Runs every fuzz target for a while (needs cargo-fuzz).
    Fuzz(verb::fuzz::Options),
    /// Builds the sample module and loads it into the running engine.
    Image(verb::image::Options),
    /// Cases of x509-limbo through our path validation, each with its decision.
    Limbo(verb::limbo::Options),
    /// Executes the command blocks of the guides in a throwaway directory.
    Guide(verb::guide::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let workspace = Workspace::locate()?;
    match cli.verb {
        Verb::Demo(options) => verb::demo::run(&workspace, &options),
        Verb::Test(options) => verb::test::run(&workspace, &options),
        Verb::Ci(options) => verb::ci::run(&workspace, &options),
        Verb::Bench(options) => verb::bench::run(&workspace, &options),
        Verb::Tidy(options) => verb::tidy::run(&workspace, &options),
        Verb::Graph(options) => verb::graph::run(&workspace, &options),
        Verb::Fuzz(options) => verb::fuzz::run(&workspace, &options),
        Verb::Image(options) => verb::image::run(&workspace, &options),
        Verb::Limbo(options) => verb::limbo::run(&workspace, &options),
        Verb::Guide(options) => verb::guide::run(&workspace, &options),
    }
}
