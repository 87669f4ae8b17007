//! `muster config`: the server's configuration file.

use clap::Subcommand;

use crate::cli::output;
use crate::serve::config::TEMPLATE;

/// Verbs of `muster config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print a commented configuration file.
    #[command(after_help = "Example:\n  muster config template > muster.toml")]
    Template,
}

pub fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Template => Ok(output::whole(TEMPLATE)?),
    }
}
