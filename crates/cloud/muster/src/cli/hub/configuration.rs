//! `muster hub configuration`: automatic configurations of devices and modules.

use clap::Subcommand;

use crate::cli::Invocation;
use crate::cli::configurations::{self, Change, Creation, Kind, Metric, configuration_id};
use crate::service_client::Service;

/// Verbs of `muster hub configuration`.
#[derive(Debug, Subcommand)]
pub enum ConfigurationCommand {
    /// Create a configuration: desired properties of all devices, or modules, that match a condition.
    #[command(after_help = "Example:\n  \
            muster hub configuration create --config-id rates --content rates.json \\\n    \
            --target-condition \"tags.environment='test'\" --priority 10 --data-dir ./data")]
    Create {
        #[arg(long, short = 'c', value_parser = configuration_id)]
        config_id: String,
        #[command(flatten)]
        creation: Creation,
    },
    /// Show one configuration with its metrics.
    #[command(after_help = "Example:\n  \
            muster hub configuration show --config-id rates --data-dir ./data")]
    Show {
        #[arg(long, short = 'c', value_parser = configuration_id)]
        config_id: String,
    },
    /// List configurations; deployments are in muster edge deployment list.
    #[command(
        after_help = "Example:\n  muster hub configuration list --data-dir ./data --output table"
    )]
    List {
        /// At most this many configurations.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Change condition, priority, labels or metrics of a configuration. Its content cannot change.
    #[command(after_help = "Example:\n  \
            muster hub configuration update --config-id rates --priority 20 --data-dir ./data")]
    Update {
        #[arg(long, short = 'c', value_parser = configuration_id)]
        config_id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Delete a configuration. What it set is removed, or set by the next one.
    #[command(after_help = "Example:\n  \
            muster hub configuration delete --config-id rates --data-dir ./data")]
    Delete {
        #[arg(long, short = 'c', value_parser = configuration_id)]
        config_id: String,
        /// Only when it still has this etag.
        #[arg(long, short = 'e')]
        etag: Option<String>,
    },
    /// Evaluate a metric of a configuration now.
    #[command(after_help = "Example:\n  \
            muster hub configuration show-metric -c rates --metric-id appliedCount \
            --metric-type system --data-dir ./data")]
    ShowMetric {
        #[arg(long, short = 'c', value_parser = configuration_id)]
        config_id: String,
        #[command(flatten)]
        metric: Metric,
    },
}

pub async fn run(command: ConfigurationCommand, invocation: &Invocation) -> anyhow::Result<()> {
    use ConfigurationCommand as Command;
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        Command::Create {
            config_id,
            creation,
        } => configurations::create(&client, &config_id, creation).await?,
        Command::Show { config_id } => configurations::show(&client, &config_id).await?,
        Command::List { top } => configurations::list(&client, Kind::Settings, top).await?,
        Command::Update { config_id, change } => {
            configurations::update(&client, &config_id, change).await?
        }
        Command::Delete { config_id, etag } => {
            configurations::delete(&client, &config_id, etag).await?
        }
        Command::ShowMetric { config_id, metric } => {
            configurations::show_metric(&client, &config_id, metric).await?
        }
    };
    configurations::print(invocation, &answer)
}
