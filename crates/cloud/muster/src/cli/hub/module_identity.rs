//! `muster hub module-identity`: the modules of a device.

use clap::Subcommand;
use reqwest::Method;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster hub module-identity`.
#[derive(Debug, Subcommand)]
pub enum ModuleIdentityCommand {
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
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, short = 'm')]
        module_id: String,
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
        ModuleIdentityCommand::List { device_id } => {
            client
                .call(Call::new(Method::GET, &["devices", &device_id, "modules"]))
                .await?
        }
        ModuleIdentityCommand::Show {
            device_id,
            module_id,
        } => {
            client
                .call(Call::new(
                    Method::GET,
                    &["devices", &device_id, "modules", &module_id],
                ))
                .await?
        }
    };
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
