//! `muster edge`: IoT Edge deployments.

mod deployment;

use clap::Subcommand;

use super::Invocation;

/// Verbs of `muster edge`.
#[derive(Debug, Subcommand)]
pub enum EdgeCommand {
    /// Automatic deployments: modules for every device that a condition targets.
    #[command(subcommand)]
    Deployment(deployment::DeploymentCommand),
}

pub async fn run(command: EdgeCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        EdgeCommand::Deployment(command) => deployment::run(command, invocation).await,
    }
}
