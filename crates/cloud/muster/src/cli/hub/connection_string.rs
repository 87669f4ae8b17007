//! `muster hub connection-string`: the connection strings that open a hub.

use clap::Subcommand;
use serde_json::{Value, json};

use super::device_identity::keys::KeyType;
use crate::cli::{Column, Invocation, output};
use crate::data_dir::PolicyEntry;
use crate::service_client::{CommandError, Service};

/// Verbs of `muster hub connection-string`.
#[derive(Debug, Subcommand)]
pub enum ConnectionStringCommand {
    /// Show the connection string of a policy, with its key. Give a program the policy that has no
    /// more rights than it needs: `service`, `registryRead`, `registryReadWrite`, `device`.
    #[command(after_help = "Example:\n  \
            muster hub connection-string show --policy-name service --data-dir ./data --output tsv")]
    Show(ShowFlags),
}

/// Flags of `muster hub connection-string show`.
#[derive(Debug, clap::Args)]
pub struct ShowFlags {
    /// The policy [default: iothubowner].
    #[arg(long, visible_alias = "pn", conflicts_with = "all")]
    policy_name: Option<String>,
    /// Which of its keys [default: primary].
    #[arg(long, visible_alias = "kt", value_enum)]
    key_type: Option<KeyType>,
    /// All policies.
    #[arg(long)]
    all: bool,
}

const COLUMNS: &[Column] = &[
    ("Policy", "/policy"),
    ("ConnectionString", "/connectionString"),
];

/// Other policies of a hub are in its data directory only.
pub const OTHER_POLICY: &str = "a connection string (--login, or MUSTER_HUB_CONNECTION_STRING) \
    knows no other policy and no other key; give --data-dir and --hub-name";

pub fn run(command: ConnectionStringCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let ConnectionStringCommand::Show(flags) = command;
    let printed = match invocation.target.local_hub()? {
        Some(hub) => of_policies(&hub.policies, &flags)?,
        None if flags.all || flags.policy_name.is_some() || flags.key_type.is_some() => {
            let text =
                "a connection string knows no other policy and no other key; give --data-dir";
            return Err(CommandError::Usage(text.to_owned()).into());
        }
        None => json!({"connectionString": invocation.target.connection_string(Service::Hub)?}),
    };
    // One string is a value for a script.
    let columns = if flags.all { COLUMNS } else { &COLUMNS[1..] };
    Ok(output::print(invocation.output, &printed, columns)?)
}

fn of_policies(policies: &[PolicyEntry], flags: &ShowFlags) -> Result<Value, CommandError> {
    let row = |policy: &PolicyEntry| {
        let text = policy.connection_string(flags.key_type);
        json!({"policy": policy.name, "connectionString": text})
    };
    if flags.all {
        return Ok(policies.iter().map(row).collect());
    }
    let text = of_policy(policies, flags.policy_name.as_deref(), flags.key_type)?;
    Ok(json!({ "connectionString": text }))
}

/// The connection string of a policy, `iothubowner` when it is not named.
pub fn of_policy<'a>(
    policies: &'a [PolicyEntry],
    name: Option<&str>,
    key_type: Option<KeyType>,
) -> Result<&'a str, CommandError> {
    let name = name.unwrap_or("iothubowner");
    let mut found = policies.iter();
    let found = found.find(|policy| policy.name.eq_ignore_ascii_case(name));
    let found = found.map(|policy| policy.connection_string(key_type));
    found.ok_or_else(|| {
        let known: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
        let known = known.join(", ");
        CommandError::Usage(format!("the hub has no policy {name}; it has {known}"))
    })
}

impl PolicyEntry {
    fn connection_string(&self, key_type: Option<KeyType>) -> &str {
        match key_type {
            None | Some(KeyType::Primary) => &self.primary,
            Some(KeyType::Secondary) => &self.secondary,
        }
    }
}
