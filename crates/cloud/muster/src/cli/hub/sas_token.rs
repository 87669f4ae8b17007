//! `muster hub generate-sas-token`: a token for a program that cannot sign one itself.

use std::time::Duration;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};
use wire::connection_string::ConnectionString;
use wire::sas::SharedAccessKey;

use super::connection_string::{self, OTHER_POLICY};
use super::device_identity::keys;
use crate::cli::{Column, Invocation, output};
use crate::clock;
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// Flags of `muster hub generate-sas-token`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        muster hub generate-sas-token --data-dir ./data --output tsv\n  \
        muster hub generate-sas-token -d dev-1 --duration 86400 --data-dir ./data")]
pub struct SasTokenFlags {
    /// The device that will use it; signed with the device's key [default: a back end, signed with
    /// the key of a policy].
    #[arg(long, short = 'd')]
    device_id: Option<String>,
    /// The module of the device that will use it.
    #[arg(long, short = 'm', requires = "device_id")]
    module_id: Option<String>,
    /// The policy whose key signs [default: that of this command].
    #[arg(long, visible_alias = "pn", conflicts_with = "device_id")]
    policy_name: Option<String>,
    /// Which key of the device, module or policy signs [default: primary].
    #[arg(long, visible_alias = "kt", value_enum)]
    key_type: Option<keys::KeyType>,
    /// How many seconds it is valid.
    #[arg(long, visible_alias = "du", default_value_t = 3600,
          value_parser = clap::value_parser!(u32).range(1..))]
    duration: u32,
}

const COLUMNS: &[Column] = &[("Sas", "/sas")];

pub async fn run(flags: SasTokenFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let lifetime = Duration::from_secs(flags.duration.into());
    let token = match &flags.device_id {
        Some(device) => {
            let module = flags.module_id.as_deref();
            let key_type = flags.key_type.unwrap_or(keys::KeyType::Primary);
            of_identity(&client, (device, module), key_type, lifetime).await?
        }
        None if flags.policy_name.is_some() || flags.key_type.is_some() => {
            let hub = invocation.target.local_hub()?;
            let hub = hub.ok_or_else(|| CommandError::Usage(OTHER_POLICY.to_owned()))?;
            let name = flags.policy_name.as_deref();
            let text = connection_string::of_policy(&hub.policies, name, flags.key_type)?;
            let policy = ConnectionString::parse(text)?;
            let key = SharedAccessKey::try_from(&policy.key).context("the key of the policy")?;
            let resource = client.host().to_string();
            let expiry = clock::now().plus(lifetime);
            wire::sas::build(&resource, Some(&policy.policy), expiry, &key)
        }
        None => client.token(lifetime),
    };
    let printed = json!({ "sas": token });
    Ok(output::print(invocation.output, &printed, COLUMNS)?)
}

/// A token of a device or module, for all that it may do.
async fn of_identity(
    client: &ServiceClient,
    (device, module): (&str, Option<&str>),
    key_type: keys::KeyType,
    lifetime: Duration,
) -> anyhow::Result<String> {
    let path = keys::path(device, module);
    let identity: Value = client.call(Call::new(Method::GET, &path)).await?;
    let key = keys::key(&identity, key_type)?;
    let key = SharedAccessKey::from_base64(key).context("the key of the identity")?;
    let resource = format!("{}/{}", client.host(), path.join("/"));
    let expiry = clock::now().plus(lifetime);
    Ok(wire::sas::build(&resource, None, expiry, &key))
}
