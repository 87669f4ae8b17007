//! `muster hub create|list|show|delete`: the hubs of a server.

use crate::service_client::request_bodies::settings as bodies;
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Host", "/hostName"),
    ("LinkedBy", "/linkedBy"),
];

/// The name and the host name of a new hub.
#[derive(Debug, clap::Args)]
pub struct HubCreate {
    #[arg(long, short = 'n')]
    name: String,
    /// The host name by which devices reach it; it has to resolve to this server.
    #[arg(long, value_name = "HOST")]
    hostname: String,
}

/// A hub's name.
#[derive(Debug, clap::Args)]
pub struct HubName {
    #[arg(long, short = 'n')]
    name: String,
}

pub async fn create(flags: HubCreate, invocation: &Invocation) -> anyhow::Result<()> {
    let body = bodies::host(&flags.hostname);
    let path = ["muster", "v1", "hubs", &flags.name];
    call(Call::new(Method::PUT, &path).body(&body), invocation).await
}

pub async fn list(invocation: &Invocation) -> anyhow::Result<()> {
    call(
        Call::new(Method::GET, &["muster", "v1", "hubs"]),
        invocation,
    )
    .await
}

pub async fn show(flags: HubName, invocation: &Invocation) -> anyhow::Result<()> {
    let path = ["muster", "v1", "hubs", &flags.name];
    call(Call::new(Method::GET, &path), invocation).await
}

pub async fn delete(flags: HubName, invocation: &Invocation) -> anyhow::Result<()> {
    let path = ["muster", "v1", "hubs", &flags.name];
    call(Call::new(Method::DELETE, &path), invocation).await
}

/// Hubs are made by the provisioning service, because a hub that does not exist has no keys.
async fn call(call: Call<'_>, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer: Value = client.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
