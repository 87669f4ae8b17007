//! The command line: nouns, verbs and flags as `az iot` users know them.

mod argument;
mod audit;
mod ca;
mod config;
mod configurations;
mod device;
mod dps;
mod edge;
mod exact;
mod fleet;
mod hub;
mod json_file;
mod output;
mod progress;
mod serve;
mod show;

use std::future::Future;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::service_client::{CommandError, Target};
pub use output::{CLOSED, Column, Format, is_closed};

/// Zero-touch provisioning and device management, compatible with Azure IoT Hub and
/// its Device Provisioning Service.
#[derive(Debug, Parser)]
#[command(name = "muster", version, propagate_version = true)]
#[command(after_help = "Example:\n  \
        muster serve --data-dir ./data\n  \
        muster dps enrollment list --data-dir ./data --output table")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
    /// How answers are printed.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server: provisioning service and hub on one machine.
    Serve(crate::serve::config::ServeFlags),
    /// Show what a data directory serves: ID scope, endpoints, connection strings.
    Show,
    /// The server's configuration file.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Certificates: a hierarchy, device identities.
    #[command(subcommand)]
    Ca(ca::CaCommand),
    /// The provisioning service: enrollments, groups, registrations.
    #[command(subcommand)]
    Dps(dps::DpsCommand),
    /// The hub: identities, twins, direct methods, telemetry.
    #[command(subcommand)]
    Hub(hub::HubCommand),
    /// Messages to devices.
    #[command(subcommand)]
    Device(device::DeviceCommand),
    /// IoT Edge: deployments.
    #[command(subcommand)]
    Edge(edge::EdgeCommand),
    /// The audit: what was done and decided, and whether its records are intact.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Many devices at once.
    #[command(subcommand)]
    Fleet(fleet::FleetCommand),
}

/// What every command needs besides its own flags.
pub struct Invocation {
    pub target: Target,
    pub output: Format,
}

/// Runs one command line.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let context = Invocation {
        target: cli.target,
        output: cli.output,
    };
    match cli.command {
        Command::Serve(flags) => serve::run(flags, &context),
        Command::Show => show::run(&context),
        Command::Audit(command) => block_on(audit::run(command, &context)),
        Command::Config(command) => config::run(&command),
        Command::Ca(command) => ca::run(command, &context),
        Command::Dps(command) => block_on(dps::run(command, &context)),
        Command::Hub(command) => block_on(hub::run(command, &context)),
        Command::Device(command) => block_on(device::run(command, &context)),
        Command::Edge(command) => block_on(edge::run(command, &context)),
        Command::Fleet(command) => block_on(fleet::run(command, &context)),
    }
}

/// 0 done, 1 refused or failed, 2 wrong usage, 3 unreachable.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error
        .downcast_ref::<CommandError>()
        .map_or(1, CommandError::exit_code)
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.context("cannot start the runtime")?.block_on(work)
}
