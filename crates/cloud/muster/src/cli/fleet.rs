//! `muster fleet`: devices in large numbers.

mod simulate;
mod voucher;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster fleet`.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Register simulated devices, each with a certificate of its own, as a
    /// factory would make them.
    Simulate(simulate::Simulate),
    /// Signed lists of devices that pass from their maker to their owners.
    #[command(subcommand)]
    Voucher(voucher::VoucherCommand),
}

pub async fn run(command: FleetCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        FleetCommand::Simulate(flags) => simulate::run(flags, invocation).await,
        FleetCommand::Voucher(command) => voucher::run(command, invocation).await,
    }
}
