//! `muster hub device-identity`.

use clap::Subcommand;
use reqwest::Method;

use crate::cli::{Column, Invocation, output};
use crate::operator::{Call, Service};

/// Verbs of `muster hub device-identity`.
#[derive(Debug, Subcommand)]
pub enum DeviceIdentityCommand {
    /// Show one identity.
    #[command(
        after_help = "Example:\n  muster hub device-identity show --device-id edge-001 --data-dir ./data"
    )]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// List identities.
    #[command(
        after_help = "Example:\n  muster hub device-identity list --top 10 --data-dir ./data --output table"
    )]
    List {
        /// At most so many identities.
        #[arg(long, default_value_t = 100)]
        top: usize,
    },
    /// Delete an identity, its modules and its twins.
    #[command(
        after_help = "Example:\n  muster hub device-identity delete --device-id edge-001 --data-dir ./data"
    )]
    Delete {
        #[arg(long, short = 'd')]
        device_id: String,
        /// Only when the identity still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
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
        DeviceIdentityCommand::Delete { device_id, etag } => {
            let etag = etag.map_or_else(|| "*".to_owned(), |etag| format!("\"{etag}\""));
            client
                .call(Call::new(Method::DELETE, &["devices", &device_id]).if_match(&etag))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
