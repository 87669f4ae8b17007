//! `muster hub connection-string`: the connection string that opens a hub.

use clap::Subcommand;
use serde_json::json;

use super::device_identity::keys::CONNECTION_STRING;
use crate::cli::{Invocation, output};
use crate::service_client::Service;

/// Verbs of `muster hub connection-string`.
#[derive(Debug, Subcommand)]
pub enum ConnectionStringCommand {
    /// Show the connection string with which commands open the hub, with its key.
    #[command(after_help = "Example:\n  \
            muster hub connection-string show --data-dir ./data --output tsv")]
    Show,
}

pub fn run(command: &ConnectionStringCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let ConnectionStringCommand::Show = command;
    let text = invocation.target.connection_string(Service::Hub)?;
    let printed = json!({ "connectionString": text });
    Ok(output::print(
        invocation.output,
        &printed,
        CONNECTION_STRING,
    )?)
}
