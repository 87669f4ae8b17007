//! `muster hub device-twin` and `muster hub module-twin`.

use super::TWIN_COLUMNS;
use crate::cli::argument::object;
use crate::cli::{Invocation, output};
use crate::service_client::{Call, Service};
use clap::Subcommand;
use reqwest::Method;

#[derive(Debug, clap::Args)]
pub struct Change {
    /// Tags, as a JSON object; null removes a tag.
    #[arg(long)]
    tags: Option<String>,
    /// Desired properties, as a JSON object; null removes a property.
    #[arg(long)]
    desired: Option<String>,
    /// Only when the twin still has this etag.
    #[arg(long)]
    etag: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Replacement {
    /// The twin as JSON, or a file with it: tags and properties.desired. Members that it
    /// leaves out are removed.
    #[arg(long, short = 'j')]
    json: String,
    /// Only when the twin still has this etag.
    #[arg(long)]
    etag: Option<String>,
}

/// Verbs of `muster hub device-twin`.
#[derive(Debug, Subcommand)]
pub enum DeviceTwinCommand {
    /// Show one twin.
    #[command(after_help = "Example:\n  \
            muster hub device-twin show --device-id edge-001 --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// List twins.
    #[command(after_help = "Example:\n  \
            muster hub device-twin list --top 10 --data-dir ./data --output table")]
    List {
        /// At most this many twins.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Merge tags or desired properties into a twin.
    #[command(after_help = "Example:\n  \
            muster hub device-twin update -d edge-001 --tags '{\"environment\":\"prod\"}' \
            --data-dir ./data")]
    Update {
        #[arg(long, short = 'd')]
        device_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Replace tags and desired properties, also of a twin that is too large to be read.
    #[command(after_help = "Example:
  muster hub device-twin replace -d edge-001 --json \
            '{\"tags\":{\"environment\":\"prod\"}}' --data-dir ./data")]
    Replace {
        #[arg(long, short = 'd')]
        device_id: String,
        #[command(flatten)]
        replacement: Replacement,
    },
}

/// Verbs of `muster hub module-twin`.
#[derive(Debug, Subcommand)]
pub enum ModuleTwinCommand {
    /// Show one twin.
    #[command(after_help = "Example:\n  \
            muster hub module-twin show -d edge-001 -m '$edgeAgent' --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, short = 'm')]
        module_id: String,
    },
    /// Merge tags or desired properties into a twin.
    #[command(after_help = "Example:\n  \
            muster hub module-twin update -d edge-001 -m tempSensor --desired \
            '{\"SendInterval\":2}' --data-dir ./data")]
    Update {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, short = 'm')]
        module_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Replace tags and desired properties; a twin that is too large to be read is emptied first.
    #[command(after_help = "Example:
  muster hub module-twin replace -d edge-001 -m tempSensor --json \
            twin.json --data-dir ./data")]
    Replace {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, short = 'm')]
        module_id: String,
        #[command(flatten)]
        replacement: Replacement,
    },
}

pub async fn run_device(command: DeviceTwinCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        DeviceTwinCommand::Show { device_id } => show(&["twins", &device_id], invocation).await,
        DeviceTwinCommand::List { top } => {
            let body = crate::service_client::request_bodies::query("SELECT * FROM devices");
            let rows = invocation
                .target
                .connect(Service::Hub)?
                .list(&["devices", "query"], Some(&body), top)
                .await?;
            Ok(output::print(
                invocation.output,
                &rows.into(),
                TWIN_COLUMNS,
            )?)
        }
        DeviceTwinCommand::Update { device_id, change } => {
            update(&["twins", &device_id], change, invocation).await
        }
        DeviceTwinCommand::Replace {
            device_id,
            replacement,
        } => replace(&["twins", &device_id], replacement, invocation).await,
    }
}

pub async fn run_module(command: ModuleTwinCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        ModuleTwinCommand::Show {
            device_id,
            module_id,
        } => show(&["twins", &device_id, "modules", &module_id], invocation).await,
        ModuleTwinCommand::Update {
            device_id,
            module_id,
            change,
        } => {
            update(
                &["twins", &device_id, "modules", &module_id],
                change,
                invocation,
            )
            .await
        }
        ModuleTwinCommand::Replace {
            device_id,
            module_id,
            replacement,
        } => {
            let path = ["twins", &device_id, "modules", &module_id];
            replace(&path, replacement, invocation).await
        }
    }
}

async fn show(path: &[&str], invocation: &Invocation) -> anyhow::Result<()> {
    let twin = invocation
        .target
        .connect(Service::Hub)?
        .call(Call::new(Method::GET, path))
        .await?;
    Ok(output::print(invocation.output, &twin, TWIN_COLUMNS)?)
}

async fn update(path: &[&str], change: Change, invocation: &Invocation) -> anyhow::Result<()> {
    let patch = crate::service_client::request_bodies::twin_patch(
        object("--tags", change.tags)?,
        object("--desired", change.desired)?,
    );
    let etag = quoted(change.etag);
    let call = Call::new(Method::PATCH, path).body(&patch).if_match(&etag);
    let twin = invocation.target.connect(Service::Hub)?.call(call).await?;
    Ok(output::print(invocation.output, &twin, TWIN_COLUMNS)?)
}

async fn replace(
    path: &[&str],
    replacement: Replacement,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let twin = object("--json", Some(replacement.json))?
        .unwrap_or_default()
        .into();
    let etag = quoted(replacement.etag);
    let call = Call::new(Method::PUT, path).body(&twin).if_match(&etag);
    let twin = invocation.target.connect(Service::Hub)?.call(call).await?;
    Ok(output::print(invocation.output, &twin, TWIN_COLUMNS)?)
}

/// The value of `If-Match`: the etag, or any version.
fn quoted(etag: Option<String>) -> String {
    etag.map_or_else(|| "*".to_owned(), |etag| format!("\"{etag}\""))
}
