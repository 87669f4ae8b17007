//! `muster dps policy`: shared access policies.

use crate::service_client::request_bodies::settings as bodies;
use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Login, Service};

const COLUMNS: &[Column] = &[("KeyName", "/keyName"), ("Rights", "/rights")];

/// Verbs of `muster dps policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// List policies, without keys.
    #[command(after_help = "Example:\n  muster dps policy list --data-dir ./data --output table")]
    List,
    /// Show one policy with its keys.
    #[command(
        after_help = "Example:\n  muster dps policy show --policy-name reader --data-dir ./data"
    )]
    Show(PolicyName),
    /// Create a policy: a pair of keys, and their rights.
    #[command(after_help = "Example:\n  \
            muster dps policy create --policy-name reader --rights EnrollmentRead \
            RegistrationStatusRead --data-dir ./data")]
    Create(PolicyCreate),
    /// Delete a policy; its keys are no longer accepted.
    #[command(
        after_help = "Example:\n  muster dps policy delete --policy-name reader --data-dir ./data"
    )]
    Delete(PolicyName),
    /// Make a new key; the old one is no longer accepted.
    #[command(
        visible_alias = "renew-key",
        after_help = "Example:\n  muster dps policy regenerate-key --policy-name reader --key \
            primary --data-dir ./data"
    )]
    RegenerateKey(PolicyRegenerate),
}

#[derive(Debug, clap::Args)]
pub struct PolicyName {
    #[arg(long, visible_alias = "pn")]
    policy_name: String,
}

#[derive(Debug, clap::Args)]
pub struct PolicyCreate {
    #[arg(long, visible_alias = "pn")]
    policy_name: String,
    /// ServiceConfig, EnrollmentRead, EnrollmentWrite, RegistrationStatusRead,
    /// RegistrationStatusWrite, DeviceConnect.
    #[arg(
        long,
        visible_alias = "permissions",
        num_args = 1..,
        required = true,
        value_name = "RIGHT"
    )]
    rights: Vec<String>,
    /// Base64 [default: generated].
    #[arg(long, value_name = "KEY")]
    primary_key: Option<Login>,
    /// Base64 [default: generated].
    #[arg(long, value_name = "KEY")]
    secondary_key: Option<Login>,
}

#[derive(Debug, clap::Args)]
pub struct PolicyRegenerate {
    #[arg(long, visible_alias = "pn")]
    policy_name: String,
    #[arg(long, visible_alias = "renew-key", value_enum)]
    key: Key,
}

/// One of a policy's keys.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Key {
    Primary,
    Secondary,
    /// Exchange the two.
    Swap,
}

pub async fn run(command: PolicyCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let path = |name| ["muster", "v1", "dps", "policies", name];
    match command {
        PolicyCommand::List => {
            let path = ["muster", "v1", "dps", "policies"];
            call(Call::new(Method::GET, &path), invocation).await
        }
        PolicyCommand::Show(PolicyName { policy_name }) => {
            call(Call::new(Method::GET, &path(&policy_name)), invocation).await
        }
        PolicyCommand::Create(flags) => {
            let key = |key: &Option<Login>| key.as_ref().map(|key| key.reveal().to_owned());
            let (primary, secondary) = (key(&flags.primary_key), key(&flags.secondary_key));
            let body = bodies::policy(&flags.rights, primary.as_deref(), secondary.as_deref());
            let path = path(&flags.policy_name);
            call(Call::new(Method::PUT, &path).body(&body), invocation).await
        }
        PolicyCommand::Delete(PolicyName { policy_name }) => {
            call(Call::new(Method::DELETE, &path(&policy_name)), invocation).await
        }
        PolicyCommand::RegenerateKey(flags) => {
            let body = bodies::regenerate(match flags.key {
                Key::Primary => "primary",
                Key::Secondary => "secondary",
                Key::Swap => "swap",
            });
            let [a, b, c, d, name] = path(&flags.policy_name);
            let path = [a, b, c, d, name, "regenerateKey"];
            call(Call::new(Method::POST, &path).body(&body), invocation).await
        }
    }
}

async fn call(call: Call<'_>, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let answer: Value = client.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
