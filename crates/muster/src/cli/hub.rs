//! `muster hub`.

mod device_identity;
mod invoke_method;
mod module_identity;
mod monitor_events;
mod twin;

pub use twin::object;

use clap::Subcommand;

use super::{Column, Invocation, output};
use crate::operator::Service;

/// Verbs of `muster hub`.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Device identities in the registry.
    #[command(subcommand)]
    DeviceIdentity(device_identity::DeviceIdentityCommand),
    /// Module identities of a device.
    #[command(subcommand)]
    ModuleIdentity(module_identity::ModuleIdentityCommand),
    /// Device twins.
    #[command(subcommand)]
    DeviceTwin(twin::DeviceTwinCommand),
    /// Module twins.
    #[command(subcommand)]
    ModuleTwin(twin::ModuleTwinCommand),
    /// Select twins by a condition.
    #[command(
        after_help = "Example:\n  muster hub query -q \"SELECT * FROM devices WHERE tags.environment = 'test'\" --data-dir ./data"
    )]
    Query {
        /// SELECT * FROM devices [WHERE condition]
        #[arg(long, short = 'q')]
        query_command: String,
        /// At most so many rows.
        #[arg(long)]
        top: Option<usize>,
    },
    /// Call a direct method of a device.
    InvokeDeviceMethod(invoke_method::DeviceMethod),
    /// Call a direct method of a module.
    InvokeModuleMethod(invoke_method::ModuleMethod),
    /// Print telemetry as it arrives.
    MonitorEvents(monitor_events::MonitorEvents),
}

/// How a twin looks in a table.
pub const TWIN_COLUMNS: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("Module", "/moduleId"),
    ("Connection", "/connectionState"),
    ("Edge", "/capabilities/iotEdge"),
    ("Tags", "/tags"),
];

pub async fn run(command: HubCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        HubCommand::DeviceIdentity(command) => device_identity::run(command, invocation).await,
        HubCommand::ModuleIdentity(command) => module_identity::run(command, invocation).await,
        HubCommand::DeviceTwin(command) => twin::run_device(command, invocation).await,
        HubCommand::ModuleTwin(command) => twin::run_module(command, invocation).await,
        HubCommand::Query { query_command, top } => {
            let client = invocation.target.connect(Service::Hub)?;
            let body = wire::requests::query(&query_command);
            let rows = client.list(&["devices", "query"], Some(&body), top).await?;
            Ok(output::print(
                invocation.output,
                &rows.into(),
                TWIN_COLUMNS,
            )?)
        }
        HubCommand::InvokeDeviceMethod(method) => invoke_method::device(method, invocation).await,
        HubCommand::InvokeModuleMethod(method) => invoke_method::module(method, invocation).await,
        HubCommand::MonitorEvents(flags) => monitor_events::run(flags, invocation).await,
    }
}
