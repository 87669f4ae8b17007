//! `muster device`: what back ends send to devices, and what devices say to the hub.

mod c2d_message;
mod properties;
mod send_d2c_message;
mod upload_file;

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;

use super::Invocation;
use crate::service_client::CommandError;

/// Nouns of `muster device`.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Cloud-to-device messages: sent by a back end, received and settled in a device's place.
    #[command(subcommand)]
    C2dMessage(c2d_message::C2dMessageCommand),
    /// Send telemetry in the place of a device that has keys.
    SendD2cMessage(send_d2c_message::SendFlags),
    /// Upload a file in the place of a device that has keys.
    UploadFile(upload_file::UploadFlags),
}

pub async fn run(command: DeviceCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        DeviceCommand::C2dMessage(command) => c2d_message::run(command, invocation).await,
        DeviceCommand::SendD2cMessage(flags) => send_d2c_message::run(flags, invocation).await,
        DeviceCommand::UploadFile(flags) => upload_file::run(flags, invocation).await,
    }
}

/// Reads the file of `--data-file-path`.
fn read_data(file: &Path) -> anyhow::Result<Vec<u8>> {
    let data = std::fs::read(file).with_context(|| format!("--data-file-path {}", file.display()));
    Ok(data.map_err(CommandError::Input)?)
}
