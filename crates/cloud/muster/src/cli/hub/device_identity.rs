//! `muster hub device-identity`: the devices of a hub.

mod change;
mod hierarchy;
pub mod keys;
mod transfer;

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::TWIN_COLUMNS;
use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient, request_bodies};

/// Verbs of `muster hub device-identity`.
#[derive(Debug, Subcommand)]
pub enum DeviceIdentityCommand {
    /// Create an identity.
    #[command(after_help = "Examples:\n  \
            muster hub device-identity create -d dev-1 --data-dir ./data\n  \
            muster hub device-identity create -d edge-001 --edge-enabled --auth-method x509_ca \
            --data-dir ./data")]
    Create {
        #[arg(long, short = 'd')]
        device_id: String,
        /// The scope of its parent, as `device-identity show` prints it of an IoT Edge device.
        #[arg(long)]
        device_scope: Option<String>,
        #[command(flatten)]
        flags: change::DeviceFlags,
    },
    /// Show one identity.
    #[command(after_help = "Example:\n  \
            muster hub device-identity show --device-id edge-001 --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// List identities.
    #[command(after_help = "Example:\n  \
            muster hub device-identity list --top 10 --data-dir ./data --output table")]
    List {
        /// At most this many identities.
        #[arg(long, default_value_t = 100)]
        top: usize,
        /// IoT Edge devices only, or the others only; their twins are printed.
        #[arg(
            long,
            visible_alias = "ee",
            value_name = "true|false",
            num_args = 0..=1,
            default_missing_value = "true",
            value_parser = yes_or_no
        )]
        edge_enabled: Option<bool>,
    },
    /// Change an identity; without a flag, a property stays as it is.
    #[command(after_help = "Example:\n  \
            muster hub device-identity update --device-id edge-001 --edge-enabled true --data-dir \
            ./data")]
    Update {
        #[arg(long, short = 'd')]
        device_id: String,
        #[command(flatten)]
        flags: change::DeviceFlags,
        /// Only when the identity still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Delete an identity, its modules and its twins.
    #[command(after_help = "Example:\n  \
            muster hub device-identity delete --device-id edge-001 --data-dir ./data")]
    Delete {
        #[arg(long, short = 'd')]
        device_id: String,
        /// Only when the identity still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Generate keys anew, or let them change places.
    #[command(after_help = "Example:\n  \
            muster hub device-identity renew-key -d dev-1 --key-type primary --data-dir ./data")]
    RenewKey {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, visible_alias = "kt", value_enum)]
        key_type: keys::RenewedKey,
    },
    /// Carry out the lines of a file, each an identity, in a job of the server.
    #[command(after_help = "Example:\n  \
            muster hub device-identity import --ibcu fleet --data-dir ./data\n\n\
            The file is transfers/HUB/fleet/devices.txt in the data directory; what could not be \
            done is in importErrors.log beside it.")]
    Import(transfer::ImportFlags),
    /// Write all identities and twins to a file, in a job of the server.
    #[command(after_help = "Example:\n  \
            muster hub device-identity export --bcu fleet --include-keys --data-dir ./data\n\n\
            The file is transfers/HUB/fleet/devices.txt in the data directory.")]
    Export(transfer::ExportFlags),
    /// The connection string of a device.
    #[command(subcommand)]
    ConnectionString(keys::ConnectionStringCommand),
    /// The parent of a device.
    #[command(subcommand)]
    Parent(hierarchy::ParentCommand),
    /// The children of an IoT Edge device.
    #[command(subcommand)]
    Children(hierarchy::ChildrenCommand),
}

const COLUMNS: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("Status", "/status"),
    ("Connection", "/connectionState"),
    ("Authentication", "/authentication/type"),
    ("Edge", "/capabilities/iotEdge"),
];

pub async fn run(command: DeviceIdentityCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        DeviceIdentityCommand::Show { device_id } => {
            client
                .call(Call::new(Method::GET, &["devices", &device_id]))
                .await?
        }
        DeviceIdentityCommand::Create {
            device_id,
            device_scope,
            flags,
        } => change::create(&device_id, device_scope, flags, &client).await?,
        DeviceIdentityCommand::List {
            top,
            edge_enabled: Some(edge),
        } => {
            let rows = twins_by_edge(edge, top, &client).await?;
            return Ok(output::print(invocation.output, &rows, TWIN_COLUMNS)?);
        }
        DeviceIdentityCommand::List { top, .. } => {
            let query = [("top", top.to_string())];
            client
                .call(Call::new(Method::GET, &["devices"]).query(&query))
                .await?
        }
        DeviceIdentityCommand::Update {
            device_id,
            flags,
            etag,
        } => change::update(&device_id, flags, etag, &client).await?,
        DeviceIdentityCommand::Delete { device_id, etag } => {
            let etag = etag.map_or_else(|| "*".to_owned(), |etag| format!("\"{etag}\""));
            client
                .call(Call::new(Method::DELETE, &["devices", &device_id]).if_match(&etag))
                .await?
        }
        DeviceIdentityCommand::RenewKey {
            device_id,
            key_type,
        } => keys::renew(&device_id, None, key_type, &client).await?,
        DeviceIdentityCommand::Import(flags) => {
            return transfer::import(flags, &client, invocation).await;
        }
        DeviceIdentityCommand::Export(flags) => {
            return transfer::export(flags, &client, invocation).await;
        }
        DeviceIdentityCommand::ConnectionString(command) => {
            let printed = keys::connection_string(command, &client).await?;
            return Ok(output::print(
                invocation.output,
                &printed,
                keys::CONNECTION_STRING,
            )?);
        }
        DeviceIdentityCommand::Parent(command) => hierarchy::parent(command, &client).await?,
        DeviceIdentityCommand::Children(command) => hierarchy::children(command, &client).await?,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// The twins of the devices that are, or are not, IoT Edge devices.
async fn twins_by_edge(
    edge: bool,
    top: usize,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let text = format!("SELECT * FROM devices WHERE capabilities.iotEdge = {edge}");
    let body = request_bodies::query(&text);
    let rows = client
        .list(&["devices", "query"], Some(&body), Some(top))
        .await?;
    Ok(rows.into())
}
