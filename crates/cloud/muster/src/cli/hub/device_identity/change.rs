//! `create` and `update` of devices.

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::argument::yes_or_no;
use crate::cli::hub::authentication::{AuthenticationFlags, if_match};
use crate::service_client::{Call, CommandError, ServiceClient};

/// What `create` and `update` say about a device. Without a flag, a property is the default one,
/// or stays as it is.
#[derive(Debug, clap::Args)]
pub struct DeviceFlags {
    /// Make it an IoT Edge device, with its system modules.
    #[arg(
        long,
        visible_alias = "ee",
        value_name = "true|false",
        num_args = 0..=1,
        default_missing_value = "true",
        value_parser = yes_or_no
    )]
    edge_enabled: Option<bool>,
    /// Whether it may connect: enabled or disabled.
    #[arg(long, visible_alias = "sta")]
    status: Option<String>,
    /// The reason, shown together with the status.
    #[arg(long, visible_alias = "star")]
    status_reason: Option<String>,
    #[command(flatten)]
    authentication: AuthenticationFlags,
}

impl DeviceFlags {
    fn write(self, device: &mut Value) -> Result<(), CommandError> {
        if let Some(edge) = self.edge_enabled {
            device["capabilities"] = json!({ "iotEdge": edge });
        }
        let texts = [
            ("status", self.status),
            ("statusReason", self.status_reason),
        ];
        for (member, text) in texts {
            if let Some(text) = text {
                device[member] = text.into();
            }
        }
        self.authentication.write(device)
    }
}

pub async fn create(
    id: &str,
    scope: Option<String>,
    flags: DeviceFlags,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let mut device = json!({ "deviceId": id });
    if let Some(scope) = scope {
        device["deviceScope"] = scope.into();
    }
    flags.write(&mut device)?;
    let path = ["devices", id];
    client
        .call(Call::new(Method::PUT, &path).body(&device))
        .await
}

pub async fn update(
    id: &str,
    flags: DeviceFlags,
    etag: Option<String>,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let path = ["devices", id];
    let mut device = client.call(Call::new(Method::GET, &path)).await?;
    flags.write(&mut device)?;
    let etag = if_match(etag, &device);
    let call = Call::new(Method::PUT, &path).body(&device).if_match(&etag);
    client.call(call).await
}
