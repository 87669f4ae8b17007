//! `muster dps block` and `muster dps unblock`.

use reqwest::Method;
use serde_json::json;

use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, CommandError, Service};

#[derive(Debug, clap::Args)]
pub struct BlockFlags {
    #[command(flatten)]
    device: DeviceSelector,
    /// The reason, shown with the block.
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct UnblockFlags {
    #[command(flatten)]
    device: DeviceSelector,
}

/// A device, by its registration id or by its id on a hub.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct DeviceSelector {
    /// The device's registration id.
    #[arg(long, visible_alias = "rid")]
    registration_id: Option<String>,
    /// The device's id on the hub of --hub-name.
    #[arg(long, short = 'd')]
    device_id: Option<String>,
}

impl DeviceSelector {
    /// The path of this device's block in the API.
    fn path<'a>(&'a self, hub: Option<&'a str>) -> Result<Vec<&'a str>, CommandError> {
        let mut path = vec!["muster", "v1", "dps", "blocks"];
        match (&self.registration_id, &self.device_id, hub) {
            (Some(id), _, _) => path.push(id),
            (None, Some(device), Some(hub)) => path.extend([hub, "devices", device]),
            (None, _, _) => {
                let message = "--device-id needs --hub-name: hubs may have devices of the same id";
                return Err(CommandError::Usage(message.to_owned()));
            }
        }
        Ok(path)
    }
}

const COLUMNS: &[Column] = &[
    ("RegistrationId", "/registrationId"),
    ("DeviceId", "/deviceId"),
    ("Hub", "/hubs/0/hub"),
    ("State", "/hubs/0/state"),
    ("Since", "/sinceDateTimeUtc"),
    ("Reason", "/reason"),
];

pub async fn block(flags: BlockFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let path = flags.device.path(invocation.target.hub_name.as_deref())?;
    let body = match &flags.reason {
        Some(reason) => json!({ "reason": reason }),
        None => json!({}),
    };
    let blocked = client
        .call(Call::new(Method::PUT, &path).body(&body))
        .await?;
    Ok(output::print(invocation.output, &blocked, COLUMNS)?)
}

pub async fn unblock(flags: UnblockFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Provisioning)?;
    let path = flags.device.path(invocation.target.hub_name.as_deref())?;
    client.call(Call::new(Method::DELETE, &path)).await?;
    Ok(())
}
