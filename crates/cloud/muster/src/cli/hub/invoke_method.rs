//! `muster hub invoke-device-method` and `invoke-module-method`.

use reqwest::Method;
use serde_json::Value;

use crate::cli::exact::require_exact;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service, request_bodies};

/// The flags of both commands.
#[derive(Debug, clap::Args)]
pub struct MethodFlags {
    /// The method's name.
    #[arg(long, visible_alias = "mn")]
    method_name: String,
    /// The method's payload, as JSON.
    #[arg(long, visible_alias = "mp", default_value = "null")]
    method_payload: String,
    /// Seconds to wait for the answer.
    #[arg(long, visible_alias = "to", default_value_t = 30)]
    timeout: u32,
    /// Seconds to wait for the device to connect, 0 to 300.
    #[arg(long, visible_alias = "cto", default_value_t = 0)]
    connect_timeout: u32,
}

/// `muster hub invoke-device-method`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster hub invoke-device-method -d dev-1 --method-name reboot --data-dir ./data")]
pub struct DeviceMethod {
    #[arg(long, short = 'd')]
    device_id: String,
    #[command(flatten)]
    flags: MethodFlags,
}

/// `muster hub invoke-module-method`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
        muster hub invoke-module-method -d edge-001 -m '$edgeAgent' --method-name ping --data-dir \
        ./data")]
pub struct ModuleMethod {
    #[arg(long, short = 'd')]
    device_id: String,
    #[arg(long, short = 'm')]
    module_id: String,
    #[command(flatten)]
    flags: MethodFlags,
}

const COLUMNS: &[Column] = &[("Status", "/status"), ("Payload", "/payload")];

pub async fn device(method: DeviceMethod, invocation: &Invocation) -> anyhow::Result<()> {
    invoke(
        &["twins", &method.device_id, "methods"],
        method.flags,
        invocation,
    )
    .await
}

pub async fn module(method: ModuleMethod, invocation: &Invocation) -> anyhow::Result<()> {
    invoke(
        &[
            "twins",
            &method.device_id,
            "modules",
            &method.module_id,
            "methods",
        ],
        method.flags,
        invocation,
    )
    .await
}

async fn invoke(path: &[&str], flags: MethodFlags, invocation: &Invocation) -> anyhow::Result<()> {
    require_exact("--method-payload", &flags.method_payload)?;
    let payload: Value = serde_json::from_str(&flags.method_payload)
        .map_err(|e| CommandError::Usage(format!("--method-payload must be JSON: {e}")))?;
    let timeouts = (flags.connect_timeout, flags.timeout);
    let body = request_bodies::method(&flags.method_name, &payload, timeouts);
    let call = Call::new(Method::POST, path).body(&body);
    let answer = invocation.target.connect(Service::Hub)?.call(call).await?;
    Ok(output::print(invocation.output, &answer, COLUMNS)?)
}
