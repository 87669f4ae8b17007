//! `muster edge`: IoT Edge deployments, and the modules of one device.

mod deployment;
mod modules;
mod rollout;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster edge`.
#[derive(Debug, Subcommand)]
pub enum EdgeCommand {
    /// Automatic deployments: modules for every device that a condition targets.
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
    /// Staged rollouts: a deployment reaches its devices ring by ring, and goes back by itself when
    /// devices fail.
    #[command(subcommand)]
    Rollout(rollout::RolloutCommand),
    /// Write a deployment's content to one device, once. A deployment that targets the device takes
    /// it back.
    #[command(after_help = "Example:\n  \
            muster edge set-modules -d edge-001 --content deployment.json --data-dir ./data")]
    SetModules(modules::SetModules),
    /// Print what a device runs, as the content of a deployment.
    #[command(after_help = "Example:\n  \
            muster edge export-modules -d edge-001 --data-dir ./data > deployment.json")]
    ExportModules(modules::ExportModules),
}

pub async fn run(command: EdgeCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        EdgeCommand::Deployment(command) => deployment::run(command, invocation).await,
        EdgeCommand::Rollout(command) => rollout::run(command, invocation).await,
        EdgeCommand::SetModules(flags) => modules::set(flags, invocation).await,
        EdgeCommand::ExportModules(flags) => modules::export(flags, invocation).await,
    }
}
