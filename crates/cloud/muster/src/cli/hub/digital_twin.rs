//! `muster hub digital-twin`: the verbs of `az iot hub digital-twin`.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::cli::argument::json;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, ServiceClient, header_text};

/// Verbs of `muster hub digital-twin`.
#[derive(Debug, Subcommand)]
pub enum DigitalTwinCommand {
    /// Show the digital twin of a device.
    #[command(after_help = "Example:\n  \
            muster hub digital-twin show -d dev-1 --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// Change properties by a JSON patch (RFC 6902).
    #[command(after_help = "Example:\n  \
            muster hub digital-twin update -d dev-1 --data-dir ./data --json-patch \
            '[{\"op\":\"add\",\"path\":\"/thermostat1/targetTemperature\",\"value\":54}]'")]
    Update {
        #[arg(long, short = 'd')]
        device_id: String,
        /// The operations: an array, one object, or a file with either.
        #[arg(long, visible_alias = "jp")]
        json_patch: String,
        /// Only when the twin still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Call a command of a device or of one of its components.
    #[command(after_help = "Example:\n  \
            muster hub digital-twin invoke-command -d dev-1 --command-name reboot --payload 5 \
            --data-dir ./data")]
    InvokeCommand(CommandFlags),
}

/// Flags of `muster hub digital-twin invoke-command`.
#[derive(Debug, clap::Args)]
pub struct CommandFlags {
    #[arg(long, short = 'd')]
    device_id: String,
    /// The command's name.
    #[arg(long, visible_alias = "cn")]
    command_name: String,
    /// The component that has the command [default: the device itself].
    #[arg(long)]
    component_path: Option<String>,
    /// The argument, as JSON or a file with it.
    #[arg(long, default_value = "{}")]
    payload: String,
    /// Seconds to wait for the device to connect.
    #[arg(long, visible_alias = "cto")]
    connect_timeout: Option<u32>,
    /// Seconds to wait for the answer.
    #[arg(long, visible_alias = "rto")]
    response_timeout: Option<u32>,
}

const COLUMNS: &[Column] = &[("DeviceId", "/$dtId"), ("Model", "/$metadata/$model")];

const ANSWER: &[Column] = &[("Status", "/status"), ("Payload", "/payload")];

pub async fn run(command: DigitalTwinCommand, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let twin = match command {
        DigitalTwinCommand::Show { device_id } => show(&device_id, &client).await?,
        DigitalTwinCommand::Update {
            device_id,
            json_patch,
            etag,
        } => {
            let patch = operations(&json_patch)?;
            let etag = etag.map_or_else(|| "*".to_owned(), |etag| format!("\"{etag}\""));
            let path = ["digitaltwins", device_id.as_str()];
            let call = Call::new(Method::PATCH, &path).body(&patch).if_match(&etag);
            client.call(call).await?;
            show(&device_id, &client).await?
        }
        DigitalTwinCommand::InvokeCommand(flags) => {
            let answer = invoke(flags, &client).await?;
            return Ok(output::print(invocation.output, &answer, ANSWER)?);
        }
    };
    Ok(output::print(invocation.output, &twin, COLUMNS)?)
}

async fn show(device: &str, client: &ServiceClient) -> Result<Value, CommandError> {
    let path = ["digitaltwins", device];
    client.call(Call::new(Method::GET, &path)).await
}

/// The operations of a patch; a single one need not be in an array.
fn operations(given: &str) -> anyhow::Result<Value> {
    match json("--json-patch", given)? {
        operations @ Value::Array(_) => Ok(operations),
        operation => Ok(Value::Array(vec![operation])),
    }
}

async fn invoke(flags: CommandFlags, client: &ServiceClient) -> anyhow::Result<Value> {
    let payload = json("--payload", &flags.payload)?;
    let mut path = vec!["digitaltwins", flags.device_id.as_str()];
    if let Some(component) = &flags.component_path {
        path.extend(["components", component]);
    }
    path.extend(["commands", &flags.command_name]);
    let timeouts = [
        ("connectTimeoutInSeconds", flags.connect_timeout),
        ("responseTimeoutInSeconds", flags.response_timeout),
    ];
    let given = timeouts.into_iter();
    let query: Vec<_> = given
        .filter_map(|(name, seconds)| Some((name, seconds?.to_string())))
        .collect();
    let call = Call::new(Method::POST, &path).query(&query).body(&payload);
    let (answer, headers) = client.call_for_headers(call).await?;
    let status = header_text(&headers, "x-ms-command-statuscode");
    let status = status.and_then(|status| status.parse::<i32>().ok());
    Ok(serde_json::json!({"status": status, "payload": answer}))
}
