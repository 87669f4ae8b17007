//! `muster hub device-identity`: the devices of a hub.

mod hierarchy;
pub(super) mod keys;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::cli::argument::yes_or_no;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

#[derive(Debug, clap::Args)]
pub struct Change {
    /// Make it an IoT Edge device, with its system modules: for a device that registered before its
    /// enrollment made Edge devices.
    #[arg(
        long,
        visible_alias = "ee",
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    edge_enabled: Option<bool>,
    /// Whether it may connect: enabled or disabled.
    #[arg(long, visible_alias = "sta")]
    status: Option<String>,
    /// The reason, shown together with the status.
    #[arg(long, visible_alias = "star")]
    status_reason: Option<String>,
    /// Only when the identity still has this etag.
    #[arg(long)]
    etag: Option<String>,
}

/// Verbs of `muster hub device-identity`.
#[derive(Debug, Subcommand)]
pub enum DeviceIdentityCommand {
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
    },
    /// Change an identity; without a flag, a property stays as it is.
    #[command(after_help = "Example:\n  \
            muster hub device-identity update --device-id edge-001 --edge-enabled true --data-dir \
            ./data")]
    Update {
        #[arg(long, short = 'd')]
        device_id: String,
        #[command(flatten)]
        change: Change,
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
        DeviceIdentityCommand::List { top } => {
            let query = [("top", top.to_string())];
            client
                .call(Call::new(Method::GET, &["devices"]).query(&query))
                .await?
        }
        DeviceIdentityCommand::Update { device_id, change } => {
            let path = ["devices", device_id.as_str()];
            let mut device = client.call(Call::new(Method::GET, &path)).await?;
            if let Some(edge) = change.edge_enabled {
                device["capabilities"] = json!({ "iotEdge": edge });
            }
            let texts = [
                ("status", change.status),
                ("statusReason", change.status_reason),
            ];
            for (member, text) in texts {
                if let Some(text) = text {
                    device[member] = text.into();
                }
            }
            // The etag that was just read, unless a flag names one.
            let read = device["etag"].as_str().unwrap_or("*").to_owned();
            let etag = format!("\"{}\"", change.etag.unwrap_or(read));
            let call = Call::new(Method::PUT, &path).body(&device).if_match(&etag);
            client.call(call).await?
        }
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
        DeviceIdentityCommand::ConnectionString(command) => {
            keys::connection_string(command, &client).await?
        }
        DeviceIdentityCommand::Parent(command) => hierarchy::parent(command, &client).await?,
        DeviceIdentityCommand::Children(command) => hierarchy::children(command, &client).await?,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
