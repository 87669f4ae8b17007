//! `muster dps allocation`: how the hub of a device was chosen.

use clap::Subcommand;
use reqwest::Method;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster dps allocation`.
#[derive(Debug, Subcommand)]
pub enum AllocationCommand {
    /// List how the hub of a device was chosen, newest first: the request to a webhook and its
    /// answer, and the hubs that were skipped.
    #[command(after_help = "Example:\n  \
            muster dps allocation list --registration-id edge-001 --data-dir ./data --output \
            table")]
    List {
        #[arg(long, visible_alias = "rid")]
        registration_id: String,
    },
    /// Show one allocation.
    #[command(after_help = "Example:\n  muster dps allocation show --id 7 --data-dir ./data")]
    Show {
        /// The id that `list` shows.
        #[arg(long)]
        id: i64,
    },
    /// Send the same request to the current webhook and show both answers; changes nothing.
    #[command(after_help = "Example:\n  muster dps allocation replay --id 7 --data-dir ./data")]
    Replay {
        /// As `list` names it.
        #[arg(long)]
        id: i64,
    },
    /// Show the key by which a webhook recognises requests of this service.
    #[command(after_help = "Example:\n  muster dps allocation key --data-dir ./data")]
    Key,
}

const COLUMNS: &[Column] = &[
    ("Id", "/id"),
    ("RegistrationId", "/registrationId"),
    ("At", "/at"),
    ("Status", "/status"),
    ("Hub", "/output/iotHubHostName"),
    ("SkippedHub", "/skippedHubs/0/hub"),
    ("Failure", "/failure"),
];

const REPLAY_COLUMNS: &[Column] = &[
    ("Same", "/same"),
    ("HubThen", "/recorded/output/iotHubHostName"),
    ("HubNow", "/replayed/output/iotHubHostName"),
    ("FailureThen", "/recorded/failure"),
    ("FailureNow", "/replayed/failure"),
];

pub async fn run(command: AllocationCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let root = ["muster", "v1", "dps", "allocations"];
    let (answer, columns) = match command {
        AllocationCommand::List { registration_id } => {
            let query = [("registrationId", registration_id)];
            let call = Call::new(Method::GET, &root).query(&query);
            (client.call(call).await?, COLUMNS)
        }
        AllocationCommand::Show { id } => {
            let id = id.to_string();
            let path = ["muster", "v1", "dps", "allocations", &id];
            (client.call(Call::new(Method::GET, &path)).await?, COLUMNS)
        }
        AllocationCommand::Replay { id } => {
            let id = id.to_string();
            let path = ["muster", "v1", "dps", "allocations", &id, "replay"];
            let answer = client.call(Call::new(Method::POST, &path)).await?;
            (answer, REPLAY_COLUMNS)
        }
        AllocationCommand::Key => {
            let path = ["muster", "v1", "dps", "webhookKey"];
            let answer = client.call(Call::new(Method::GET, &path)).await?;
            (answer, &[("Key", "/key")][..])
        }
    };
    Ok(output::print(invocation.output, &answer, columns)?)
}
