//! `muster dps enrollment-group compute-device-key`: the key of one device of a group.

use anyhow::Context;
use serde_json::json;
use wire::sas::SharedAccessKey;
use wire::service_api::identity::KeyText;

use super::enrollment;
use crate::cli::{Invocation, output};
use crate::service_client::{CommandError, Service};

#[derive(Debug, clap::Args)]
pub struct DeviceKeyFlags {
    /// The device's registration id.
    #[arg(long, visible_alias = "rid")]
    registration_id: String,
    /// The group whose primary key is read from the service.
    #[arg(long, visible_alias = "eid", conflicts_with = "key")]
    enrollment_id: Option<String>,
    /// The group's key, base64; then no service is needed.
    #[arg(long)]
    key: Option<String>,
}

pub async fn run(flags: DeviceKeyFlags, invocation: &Invocation) -> anyhow::Result<()> {
    let id = ids::RegistrationId::parse(&flags.registration_id)
        .map_err(|error| CommandError::Usage(format!("--registration-id: {error}")))?;
    let master = match (flags.key, flags.enrollment_id) {
        (Some(key), _) => key,
        (None, Some(group)) => {
            let client = invocation.target.connect(Service::Provisioning)?;
            let mechanism = enrollment::mechanism(&client, &["enrollmentGroups", &group]).await?;
            let key = mechanism.pointer("/symmetricKey/primaryKey");
            let key = key.and_then(|key| key.as_str());
            key.with_context(|| format!("enrollment group {group} has no keys to derive from"))?
                .to_owned()
        }
        (None, None) => {
            let message = "which key? Give --key KEY, or --enrollment-id of the group";
            return Err(CommandError::Usage(message.to_owned()).into());
        }
    };
    let master = SharedAccessKey::from_base64(&master)
        .map_err(|error| CommandError::Usage(format!("--key: {error}")))?;
    let derived = KeyText::from_bytes(&master.sign(id.as_str().as_bytes()));
    let derived = derived.map_err(anyhow::Error::msg)?;
    Ok(output::print(
        invocation.output,
        &json!(derived.reveal()),
        &[("DeviceKey", "")],
    )?)
}
