//! `muster hub`: devices, modules, twins and methods of a hub.

mod authentication;
mod configuration;
mod connection_string;
mod consumer_group;
pub mod device_identity;
mod digital_twin;
mod hubs;
mod invoke_method;
mod job;
mod module_identity;
mod monitor_events;
pub mod monitor_feedback;
mod query;
mod routing;
mod sas_token;
mod twin;

use clap::Subcommand;
use reqwest::Method;

use super::dps::linked_hub::{self, LinkFlags, LinkName};
use super::{Column, Invocation, output};
use crate::service_client::{Call, Service};

/// Verbs of `muster hub`.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Add a hub to the running server; link it so that devices are assigned to it.
    #[command(after_help = "Example:\n  \
            muster hub create --name second --hostname second.example.org --data-dir ./data")]
    Create(hubs::HubCreate),
    /// List the hubs of the server.
    #[command(after_help = "Example:\n  muster hub list --data-dir ./data --output table")]
    List,
    /// Show a hub of the server with its connection string.
    #[command(after_help = "Example:\n  muster hub show --name second --data-dir ./data")]
    Show(hubs::HubName),
    /// Delete a hub that no provisioning service links and that has no devices.
    #[command(after_help = "Example:\n  muster hub delete --name second --data-dir ./data")]
    Delete(hubs::HubName),
    /// Link a hub of this or another server to the provisioning service, or change its link.
    #[command(after_help = "Example:\n  \
            muster hub link --name second --allocation-weight 2 --apply-allocation-policy true \
            --data-dir ./data\n  \
            muster hub link --name remote --connection-string \"$REMOTE_HUB\" --data-dir ./data")]
    Link(LinkFlags),
    /// Unlink a hub. Its devices stay in it; each gets another hub when it registers again.
    #[command(after_help = "Example:\n  muster hub unlink --name second --data-dir ./data")]
    Unlink(LinkName),
    /// Device identities in the registry.
    #[command(subcommand)]
    DeviceIdentity(device_identity::DeviceIdentityCommand),
    /// Automatic configurations: desired properties of every device or module that a condition
    /// targets.
    #[command(subcommand)]
    Configuration(configuration::ConfigurationCommand),
    /// Module identities of a device.
    #[command(subcommand)]
    ModuleIdentity(module_identity::ModuleIdentityCommand),
    /// Device twins.
    #[command(subcommand)]
    DeviceTwin(twin::DeviceTwinCommand),
    /// Module twins.
    #[command(subcommand)]
    ModuleTwin(twin::ModuleTwinCommand),
    /// Plug and Play devices: their properties and commands by the names of their model.
    #[command(subcommand)]
    DigitalTwin(digital_twin::DigitalTwinCommand),
    /// Select twins, members of twins, totals, or the outcomes of jobs.
    #[command(after_help = "Example:\n  \
            muster hub query -q \"SELECT * FROM devices WHERE tags.environment = 'test'\" \
            --data-dir ./data\n  \
            muster hub query -q \"SELECT tags.site, COUNT() AS n FROM devices GROUP BY tags.site\" \
            --data-dir ./data --output table")]
    Query(query::QueryFlags),
    /// Twin updates and direct methods on many devices.
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Count the devices of the hub: all, enabled, disabled, connected.
    #[command(after_help = "Example:\n  muster hub statistics --data-dir ./data")]
    Statistics,
    /// Call a direct method of a device.
    InvokeDeviceMethod(invoke_method::DeviceMethod),
    /// Call a direct method of a module.
    InvokeModuleMethod(invoke_method::ModuleMethod),
    /// Routes: which events go to which endpoint.
    #[command(subcommand)]
    MessageRoute(routing::route::RouteCommand),
    /// Endpoints of routes, beside the built-in one.
    #[command(subcommand, visible_alias = "message-endpoint")]
    RoutingEndpoint(routing::endpoint::EndpointCommand),
    /// Properties that are added to events on their way to endpoints.
    #[command(subcommand)]
    MessageEnrichment(routing::enrichment::EnrichmentCommand),
    /// Readers of the built-in endpoint.
    #[command(subcommand)]
    ConsumerGroup(consumer_group::ConsumerGroupCommand),
    /// The connection strings of the policies of the hub.
    #[command(subcommand)]
    ConnectionString(connection_string::ConnectionStringCommand),
    /// Make a SAS token for the hub, a device or a module.
    GenerateSasToken(sas_token::SasTokenFlags),
    /// Print telemetry as it arrives.
    MonitorEvents(monitor_events::MonitorEvents),
    /// Print the outcomes of cloud-to-device messages as they arrive.
    MonitorFeedback(monitor_feedback::MonitorFeedback),
}

/// The columns of a table of twins.
pub const TWIN_COLUMNS: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("Module", "/moduleId"),
    ("Connection", "/connectionState"),
    ("Edge", "/capabilities/iotEdge"),
    ("Tags", "/tags"),
];

pub async fn run(command: HubCommand, invocation: &Invocation) -> anyhow::Result<()> {
    match command {
        HubCommand::Create(flags) => hubs::create(flags, invocation).await,
        HubCommand::List => hubs::list(invocation).await,
        HubCommand::Show(flags) => hubs::show(flags, invocation).await,
        HubCommand::Delete(flags) => hubs::delete(flags, invocation).await,
        HubCommand::Link(flags) => linked_hub::link(flags, invocation).await,
        HubCommand::Unlink(flags) => linked_hub::unlink(flags, invocation).await,
        HubCommand::DeviceIdentity(command) => device_identity::run(command, invocation).await,
        HubCommand::Configuration(command) => configuration::run(command, invocation).await,
        HubCommand::ModuleIdentity(command) => module_identity::run(command, invocation).await,
        HubCommand::DeviceTwin(command) => twin::run_device(command, invocation).await,
        HubCommand::ModuleTwin(command) => twin::run_module(command, invocation).await,
        HubCommand::DigitalTwin(command) => digital_twin::run(command, invocation).await,
        HubCommand::Query(flags) => query::run(flags, invocation).await,
        HubCommand::Job(command) => job::run(command, invocation).await,
        HubCommand::Statistics => statistics(invocation).await,
        HubCommand::InvokeDeviceMethod(method) => invoke_method::device(method, invocation).await,
        HubCommand::InvokeModuleMethod(method) => invoke_method::module(method, invocation).await,
        HubCommand::MessageRoute(command) => routing::route::run(command, invocation).await,
        HubCommand::RoutingEndpoint(command) => routing::endpoint::run(command, invocation).await,
        HubCommand::MessageEnrichment(command) => {
            routing::enrichment::run(command, invocation).await
        }
        HubCommand::ConsumerGroup(command) => consumer_group::run(command, invocation).await,
        HubCommand::ConnectionString(command) => connection_string::run(command, invocation),
        HubCommand::GenerateSasToken(flags) => sas_token::run(flags, invocation).await,
        HubCommand::MonitorEvents(flags) => monitor_events::run(flags, invocation).await,
        HubCommand::MonitorFeedback(flags) => monitor_feedback::run(flags, invocation).await,
    }
}

/// Columns of `muster hub statistics`.
const STATISTICS: &[Column] = &[
    ("Devices", "/totalDeviceCount"),
    ("Enabled", "/enabledDeviceCount"),
    ("Disabled", "/disabledDeviceCount"),
    ("Connected", "/connectedDeviceCount"),
];

async fn statistics(invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let read = async |which| {
        let path = ["statistics", which];
        client.call(Call::new(Method::GET, &path)).await
    };
    let mut counts = read("devices").await?;
    counts["connectedDeviceCount"] = read("service").await?["connectedDeviceCount"].take();
    Ok(output::print(invocation.output, &counts, STATISTICS)?)
}
