//! `renew-key` and `connection-string show`, of devices and modules.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Column;
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

/// The column of a connection string.
pub const CONNECTION_STRING: &[Column] = &[("ConnectionString", "/connectionString")];

/// The path of an identity.
pub fn path<'a>(device: &'a str, module: Option<&'a str>) -> Vec<&'a str> {
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
    show(&device_id, module_id.as_deref(), key_type, client).await
}

/// The connection string of a device or module.
pub async fn show(
    device: &str,
    module: Option<&str>,
    key_type: KeyType,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let path = path(device, module);
    let identity = client.call(Call::new(Method::GET, &path)).await?;
    let proof = match identity["authentication"]["type"].as_str() {
        Some("sas") => format!("SharedAccessKey={}", key(&identity, key_type)?),
        _ => "x509=true".to_owned(),
    };
    let module = module.map_or_else(String::new, |id| format!("ModuleId={id};"));
    let host = client.host();
    let text = format!("HostName={host};DeviceId={device};{module}{proof}");
    Ok(json!({ "connectionString": text }))
}

/// A key of an identity that was read.
pub fn key(identity: &Value, key_type: KeyType) -> Result<&str, CommandError> {
    let name = match key_type {
        KeyType::Primary => "primaryKey",
        KeyType::Secondary => "secondaryKey",
    };
    let key = identity["authentication"]["symmetricKey"][name].as_str();
    key.filter(|key| !key.is_empty()).ok_or_else(|| {
        let text = match identity["authentication"]["type"].as_str() {
            Some("sas") | None => "the policy of this command may not see keys".to_owned(),
            Some(other) => format!("the identity has no keys: its authentication is {other}"),
        };
        CommandError::Usage(text)
    })
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
