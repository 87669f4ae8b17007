//! `muster hub message-enrichment`: properties that are added to events on their way.

use clap::Subcommand;
use ids::EndpointName;
use serde_json::Value;
use wire::muster_api::routing::{Enrichment, Routing};

use super::{exists, missing, read};
use crate::cli::{Column, Invocation, output};

const COLUMNS: &[Column] = &[
    ("Key", "/key"),
    ("Value", "/value"),
    ("Endpoints", "/endpointNames"),
];

/// Verbs of `muster hub message-enrichment`.
#[derive(Debug, Subcommand)]
pub enum EnrichmentCommand {
    /// Add a property to events on their way to endpoints.
    #[command(after_help = "Example:\n  \
            muster hub message-enrichment create --key site --value '$twin.tags.site' --endpoints \
            hook events --data-dir ./data")]
    Create(EnrichmentCreate),
    /// Change an enrichment.
    #[command(after_help = "Example:\n  \
            muster hub message-enrichment update --key site --value Busan --data-dir ./data")]
    Update(EnrichmentUpdate),
    /// List the enrichments.
    #[command(after_help = "Example:\n  \
            muster hub message-enrichment list --data-dir ./data --output table")]
    List,
    /// Show one enrichment.
    #[command(
        after_help = "Example:\n  muster hub message-enrichment show --key site --data-dir ./data"
    )]
    Show(Key),
    /// Delete an enrichment.
    #[command(
        after_help = "Example:\n  muster hub message-enrichment delete --key site --data-dir ./data"
    )]
    Delete(Key),
}

#[derive(Debug, clap::Args)]
pub struct Key {
    #[arg(long, short = 'k')]
    key: String,
}

#[derive(Debug, clap::Args)]
pub struct EnrichmentCreate {
    /// The name of the property.
    #[arg(long, short = 'k')]
    key: String,
    /// A text, $iothubname, or a path such as $twin.tags.site.
    #[arg(long, short = 'v')]
    value: String,
    #[arg(long, short = 'e', num_args = 1.., required = true, value_name = "NAME")]
    endpoints: Vec<EndpointName>,
}

#[derive(Debug, clap::Args)]
pub struct EnrichmentUpdate {
    #[arg(long, short = 'k')]
    key: String,
    #[arg(long, short = 'v')]
    value: Option<String>,
    #[arg(long, short = 'e', num_args = 1.., value_name = "NAME")]
    endpoints: Option<Vec<EndpointName>>,
}

pub async fn run(command: EnrichmentCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let mut stored = read(invocation).await?;
    let enrichments = &mut stored.document.enrichments;
    let answer = match command {
        EnrichmentCommand::Create(flags) => {
            let key = flags.key;
            if enrichments
                .iter()
                .any(|known| known.key.eq_ignore_ascii_case(&key))
            {
                return Err(exists("enrichment", key).into());
            }
            enrichments.push(Enrichment {
                key: key.clone(),
                value: flags.value,
                endpoint_names: flags.endpoints,
            });
            found(&stored.write().await?, &key)?
        }
        EnrichmentCommand::Update(flags) => {
            let at = place(enrichments, &flags.key)?;
            if let Some(value) = flags.value {
                enrichments[at].value = value;
            }
            if let Some(endpoints) = flags.endpoints {
                enrichments[at].endpoint_names = endpoints;
            }
            found(&stored.write().await?, &flags.key)?
        }
        EnrichmentCommand::List => serde_json::to_value(&stored.document.enrichments)?,
        EnrichmentCommand::Show(Key { key }) => found(&stored.document, &key)?,
        EnrichmentCommand::Delete(Key { key }) => {
            let at = place(enrichments, &key)?;
            enrichments.remove(at);
            stored.write().await?;
            Value::Null
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

fn place(enrichments: &[Enrichment], key: &str) -> anyhow::Result<usize> {
    let mut all = enrichments.iter();
    let found = all.position(|enrichment| enrichment.key.eq_ignore_ascii_case(key));
    Ok(found.ok_or_else(|| missing("enrichment", key))?)
}

fn found(document: &Routing, key: &str) -> anyhow::Result<Value> {
    let at = place(&document.enrichments, key)?;
    Ok(serde_json::to_value(&document.enrichments[at])?)
}
