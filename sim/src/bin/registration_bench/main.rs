//! What one complete group registration costs, beside a bare server that only verifies
//! the same client chain.
//!
//! Both servers are processes of their own; their CPU time is what the kernel counted for them.
//! Rounds alternate between the two, so that a noisy neighbour disturbs both alike. Run it with
//! `cargo xtask bench registration`.

mod bare;
mod case;
mod client;
mod deployment;
mod report;
mod servers;
mod steady;
mod stored;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use sim::Server;
use sim::measure::Hierarchy;

use case::Case;
use report::Report;
use servers::{BareServer, Target, enroll};

/// The server's allocator, so that the baseline has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what a registration costs.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Registrations in each round.
    #[arg(long, default_value_t = 500)]
    registrations: usize,
    /// Rounds of each case.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Connections that are open at once.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// What is measured; everything when it is not given.
    #[arg(long, value_enum, conflicts_with = "stored")]
    case: Vec<Case>,
    /// Measures a server that has so many devices enrolled and registered, beside one
    /// that has a thousand.
    #[arg(long, requires = "fill")]
    stored: Option<usize>,
    /// The program that fills a data directory: the example `fill` of crate `registry`.
    #[arg(long)]
    fill: Option<PathBuf>,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The baseline: verifies the client chain with webpki and answers one empty request.
    Bare {
        /// A folder with root.pem, server.pem and server.key.pem.
        dir: PathBuf,
    },
    /// How long a deployment to every device of a fleet takes, and what registrations wait
    /// meanwhile.
    Deployment(deployment::Arguments),
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
            Some(Command::Bare { dir }) => bare::serve(dir).await,
            Some(Command::Deployment(arguments)) => deployment::measure(arguments).await,
            None => match (arguments.stored, &arguments.fill) {
                (Some(count), Some(fill)) => stored::measure(&arguments, count, fill).await,
                _ => measure(&arguments).await,
            },
        }
    })
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let cases = match arguments.case.as_slice() {
        [] => &Case::EMPTY[..],
        given => given,
    };
    let dir = tempfile::tempdir()?;
    let hierarchy = Hierarchy::make(dir.path())?;
    let bare = BareServer::start(dir.path()).await?;
    let muster = Server::start().await?;
    enroll(&muster, &dir.path().join("root.pem")).await?;
    let mut report = Report::new(arguments.registrations, arguments.concurrency, cases);
    for round in 0..=arguments.rounds {
        for case in cases.iter().copied() {
            let target = Target::of(case, &hierarchy, &bare, &muster)?;
            // Round 0 warms the servers up and is not counted.
            let measured = report.of(case).filter(|_| round > 0);
            let round = (round, arguments.registrations);
            target
                .run((case, &hierarchy), round, arguments.concurrency, measured)
                .await?;
        }
    }
    report.print(arguments.output == Output::Json, &[])
}
