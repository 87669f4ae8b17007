//! `muster dps create|list|show|update`: the provisioning services of a server.

use crate::service_client::request_bodies::settings as bodies;
use clap::ValueEnum;
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("IdScope", "/idScope"),
    ("Host", "/serviceOperationsHostName"),
    ("Allocation", "/allocationPolicy"),
    ("LinkedHubs", "/linkedHubs"),
];

/// The name and the host name of a new service.
#[derive(Debug, clap::Args)]
pub struct ServiceCreate {
    #[arg(long, short = 'n')]
    name: String,
    /// The host name of its service API; it has to resolve to this server.
    #[arg(long, value_name = "HOST")]
    hostname: String,
}

#[derive(Debug, clap::Args)]
pub struct ServiceUpdate {
    /// The allocation policy of enrollments without one of their own.
    #[arg(long, visible_alias = "allocation-policy", value_enum)]
    default_allocation_policy: DefaultPolicy,
}

/// Allocation policies that can be the default.
#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "lower")]
pub enum DefaultPolicy {
    /// By a weighted hash of the registration id.
    Hashed,
    /// The hub with the lowest latency.
    GeoLatency,
    /// The hub that the enrollment names.
    Static,
}

pub async fn create(flags: ServiceCreate, invocation: &Invocation) -> anyhow::Result<()> {
    let body = bodies::host(&flags.hostname);
    let path = ["muster", "v1", "services", &flags.name];
    call(Call::new(Method::PUT, &path).body(&body), invocation).await
}

pub async fn list(invocation: &Invocation) -> anyhow::Result<()> {
    let path = ["muster", "v1", "services"];
    call(Call::new(Method::GET, &path), invocation).await
}

pub async fn show(invocation: &Invocation) -> anyhow::Result<()> {
    let path = ["muster", "v1", "dps", "settings"];
    call(Call::new(Method::GET, &path), invocation).await
}

pub async fn update(flags: ServiceUpdate, invocation: &Invocation) -> anyhow::Result<()> {
    let body = bodies::settings(match flags.default_allocation_policy {
        DefaultPolicy::Hashed => "hashed",
        DefaultPolicy::GeoLatency => "geoLatency",
        DefaultPolicy::Static => "static",
    });
    let path = ["muster", "v1", "dps", "settings"];
    call(Call::new(Method::PATCH, &path).body(&body), invocation).await
}

async fn call(call: Call<'_>, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer: Value = client.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
