//! `muster dps enrollment registration` and `muster dps enrollment-group registration`.

use clap::Subcommand;
use reqwest::Method;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, ServiceClient};

#[derive(Debug, Subcommand)]
pub enum RegistrationCommand {
    /// Show the registration of the device.
    #[command(after_help = "Example:\n  \
            muster dps enrollment registration show --enrollment-id edge-001 --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
    },
    /// Delete the registration; the device then registers as for the first time.
    #[command(after_help = "Example:\n  \
            muster dps enrollment registration delete --enrollment-id edge-001 --data-dir ./data")]
    Delete {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum GroupRegistrationCommand {
    /// List the registrations of a group.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group registration list --enrollment-id factory --data-dir \
            ./data --output table")]
    List {
        #[arg(long, visible_alias = "eid")]
        enrollment_id: String,
        /// At most this many.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Show a registration of a group.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group registration show --registration-id edge-002 --data-dir \
            ./data")]
    Show {
        #[arg(long, visible_alias = "rid")]
        registration_id: String,
    },
    /// Delete a registration; the device then registers as for the first time.
    #[command(after_help = "Example:\n  \
            muster dps enrollment-group registration delete --registration-id edge-002 --data-dir \
            ./data")]
    Delete {
        #[arg(long, visible_alias = "rid")]
        registration_id: String,
    },
}

const COLUMNS: &[Column] = &[
    ("RegistrationId", "/registrationId"),
    ("Status", "/status"),
    ("Substatus", "/substatus"),
    ("Hub", "/assignedHub"),
    ("DeviceId", "/deviceId"),
    ("Updated", "/lastUpdatedDateTimeUtc"),
    ("Error", "/errorMessage"),
];

pub async fn run(
    command: RegistrationCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let (method, id) = match &command {
        RegistrationCommand::Show { enrollment_id } => (Method::GET, enrollment_id),
        RegistrationCommand::Delete { enrollment_id } => (Method::DELETE, enrollment_id),
    };
    one(method, id, client, invocation).await
}

pub async fn run_group(
    command: GroupRegistrationCommand,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    match command {
        GroupRegistrationCommand::List { enrollment_id, top } => {
            let query = crate::service_client::request_bodies::query("SELECT *");
            let rows = client
                .list(
                    &["registrations", &enrollment_id, "query"],
                    Some(&query),
                    top,
                )
                .await?;
            Ok(output::print(invocation.output, &rows.into(), COLUMNS)?)
        }
        GroupRegistrationCommand::Show { registration_id } => {
            one(Method::GET, &registration_id, client, invocation).await
        }
        GroupRegistrationCommand::Delete { registration_id } => {
            one(Method::DELETE, &registration_id, client, invocation).await
        }
    }
}

async fn one(
    method: Method,
    id: &str,
    client: &ServiceClient,
    invocation: &Invocation,
) -> anyhow::Result<()> {
    let answer = client
        .call(Call::new(method, &["registrations", id]))
        .await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
