//! `muster fleet`: simulated devices in large numbers.

mod simulate;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster fleet`.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Register simulated devices, each with a certificate of its own, as a
    /// factory would make them.
    Simulate(simulate::Simulate),
}

pub async fn run(command: FleetCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        FleetCommand::Simulate(flags) => simulate::run(flags, invocation).await,
    }
}
