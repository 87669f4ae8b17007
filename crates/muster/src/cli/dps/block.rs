//! `muster dps block` and `muster dps unblock`.

use reqwest::Method;
use serde_json::json;

use crate::cli::{Column, Invocation, output};
use crate::operator::{Call, Service};

/// Which device, and why.
#[derive(Debug, clap::Args)]
pub struct BlockFlags {
    /// The device's registration id.
    #[arg(long, visible_alias = "rid")]
    registration_id: String,
    /// Why, for whoever finds it blocked.
    #[arg(long)]
    reason: Option<String>,
}

/// Which device.
#[derive(Debug, clap::Args)]
pub struct UnblockFlags {
    /// The device's registration id.
    #[arg(long, visible_alias = "rid")]
    registration_id: String,
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
    let path = ["muster", "v1", "dps", "blocks", &flags.registration_id];
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
    let path = ["muster", "v1", "dps", "blocks", &flags.registration_id];
    client.call(Call::new(Method::DELETE, &path)).await?;
    Ok(())
}
