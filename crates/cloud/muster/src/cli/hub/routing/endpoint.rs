//! `muster hub routing-endpoint`: where events go, beside the built-in endpoint.

use clap::{Subcommand, ValueEnum};
use ids::EndpointName;
use reqwest::Method;
use serde_json::Value;
use wire::muster_api::routing::{
    NatsEndpoint, NatsPassword, NatsSubject, NatsUrl, Routing, WebhookEndpoint,
};
use wire::service_api::allocation::WebhookUrl;
use wire::service_api::identity::KeyText;

use super::{exists, missing, read};
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Login, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Type", "/endpointType"),
    ("Url", "/url"),
    ("Subject", "/subject"),
];
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
    /// Add a webhook or a stream of NATS JetStream. It gets events that come from then on, once a
    /// route names it.
    #[command(after_help = "Examples:\n  \
            muster hub routing-endpoint create --endpoint-name hook --endpoint-type webhook --url \
            https://backend.example.org/events --data-dir ./data\n  \
            muster hub routing-endpoint create --endpoint-name bus --endpoint-type nats --url \
            tls://nats.example.org:4222 --subject plant.{deviceId} --user muster --password \
            \"$PASSWORD\" --data-dir ./data")]
    Create(EndpointCreate),
    /// Change what is given of an endpoint. It goes on where it was.
    #[command(after_help = "Example:\n  \
            muster hub routing-endpoint update --endpoint-name hook --url \
            https://other.example.org/events --data-dir ./data")]
    Update(EndpointUpdate),
    /// Show one endpoint, with the key or password that it has.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A URL that events are posted to.
    Webhook,
    /// A stream of NATS JetStream that events are published to.
    Nats,
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
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, clap::Args)]
pub struct EndpointUpdate {
    #[arg(long, visible_alias = "en", short = 'n')]
    endpoint_name: EndpointName,
    #[command(flatten)]
    settings: Settings,
}

/// What an endpoint has beside its name.
#[derive(Debug, clap::Args)]
struct Settings {
    /// Of a webhook: https, or http to this machine. Of NATS: tls://host:4222, or nats:// to this
    /// machine.
    #[arg(long)]
    url: Option<String>,
    /// Of a webhook: base64, to sign requests with [default: generated].
    #[arg(long, value_name = "KEY")]
    key: Option<Login>,
    /// Of NATS: what events are published to; {iothub}, {deviceId} and {source} are replaced
    /// [default: muster.{iothub}.{deviceId}].
    #[arg(long)]
    subject: Option<String>,
    /// Of NATS: the name that the hub logs in with.
    #[arg(long)]
    user: Option<String>,
    /// Of NATS: the password of the user; without --user, a token.
    #[arg(long)]
    password: Option<Login>,
}

impl Settings {
    fn apply_to_webhook(&self, webhook: &mut WebhookEndpoint) -> Result<(), CommandError> {
        if self.subject.is_some() || self.user.is_some() || self.password.is_some() {
            return Err(usage("--subject, --user and --password are for NATS"));
        }
        if let Some(text) = &self.url {
            webhook.url = webhook_url(text)?;
        }
        if let Some(login) = &self.key {
            webhook.key = Some(parsed("--key", KeyText::parse(login.reveal()))?);
        }
        Ok(())
    }

    fn apply_to_nats(&self, stream: &mut NatsEndpoint) -> Result<(), CommandError> {
        if self.key.is_some() {
            return Err(usage("--key is for webhooks"));
        }
        if let Some(text) = &self.url {
            stream.url = nats_url(text)?;
        }
        if let Some(text) = &self.subject {
            stream.subject = parsed("--subject", NatsSubject::parse(text))?;
        }
        if let Some(user) = &self.user {
            stream.user = Some(user.clone());
        }
        if let Some(login) = &self.password {
            stream.password = Some(parsed("--password", NatsPassword::parse(login.reveal()))?);
        }
        Ok(())
    }
}

pub async fn run(command: EndpointCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let answer = match command {
        EndpointCommand::Create(flags) => create(flags, invocation).await?,
        EndpointCommand::Update(flags) => update(flags, invocation).await?,
        EndpointCommand::Show(name) => {
            found(&read(invocation).await?.document, &name.endpoint_name)?
        }
        EndpointCommand::List => rows(&read(invocation).await?.document)?.into(),
        EndpointCommand::Delete(name) => delete(&name.endpoint_name, invocation).await?,
        EndpointCommand::ShowHealth => return health(invocation).await,
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

/// The endpoints, with their kinds.
fn rows(document: &Routing) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    let mut push = |kind: &str, endpoint: serde_json::Result<Value>| {
        let mut row = endpoint?;
        row["endpointType"] = kind.into();
        rows.push(row);
        anyhow::Ok(())
    };
    for webhook in &document.endpoints.webhooks {
        push("webhook", serde_json::to_value(webhook))?;
    }
    for stream in &document.endpoints.nats_streams {
        push("nats", serde_json::to_value(stream))?;
    }
    Ok(rows)
}

fn is(known: &EndpointName, name: &EndpointName) -> bool {
    known.as_str().eq_ignore_ascii_case(name.as_str())
}

fn has(document: &Routing, name: &EndpointName) -> bool {
    let mut names = document.endpoints.names();
    names.any(|(known, _)| is(known, name))
}

fn found(document: &Routing, name: &EndpointName) -> anyhow::Result<Value> {
    let named = |row: &Value| {
        let known = row["name"].as_str().unwrap_or_default();
        known.eq_ignore_ascii_case(name.as_str())
    };
    let row = rows(document)?.into_iter().find(named);
    Ok(row.ok_or_else(|| missing("endpoint", name))?)
}

fn usage(problem: impl Into<String>) -> CommandError {
    CommandError::Usage(problem.into())
}

fn parsed<T>(flag: &str, parsed: Result<T, impl std::fmt::Display>) -> Result<T, CommandError> {
    parsed.map_err(|problem| usage(format!("{flag}: {problem}")))
}

fn webhook_url(text: &str) -> Result<WebhookUrl, CommandError> {
    parsed("--url", WebhookUrl::parse(text))
}

fn nats_url(text: &str) -> Result<NatsUrl, CommandError> {
    parsed("--url", NatsUrl::parse(text))
}

async fn create(flags: EndpointCreate, invocation: &Invocation) -> anyhow::Result<Value> {
    let (name, settings) = (flags.endpoint_name, flags.settings);
    let url = settings.url.as_deref();
    let url = url.ok_or_else(|| usage("--url is needed"))?;
    let mut stored = read(invocation).await?;
    if has(&stored.document, &name) {
        return Err(exists("endpoint", name).into());
    }
    let endpoints = &mut stored.document.endpoints;
    match flags.endpoint_type {
        Kind::Webhook => {
            let mut webhook = WebhookEndpoint {
                name: name.clone(),
                url: webhook_url(url)?,
                key: None,
            };
            settings.apply_to_webhook(&mut webhook)?;
            endpoints.webhooks.push(webhook);
        }
        Kind::Nats => {
            let mut stream = NatsEndpoint {
                name: name.clone(),
                url: nats_url(url)?,
                subject: NatsSubject::default(),
                user: None,
                password: None,
            };
            settings.apply_to_nats(&mut stream)?;
            endpoints.nats_streams.push(stream);
        }
    }
    found(&stored.write().await?, &name)
}

async fn update(flags: EndpointUpdate, invocation: &Invocation) -> anyhow::Result<Value> {
    let (name, settings) = (flags.endpoint_name, flags.settings);
    let mut stored = read(invocation).await?;
    let endpoints = &mut stored.document.endpoints;
    let mut webhooks = endpoints.webhooks.iter_mut();
    let mut streams = endpoints.nats_streams.iter_mut();
    if let Some(webhook) = webhooks.find(|webhook| is(&webhook.name, &name)) {
        settings.apply_to_webhook(webhook)?;
    } else if let Some(stream) = streams.find(|stream| is(&stream.name, &name)) {
        settings.apply_to_nats(stream)?;
    } else {
        return Err(missing("endpoint", &name).into());
    }
    found(&stored.write().await?, &name)
}

async fn delete(name: &EndpointName, invocation: &Invocation) -> anyhow::Result<Value> {
    let mut stored = read(invocation).await?;
    if !has(&stored.document, name) {
        return Err(missing("endpoint", name).into());
    }
    let endpoints = &mut stored.document.endpoints;
    endpoints
        .webhooks
        .retain(|webhook| !is(&webhook.name, name));
    endpoints
        .nats_streams
        .retain(|stream| !is(&stream.name, name));
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
