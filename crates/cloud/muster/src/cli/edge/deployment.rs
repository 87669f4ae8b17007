//! `muster edge deployment`: the deployments of a hub.

use clap::Subcommand;

use crate::cli::Invocation;
use crate::cli::configurations::{self, Change, Creation, Kind, Metric, configuration_id};
use crate::service_client::Service;

/// Verbs of `muster edge deployment`.
#[derive(Debug, Subcommand)]
pub enum DeploymentCommand {
    /// Create a deployment.
    #[command(after_help = "Example:\n  \
            muster edge deployment create --deployment-id base --content deployment.json \\\n    \
            --target-condition \"tags.environment='test'\" --priority 10 --data-dir ./data")]
    Create {
        #[arg(long, short = 'd', visible_alias = "did", value_parser = configuration_id)]
        deployment_id: String,
        #[command(flatten)]
        creation: Creation,
    },
    /// Show one deployment with its metrics.
    #[command(after_help = "Example:\n  \
            muster edge deployment show --deployment-id base --data-dir ./data")]
    Show {
        #[arg(long, short = 'd', visible_alias = "did", value_parser = configuration_id)]
        deployment_id: String,
    },
    /// List deployments.
    #[command(
        after_help = "Example:\n  muster edge deployment list --data-dir ./data --output table"
    )]
    List {
        /// At most this many deployments.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change condition, priority, labels or metrics of a deployment. Its content cannot change.
    #[command(after_help = "Example:\n  \
            muster edge deployment update --deployment-id base --priority 20 --data-dir ./data")]
    Update {
        #[arg(long, short = 'd', visible_alias = "did", value_parser = configuration_id)]
        deployment_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a deployment; its modules keep running until another deployment applies.
    #[command(after_help = "Example:\n  \
            muster edge deployment delete --deployment-id base --data-dir ./data")]
    Delete {
        #[arg(long, short = 'd', visible_alias = "did", value_parser = configuration_id)]
        deployment_id: String,
        /// Only when it still has this etag.
        #[arg(long, short = 'e')]
        etag: Option<String>,
    },
    /// Evaluate a metric of a deployment now.
    #[command(after_help = "Example:\n  \
            muster edge deployment show-metric -d base --metric-id appliedCount \
            --metric-type system --data-dir ./data")]
    ShowMetric {
        #[arg(long, short = 'd', visible_alias = "did", value_parser = configuration_id)]
        deployment_id: String,
        #[command(flatten)]
        metric: Metric,
    },
}

pub async fn run(command: DeploymentCommand, invocation: &Invocation) -> anyhow::Result<()> {
    use DeploymentCommand as Command;
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        Command::Create {
            deployment_id,
            creation,
        } => configurations::create(&client, &deployment_id, creation).await?,
        Command::Show { deployment_id } => configurations::show(&client, &deployment_id).await?,
        Command::List { top } => configurations::list(&client, Kind::Deployment, top).await?,
        Command::Update {
            deployment_id,
            change,
        } => configurations::update(&client, &deployment_id, change).await?,
        Command::Delete {
            deployment_id,
            etag,
        } => configurations::delete(&client, &deployment_id, etag).await?,
        Command::ShowMetric {
            deployment_id,
            metric,
        } => configurations::show_metric(&client, &deployment_id, metric).await?,
    };
    configurations::print(invocation, &answer)
}
