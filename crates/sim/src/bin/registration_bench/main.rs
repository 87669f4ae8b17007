//! What one complete group registration costs, beside a bare server that only verifies the same client chain.
//!
//! Both servers are processes of their own; their CPU time is what the kernel counted for them. Rounds alternate between the two,
//! so that a noisy neighbour disturbs both alike. Run it with `cargo xtask bench registration`.

mod bare;
mod client;
mod hierarchy;
mod process;
mod report;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use sim::{Program, Server, binary};

use client::Fleet;
use hierarchy::Hierarchy;
use process::Usage;
use report::{Measured, Report};

/// Measures registrations.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Registrations in each round.
    #[arg(long, default_value_t = 3000)]
    registrations: usize,
    /// Rounds of each server.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Connections at once.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How the figures are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The baseline: verifies the client chain with webpki and answers one empty request.
    Bare {
        /// A folder with root.pem, server.pem and server.key.pem.
        dir: PathBuf,
    },
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
            None => measure(&arguments).await,
        }
    })
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let hierarchy = Arc::new(Hierarchy::make(dir.path())?);
    let (_bare_process, bare_address, bare_id) = start_bare(dir.path()).await?;
    let muster = Server::start().await?;
    let root = dir.path().join("root.pem");
    let group = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "bench",
        "--certificate-path",
    ];
    muster
        .muster(&[&group[..], &[&root.to_string_lossy()]].concat())?
        .ok()?;
    let muster_address: SocketAddr = format!("{}:443", muster.host()).parse()?;
    let scope = muster.id_scope()?;
    let muster_ca = std::fs::read_to_string(muster.ca()?)?;
    let mut report = Report::new(arguments.registrations, arguments.concurrency);
    for round in 0..=arguments.rounds {
        // Round 0 warms all of them up and is not counted.
        let counted = round > 0;
        let names = |kind: &str| {
            (0..arguments.registrations)
                .map(|n| format!("{kind}-{round}-{n}"))
                .collect::<Vec<_>>()
        };
        let fleet = Fleet::new(
            &hierarchy,
            names("b"),
            &hierarchy.root_pem,
            bare_address,
            client::Talk::Empty,
        )?;
        run(
            bare_id,
            fleet,
            arguments.concurrency,
            counted.then_some(&mut report.bare),
        )
        .await?;
        let talk = client::Talk::Registration {
            scope: scope.clone(),
        };
        let fleet = Fleet::new(&hierarchy, names("r"), &muster_ca, muster_address, talk)?;
        run(
            muster.process_id(),
            fleet,
            arguments.concurrency,
            counted.then_some(&mut report.registration),
        )
        .await?;
        let talk = client::Talk::RegistrationAndPoll {
            scope: scope.clone(),
        };
        let fleet = Fleet::new(&hierarchy, names("p"), &muster_ca, muster_address, talk)?;
        run(
            muster.process_id(),
            fleet,
            arguments.concurrency,
            counted.then_some(&mut report.polled),
        )
        .await?;
    }
    report.print(arguments.output == Output::Json)
}

async fn run(
    process: u32,
    fleet: Fleet,
    concurrency: usize,
    measured: Option<&mut Measured>,
) -> Result<()> {
    let count = fleet.len();
    let before = Usage::of(process)?;
    let started = Instant::now();
    let done = fleet.run(concurrency).await?;
    let seconds = started.elapsed().as_secs_f64();
    let used = Usage::of(process)?.since(before);
    ensure!(
        done == count,
        "only {done} of {count} were answered as they should be"
    );
    if let Some(measured) = measured {
        measured.add(count, seconds, used);
    }
    Ok(())
}

/// Starts this program again as the bare server; its address is what it prints first.
async fn start_bare(dir: &std::path::Path) -> Result<(Program, SocketAddr, u32)> {
    let mut command = std::process::Command::new(binary("registration-bench")?);
    command.arg("bare").arg(dir);
    let program = Program::start(command, &dir.join("bare.log"))?;
    let id = program.id();
    let address = sim::until(
        "the bare server",
        std::time::Duration::from_secs(10),
        || async {
            program
                .log()
                .lines()
                .next()
                .context("nothing printed")?
                .parse::<SocketAddr>()
                .context("an address")
        },
    )
    .await?;
    Ok((program, address, id))
}
