//! `muster hub routing-endpoint`: where events go, beside the built-in endpoint.

use clap::{Subcommand, ValueEnum};
use ids::EndpointName;
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::routing::{Routing, WebhookEndpoint};
use wire::service_api::allocation::WebhookUrl;

use super::{exists, missing, read};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Login, Service};

const COLUMNS: &[Column] = &[("Name", "/name"), ("Url", "/url")];
const HEALTH: &[Column] = &[
    ("Name", "/endpointId"),
    ("Health", "/healthStatus"),
    ("Delivered", "/delivered"),
    ("DeadLettered", "/deadLettered"),
    ("Missed", "/missed"),
    ("Behind", "/behind"),
    ("LastError", "/lastKnownError"),
];

/// Verbs of `muster hub routing-endpoint`.
#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Add a webhook. It gets events that come from then on, once a route names it.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint create --endpoint-name hook --endpoint-type webhook --url \
            https://backend.example.org/events --data-dir ./data")]
    Create(EndpointCreate),
    /// Change the URL or the key of a webhook. It goes on where it was.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint update --endpoint-name hook --url \
            https://other.example.org/events --data-dir ./data")]
    Update(EndpointUpdate),
    /// Show one endpoint, with the key that its requests are signed with.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint show --endpoint-name hook --data-dir ./data")]
    Show(Name),
    /// List the endpoints beside the built-in one.
    #[command(
        after_help = "Example:\n  muster hub routing-endpoint list --data-dir ./data --output table"
    )]
    List,
    /// Delete an endpoint that no route names. What it has not got yet is not delivered.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint delete --endpoint-name hook --data-dir ./data")]
    Delete(Name),
    /// Show how deliveries to the endpoints go.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint show-health --data-dir ./data --output table")]
    ShowHealth,
}

/// Kinds of endpoints.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Kind {
    Webhook,
}

#[derive(Debug, clap::Args)]
pub struct Name {
    #[arg(long, visible_alias = "en", short = 'n')]
    endpoint_name: EndpointName,
}

#[derive(Debug, clap::Args)]
pub struct EndpointCreate {
    #[arg(long, visible_alias = "en", short = 'n')]
    endpoint_name: EndpointName,
    #[arg(
        long,
        visible_alias = "et",
        short = 't',
        value_enum,
        default_value = "webhook"
    )]
    endpoint_type: Kind,
    /// https, or http to this machine.
    #[arg(long)]
    url: String,
    /// Base64, to sign requests with [default: generated].
    #[arg(long, value_name = "KEY")]
    key: Option<Login>,
}

#[derive(Debug, clap::Args)]
pub struct EndpointUpdate {
    #[arg(long, visible_alias = "en", short = 'n')]
    endpoint_name: EndpointName,
    #[arg(long)]
    url: Option<String>,
    /// Base64, to sign requests with.
    #[arg(long, value_name = "KEY")]
    key: Option<Login>,
}

pub async fn run(command: EndpointCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let answer = match command {
        EndpointCommand::Create(flags) => create(flags, invocation).await?,
        EndpointCommand::Update(flags) => update(flags, invocation).await?,
        EndpointCommand::Show(name) => {
            found(&read(invocation).await?.document, &name.endpoint_name)?
        }
        EndpointCommand::List => {
            let document = read(invocation).await?.document;
            serde_json::to_value(document.endpoints.webhooks)?
        }
        EndpointCommand::Delete(name) => delete(&name.endpoint_name, invocation).await?,
        EndpointCommand::ShowHealth => return health(invocation).await,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

fn place(document: &Routing, name: &EndpointName) -> Option<usize> {
    let mut webhooks = document.endpoints.webhooks.iter();
    webhooks.position(|webhook| webhook.name.as_str().eq_ignore_ascii_case(name.as_str()))
}

fn found(document: &Routing, name: &EndpointName) -> anyhow::Result<Value> {
    let at = place(document, name).ok_or_else(|| missing("endpoint", name))?;
    Ok(serde_json::to_value(&document.endpoints.webhooks[at])?)
}

fn url(text: &str) -> Result<WebhookUrl, CommandError> {
    WebhookUrl::parse(text).map_err(|error| CommandError::Usage(format!("--url: {error}")))
}

fn key(login: &Login) -> Result<wire::service_api::identity::KeyText, CommandError> {
    let key = wire::service_api::identity::KeyText::parse(login.reveal());
    key.map_err(|problem| CommandError::Usage(format!("--key: {problem}")))
}

async fn create(flags: EndpointCreate, invocation: &Invocation) -> anyhow::Result<Value> {
    let Kind::Webhook = flags.endpoint_type;
    let name = flags.endpoint_name;
    let webhook = WebhookEndpoint {
        name: name.clone(),
        url: url(&flags.url)?,
        key: flags.key.as_ref().map(key).transpose()?,
    };
    let mut stored = read(invocation).await?;
    if place(&stored.document, &name).is_some() {
        return Err(exists("endpoint", name).into());
    }
    stored.document.endpoints.webhooks.push(webhook);
    found(&stored.write().await?, &name)
}

async fn update(flags: EndpointUpdate, invocation: &Invocation) -> anyhow::Result<Value> {
    let name = flags.endpoint_name;
    let mut stored = read(invocation).await?;
    let at = place(&stored.document, &name).ok_or_else(|| missing("endpoint", &name))?;
    let webhook = &mut stored.document.endpoints.webhooks[at];
    if let Some(text) = &flags.url {
        webhook.url = url(text)?;
    }
    if let Some(login) = &flags.key {
        webhook.key = Some(key(login)?);
    }
    found(&stored.write().await?, &name)
}

async fn delete(name: &EndpointName, invocation: &Invocation) -> anyhow::Result<Value> {
    let mut stored = read(invocation).await?;
    let at = place(&stored.document, name).ok_or_else(|| missing("endpoint", name))?;
    stored.document.endpoints.webhooks.remove(at);
    stored.write().await?;
    Ok(Value::Null)
}

async fn health(invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let path = ["muster", "v1", "hub", "routingEndpointsHealth"];
    let answer = client.call(Call::new(Method::GET, &path)).await?;
    let rows = answer.get("value").cloned().unwrap_or_default();
    Ok(output::print(invocation.output, &rows, HEALTH)?)
}
