//! `renew-key` and `connection-string show`, of devices and modules.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::service_client::{Call, CommandError, ServiceClient};

/// `--key-type` of `connection-string show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyType {
    Primary,
    Secondary,
}

/// `--key-type` of `renew-key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RenewedKey {
    Primary,
    Secondary,
    Both,
    /// The keys change places; none is generated.
    Swap,
}

/// Verbs of `connection-string`.
#[derive(Debug, Subcommand)]
pub enum ConnectionStringCommand {
    /// Show the connection string, with its key.
    #[command(after_help = "Example:\n  \
            muster hub device-identity connection-string show -d dev-1 --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
        /// Of a module of the device.
        #[arg(long, short = 'm')]
        module_id: Option<String>,
        #[arg(long, visible_alias = "kt", value_enum, default_value_t = KeyType::Primary)]
        key_type: KeyType,
    },
}

/// The path of an identity.
fn path<'a>(device: &'a str, module: Option<&'a str>) -> Vec<&'a str> {
    match module {
        Some(module) => vec!["devices", device, "modules", module],
        None => vec!["devices", device],
    }
}

pub async fn connection_string(
    ConnectionStringCommand::Show {
        device_id,
        module_id,
        key_type,
    }: ConnectionStringCommand,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let path = path(&device_id, module_id.as_deref());
    let identity = client.call(Call::new(Method::GET, &path)).await?;
    let authentication = &identity["authentication"];
    let proof = match authentication["type"].as_str() {
        Some("sas") => {
            let name = match key_type {
                KeyType::Primary => "primaryKey",
                KeyType::Secondary => "secondaryKey",
            };
            match authentication["symmetricKey"][name].as_str() {
                Some(key) => format!("SharedAccessKey={key}"),
                None => {
                    let text = "the policy of this command may not see keys".to_owned();
                    return Err(CommandError::Usage(text));
                }
            }
        }
        _ => "x509=true".to_owned(),
    };
    let module = module_id.map_or_else(String::new, |id| format!("ModuleId={id};"));
    let host = client.host();
    let text = format!("HostName={host};DeviceId={device_id};{module}{proof}");
    Ok(json!({ "connectionString": text }))
}

pub async fn renew(
    device: &str,
    module: Option<&str>,
    which: RenewedKey,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let path = path(device, module);
    let policy_key = match which {
        RenewedKey::Primary => "primaryKey",
        RenewedKey::Secondary => "secondaryKey",
        RenewedKey::Both => "both",
        RenewedKey::Swap => return swap(&path, client).await,
    };
    let body = json!({"policyKey": policy_key, "devices": [{"id": device, "moduleId": module}]});
    let call = Call::new(Method::POST, &["devices", "keys", "regenerate"]).body(&body);
    client.call(call).await?;
    client.call(Call::new(Method::GET, &path)).await
}

async fn swap(path: &[&str], client: &ServiceClient) -> Result<Value, CommandError> {
    let mut identity = client.call(Call::new(Method::GET, path)).await?;
    let keys = &mut identity["authentication"]["symmetricKey"];
    let (primary, secondary) = (keys["primaryKey"].take(), keys["secondaryKey"].take());
    if !primary.is_string() || !secondary.is_string() {
        let text = "the identity has no two keys that this policy may see".to_owned();
        return Err(CommandError::Usage(text));
    }
    *keys = json!({"primaryKey": secondary, "secondaryKey": primary});
    let etag = format!("\"{}\"", identity["etag"].as_str().unwrap_or("*"));
    let call = Call::new(Method::PUT, path).body(&identity).if_match(&etag);
    client.call(call).await
}
