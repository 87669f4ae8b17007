//! `muster dps linked-hub`, and `muster hub link|unlink`, which are other names for it.

use std::str::FromStr;

use crate::service_client::request_bodies::settings as bodies;
use clap::Subcommand;
use ids::IdError;
use reqwest::Method;
use serde_json::Value;
use wire::connection_string::ConnectionString;
use wire::muster_api::linked_hub::Latency;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Login, Service};

const COLUMNS: &[Column] = &[
    ("Name", "/name"),
    ("Host", "/hostName"),
    ("Location", "/location"),
    ("Weight", "/allocationWeight"),
    ("Allocation", "/applyAllocationPolicy"),
    ("Health", "/health/state"),
    ("Since", "/health/failingSinceUtc"),
    ("LastError", "/health/lastError"),
];

/// Verbs of `muster dps linked-hub`.
#[derive(Debug, Subcommand)]
pub enum LinkedHubCommand {
    /// Link a hub; from now on devices are assigned to it.
    #[command(after_help = "Example:\n  \
            muster dps linked-hub create --connection-string \"$HUB\" --allocation-weight 10 \
            --data-dir ./data")]
    Create(LinkFlags),
    /// List the linked hubs with their health; an unhealthy one gets no new devices.
    #[command(
        after_help = "Example:\n  muster dps linked-hub list --data-dir ./data --output table"
    )]
    List,
    /// Show a linked hub with its health.
    #[command(
        after_help = "Example:\n  muster dps linked-hub show --linked-hub second --data-dir ./data"
    )]
    Show(LinkName),
    /// Change weight, allocation or connection string; without a flag, a setting stays as it is.
    #[command(after_help = "Example:\n  \
            muster dps linked-hub update --linked-hub second --apply-allocation-policy false \
            --data-dir ./data")]
    Update(LinkFlags),
    /// Unlink a hub. Its devices stay in it; each gets another hub when it registers again.
    #[command(after_help = "Example:\n  \
            muster dps linked-hub delete --linked-hub second --data-dir ./data")]
    Delete(LinkName),
}

#[derive(Debug, clap::Args)]
pub struct LinkFlags {
    /// The hub's name [default: from the connection string's host].
    #[arg(long, short = 'n', visible_aliases = ["linked-hub", "lh"])]
    name: Option<String>,
    /// The hub's connection string, with RegistryRead, RegistryWrite and ServiceConnect; not needed
    /// for a hub of the same data directory.
    #[arg(long, visible_alias = "cs", value_name = "STRING")]
    connection_string: Option<Login>,
    /// Its weight in the allocation, 1 to 1000.
    #[arg(long, visible_alias = "weight", value_name = "WEIGHT")]
    allocation_weight: Option<i64>,
    /// Whether allocation policies may choose it.
    #[arg(long, visible_alias = "aap", value_name = "true|false")]
    apply_allocation_policy: Option<bool>,
    /// The latency of the clients of a network, for the policy geolatency. Replaces all earlier
    /// ones; `none` removes them.
    #[arg(long, num_args = 1.., value_name = "NETWORK=MILLISECONDS|none")]
    latency: Vec<LatencyFlag>,
}

#[derive(Debug, Clone, Copy)]
enum LatencyFlag {
    Remove,
    Set(Latency),
}

impl FromStr for LatencyFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Remove);
        }
        let (network, milliseconds) = text
            .split_once('=')
            .ok_or("it looks like 10.1.0.0/16=12, or none")?;
        let wrong = |_| format!("{milliseconds:?} is not a number of milliseconds");
        Ok(Self::Set(Latency {
            network: network
                .parse()
                .map_err(|error: IdError| error.to_string())?,
            milliseconds: milliseconds.parse().map_err(wrong)?,
        }))
    }
}

fn latencies(flags: &[LatencyFlag]) -> Option<Vec<Latency>> {
    let set = |flag: &LatencyFlag| match flag {
        LatencyFlag::Remove => None,
        LatencyFlag::Set(latency) => Some(*latency),
    };
    (!flags.is_empty()).then(|| flags.iter().filter_map(set).collect())
}

#[derive(Debug, clap::Args)]
pub struct LinkName {
    /// The name of the linked hub.
    #[arg(long, short = 'n', visible_aliases = ["linked-hub", "lh"])]
    name: String,
}

pub async fn run(command: LinkedHubCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        LinkedHubCommand::Create(flags) | LinkedHubCommand::Update(flags) => {
            link(flags, invocation).await
        }
        LinkedHubCommand::List => {
            let path = ["muster", "v1", "dps", "linkedHubs"];
            call(Call::new(Method::GET, &path), invocation).await
        }
        LinkedHubCommand::Show(LinkName { name }) => {
            let path = ["muster", "v1", "dps", "linkedHubs", &name];
            call(Call::new(Method::GET, &path), invocation).await
        }
        LinkedHubCommand::Delete(flags) => unlink(flags, invocation).await,
    }
}

pub async fn link(flags: LinkFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let given = flags.connection_string.as_ref().map(Login::reveal);
    let name = match (flags.name, given) {
        (Some(name), _) => name,
        (None, Some(text)) => name_of(text)?,
        (None, None) => {
            let message = "which hub? Give --name NAME, --connection-string STRING, or both";
            return Err(CommandError::Usage(message.to_owned()).into());
        }
    };
    let known = match given {
        Some(_) => None,
        None => invocation.target.opens_hub(&name)?,
    };
    let string = given.or(known.as_deref());
    let (weight, apply) = (flags.allocation_weight, flags.apply_allocation_policy);
    let latencies = latencies(&flags.latency);
    let body = bodies::link(string, weight, apply, latencies.as_deref());
    let path = ["muster", "v1", "dps", "linkedHubs", &name];
    call(Call::new(Method::PUT, &path).body(&body), invocation).await
}

pub async fn unlink(LinkName { name }: LinkName, invocation: &Invocation) -> anyhow::Result<()> {
    let path = ["muster", "v1", "dps", "linkedHubs", &name];
    call(Call::new(Method::DELETE, &path), invocation).await
}

/// A name for a hub that is given by its connection string: the first label of its host, or
/// its address with dashes.
fn name_of(connection_string: &str) -> Result<String, CommandError> {
    let parsed = ConnectionString::parse(connection_string)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    let host = parsed.host.name();
    Ok(match host.parse::<std::net::Ipv4Addr>() {
        Ok(_) => host.replace('.', "-"),
        Err(_) => host.split('.').next().unwrap_or(host).to_owned(),
    })
}

async fn call(call: Call<'_>, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer: Value = client.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_without_a_name_is_named_after_its_host() {
        let string = |host: &str| {
            format!(
                "HostName={host};SharedAccessKeyName=p;\
                 SharedAccessKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
            )
        };
        let named = |host| name_of(&string(host)).unwrap();
        assert_eq!(named("contoso.azure-devices.net"), "contoso");
        assert_eq!(named("127.0.0.9:8443"), "127-0-0-9");
        assert!(name_of("HostName=x").is_err());
    }
}
