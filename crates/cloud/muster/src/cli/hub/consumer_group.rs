//! `muster hub consumer-group`: readers of the built-in endpoint.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Checkpoint", "/properties/checkpoint/offset"),
    ("Updated", "/properties/checkpoint/updated"),
    ("Created", "/properties/created"),
];

/// Verbs of `muster hub consumer-group`.
#[derive(Debug, Subcommand)]
pub enum ConsumerGroupCommand {
    /// Create a consumer group.
    #[command(after_help = "Example:\n  \
            muster hub consumer-group create --name analytics --data-dir ./data")]
    Create(Name),
    /// Show a consumer group and its checkpoint.
    #[command(
        after_help = "Example:\n  muster hub consumer-group show --name analytics --data-dir ./data"
    )]
    Show(Name),
    /// List the consumer groups.
    #[command(
        after_help = "Example:\n  muster hub consumer-group list --data-dir ./data --output table"
    )]
    List,
    /// Delete a consumer group with its checkpoint.
    #[command(after_help = "Example:\n  \
            muster hub consumer-group delete --name analytics --data-dir ./data")]
    Delete(Name),
    /// Set the checkpoint: the offset of the last event that is done.
    #[command(after_help = "Example:\n  \
            muster hub consumer-group set-checkpoint --name analytics --offset 120 --data-dir \
            ./data")]
    SetCheckpoint {
        #[command(flatten)]
        name: Name,
        #[arg(long)]
        offset: u64,
    },
}

#[derive(Debug, clap::Args)]
pub struct Name {
    #[arg(long, short = 'n')]
    name: String,
}

pub async fn run(command: ConsumerGroupCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let all = ["muster", "v1", "hub", "consumerGroups"];
    let one = |name| ["muster", "v1", "hub", "consumerGroups", name];
    let answer = match command {
        ConsumerGroupCommand::Create(Name { name }) => {
            let body = json!({});
            let path = one(&name);
            client
                .call(Call::new(Method::PUT, &path).body(&body))
                .await?
        }
        ConsumerGroupCommand::Show(Name { name }) => {
            client.call(Call::new(Method::GET, &one(&name))).await?
        }
        ConsumerGroupCommand::List => client.call(Call::new(Method::GET, &all)).await?,
        ConsumerGroupCommand::Delete(Name { name }) => {
            client.call(Call::new(Method::DELETE, &one(&name))).await?
        }
        ConsumerGroupCommand::SetCheckpoint { name, offset } => {
            let body = json!({"offset": offset});
            let [a, b, c, d, group] = one(&name.name);
            let path = [a, b, c, d, group, "checkpoint"];
            client
                .call(Call::new(Method::PUT, &path).body(&body))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
