//! The simulated temperature sensor: a module that sends simulated measurements, as the module
//! of Azure's tutorial does.
//!
//! It reads the environment that the edge agent gives every module, follows
//! `SendInterval` and `SendData` of its twin, and answers the direct method `reset`. It
//! prints one line for each message.

mod clock;

mod environment;

mod desired;

mod machine;

mod session;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use environment::Environment;

fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_env("RuntimeLogLevel").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs until SIGTERM or SIGINT, whatever happens to the connection.
fn run() -> anyhow::Result<()> {
    let environment = read_environment()?;
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot start")?;
    let ended = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
        // The session may be dropped at any point: a message is promised only when it is
        // acknowledged.
        tokio::select! {
            never = session::run(&environment) => match never {},
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    });
    // A name lookup that has not finished must not delay the end.
    runtime.shutdown_background();
    ended
}

fn read_environment() -> anyhow::Result<Environment> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the program's main is where the environment is read"
    )]
    let lookup = |name: &str| std::env::var(name).ok();
    Environment::read(lookup)
}
