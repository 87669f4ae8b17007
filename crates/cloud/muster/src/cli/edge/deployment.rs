//! `muster edge deployment`: the deployments of a hub.

use std::path::Path;

use anyhow::Context;
use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::cli::exact::require_exact;
use crate::cli::json_file::read_text;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// Verbs of `muster edge deployment`.
#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Create a deployment.
    #[command(after_help = "Example:\n  \
            muster edge deployment create --deployment-id base --content deployment.json \\\n    \
            --target-condition \"tags.environment='test'\" --priority 10 --data-dir ./data")]
    Create {
        #[arg(long, visible_alias = "did")]
        deployment_id: String,
        /// A file with the deployment's content, or its JSON.
        #[arg(long, short = 'k')]
        content: String,
        /// The devices: a condition over deviceId, tags and reported properties; * for all.
        #[arg(long, visible_alias = "tc", default_value = "")]
        target_condition: String,
        /// The deployment with the highest priority applies.
        #[arg(long, visible_alias = "pri", default_value_t = 0)]
        priority: u32,
        /// Labels, as a JSON object of texts.
        #[arg(long)]
        labels: Option<String>,
    },
    /// Show one deployment with its metrics.
    #[command(after_help = "Example:\n  \
            muster edge deployment show --deployment-id base --data-dir ./data")]
    Show {
        #[arg(long, visible_alias = "did")]
        deployment_id: String,
    },
    /// List deployments.
    #[command(
        after_help = "Example:\n  muster edge deployment list --data-dir ./data --output table"
    )]
    List,
    /// Change the target condition or the priority of a deployment. Its content cannot change.
    #[command(after_help = "Example:\n  \
            muster edge deployment update --deployment-id base --priority 20 --data-dir ./data")]
    Update {
        #[arg(long, visible_alias = "did")]
        deployment_id: String,
        #[arg(long, visible_alias = "tc")]
        target_condition: Option<String>,
        #[arg(long, visible_alias = "pri")]
        priority: Option<u32>,
    },
    /// Delete a deployment; its modules keep running until another deployment applies.
    #[command(after_help = "Example:\n  \
            muster edge deployment delete --deployment-id base --data-dir ./data")]
    Delete {
        #[arg(long, visible_alias = "did")]
        deployment_id: String,
    },
}

const COLUMNS: &[Column] = &[
    ("Id", "/id"),
    ("Priority", "/priority"),
    ("TargetCondition", "/targetCondition"),
    ("Targeted", "/systemMetrics/results/targetedCount"),
    ("Applied", "/systemMetrics/results/appliedCount"),
    (
        "Succeeded",
        "/systemMetrics/results/reportedSuccessfulCount",
    ),
    ("Failed", "/systemMetrics/results/reportedFailedCount"),
];

pub async fn run(command: DeploymentCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        DeploymentCommand::Create {
            deployment_id,
            content,
            target_condition,
            priority,
            labels,
        } => {
            let content = read_json("--content", &content)?;
            let labels = labels
                .map(|text| read_json("--labels", &text))
                .transpose()?;
            let id = deployment_id.to_ascii_lowercase();
            let body = crate::service_client::request_bodies::deployment(
                &id,
                &content,
                &target_condition,
                priority,
                labels,
            );
            client
                .call(Call::new(Method::PUT, &["configurations", &id]).body(&body))
                .await?
        }
        DeploymentCommand::Show { deployment_id } => {
            client
                .call(Call::new(Method::GET, &["configurations", &deployment_id]))
                .await?
        }
        DeploymentCommand::List => {
            client
                .call(Call::new(Method::GET, &["configurations"]))
                .await?
        }
        DeploymentCommand::Update {
            deployment_id,
            target_condition,
            priority,
        } => update(&client, &deployment_id, target_condition, priority).await?,
        DeploymentCommand::Delete { deployment_id } => {
            client
                .call(Call::new(Method::DELETE, &["configurations", &deployment_id]).if_match("*"))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// Writes a deployment again with the given fields changed.
async fn update(
    client: &ServiceClient,
    deployment_id: &str,
    target_condition: Option<String>,
    priority: Option<u32>,
) -> Result<Value, CommandError> {
    let path = ["configurations", deployment_id];
    let mut body = client.call(Call::new(Method::GET, &path)).await?;
    if let Some(condition) = target_condition {
        body["targetCondition"] = condition.into();
    }
    if let Some(priority) = priority {
        body["priority"] = priority.into();
    }
    let put = Call::new(Method::PUT, &path).body(&body).if_match("*");
    client.call(put).await
}

/// Reads JSON from a flag, or from the file that it names.
fn read_json(flag: &str, text: &str) -> anyhow::Result<Value> {
    let inline = text.trim_start().starts_with(['{', '[']);
    let (json, origin) = match inline {
        true => (text.to_owned(), flag.to_owned()),
        false => {
            let json = read_text(Path::new(text)).with_context(|| flag.to_owned())?;
            (json, text.to_owned())
        }
    };
    require_exact(&origin, &json)?;
    serde_json::from_str(&json)
        .map_err(|error| CommandError::Usage(format!("{origin} is not JSON: {error}")).into())
}
