//! `muster hub module-identity`: the modules of a device.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::authentication::{AuthenticationFlags, if_match};
use super::device_identity::keys;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient};

/// The module that a command is about.
#[derive(Debug, clap::Args)]
pub struct ModuleName {
    #[arg(long, short = 'd')]
    device_id: String,
    #[arg(long, short = 'm')]
    module_id: String,
}

impl ModuleName {
    fn path(&self) -> [&str; 4] {
        ["devices", &self.device_id, "modules", &self.module_id]
    }
}

/// Verbs of `muster hub module-identity`.
#[derive(Debug, Subcommand)]
pub enum ModuleIdentityCommand {
    /// Create a module of a device.
    #[command(after_help = "Example:\n  \
            muster hub module-identity create -d dev-1 -m camera --data-dir ./data")]
    Create {
        #[command(flatten)]
        name: ModuleName,
        #[command(flatten)]
        authentication: AuthenticationFlags,
    },
    /// List the modules of a device.
    #[command(after_help = "Example:\n  \
            muster hub module-identity list --device-id edge-001 --data-dir ./data --output table")]
    List {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// Show one module.
    #[command(after_help = "Example:\n  \
            muster hub module-identity show -d edge-001 -m tempSensor --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: ModuleName,
    },
    /// Change how a module proves itself.
    #[command(after_help = "Example:\n  \
            muster hub module-identity update -d dev-1 -m camera --auth-method x509_ca --data-dir \
            ./data")]
    Update {
        #[command(flatten)]
        name: ModuleName,
        #[command(flatten)]
        authentication: AuthenticationFlags,
        /// Only when the identity still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Delete a module and its twin.
    #[command(after_help = "Example:\n  \
            muster hub module-identity delete -d dev-1 -m camera --data-dir ./data")]
    Delete {
        #[command(flatten)]
        name: ModuleName,
        /// Only when the identity still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Generate keys anew, or let them change places.
    #[command(after_help = "Example:\n  \
            muster hub module-identity renew-key -d dev-1 -m camera --key-type both --data-dir \
            ./data")]
    RenewKey {
        #[command(flatten)]
        name: ModuleName,
        #[arg(long, visible_alias = "kt", value_enum)]
        key_type: keys::RenewedKey,
    },
    /// The connection string of a module.
    #[command(subcommand)]
    ConnectionString(ModuleConnectionStringCommand),
}

/// Verbs of `connection-string`.
#[derive(Debug, Subcommand)]
pub enum ModuleConnectionStringCommand {
    /// Show the connection string, with its key.
    #[command(after_help = "Example:\n  \
            muster hub module-identity connection-string show -d dev-1 -m camera --data-dir ./data")]
    Show {
        #[command(flatten)]
        name: ModuleName,
        #[arg(long, visible_alias = "kt", value_enum, default_value_t = keys::KeyType::Primary)]
        key_type: keys::KeyType,
    },
}

const COLUMNS: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("ModuleId", "/moduleId"),
    ("ManagedBy", "/managedBy"),
    ("Connection", "/connectionState"),
    ("Authentication", "/authentication/type"),
];

pub async fn run(command: ModuleIdentityCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let answer = match command {
        ModuleIdentityCommand::Create {
            name,
            authentication,
        } => create(&name, &authentication, &client).await?,
        ModuleIdentityCommand::List { device_id } => {
            let path = ["devices", &device_id, "modules"];
            client.call(Call::new(Method::GET, &path)).await?
        }
        ModuleIdentityCommand::Show { name } => {
            client.call(Call::new(Method::GET, &name.path())).await?
        }
        ModuleIdentityCommand::Update {
            name,
            authentication,
            etag,
        } => update(&name, &authentication, etag, &client).await?,
        ModuleIdentityCommand::Delete { name, etag } => {
            let etag = etag.map_or_else(|| "*".to_owned(), |etag| format!("\"{etag}\""));
            let path = name.path();
            let call = Call::new(Method::DELETE, &path).if_match(&etag);
            client.call(call).await?
        }
        ModuleIdentityCommand::RenewKey { name, key_type } => {
            keys::renew(&name.device_id, Some(&name.module_id), key_type, &client).await?
        }
        ModuleIdentityCommand::ConnectionString(ModuleConnectionStringCommand::Show {
            name,
            key_type,
        }) => {
            let module = Some(name.module_id.as_str());
            let printed = keys::show(&name.device_id, module, key_type, &client).await?;
            return Ok(output::print(
                invocation.output,
                &printed,
                keys::CONNECTION_STRING,
            )?);
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}

async fn create(
    name: &ModuleName,
    authentication: &AuthenticationFlags,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let mut module = json!({"deviceId": name.device_id, "moduleId": name.module_id});
    authentication.write(&mut module)?;
    let path = name.path();
    client
        .call(Call::new(Method::PUT, &path).body(&module))
        .await
}

async fn update(
    name: &ModuleName,
    authentication: &AuthenticationFlags,
    etag: Option<String>,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let path = name.path();
    let mut module = client.call(Call::new(Method::GET, &path)).await?;
    authentication.write(&mut module)?;
    let etag = if_match(etag, &module);
    let call = Call::new(Method::PUT, &path).body(&module).if_match(&etag);
    client.call(call).await
}
