//! What the hub's sessions, messages and requests cost, beside baselines of the same run.
//!
//! Every server is a process of its own; its CPU time and memory are what the kernel counted for
//! it. Rounds alternate between the servers, so that a noisy neighbour disturbs all alike. Run it
//! with `cargo xtask bench sessions`, `telemetry`, `requests` or `query`.

mod bare;
mod broker;
mod client;
mod devices;
mod queries;
mod requests;
mod sessions;
mod target;
mod telemetry;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The server's allocator, so that the bare server has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what the hub costs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The memory of a device that is connected and says nothing.
    Sessions(sessions::Arguments),
    /// The CPU time of a message that is acknowledged after it is on disk.
    Telemetry(telemetry::Arguments),
    /// Twin patches and direct methods: how many in a second, and how long one takes.
    Requests(requests::Arguments),
    /// Tag queries of a large fleet: how long the first page and a count take.
    Query(queries::Arguments),
    /// A baseline: accepts TLS connections, reads and answers nothing.
    Bare {
        /// A folder with server.pem and server.key.pem.
        dir: PathBuf,
    },
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        match &arguments.command {
            Command::Sessions(arguments) => sessions::measure(arguments).await,
            Command::Telemetry(arguments) => telemetry::measure(arguments).await,
            Command::Requests(arguments) => requests::measure(arguments).await,
            Command::Query(arguments) => queries::measure(arguments).await,
            Command::Bare { dir } => bare::serve(dir).await,
        }
    })
}
