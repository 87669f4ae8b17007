//! `parent` and `children`: which IoT Edge device a device connects through.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use crate::service_client::{Call, CommandError, ServiceClient, request_bodies};

/// Verbs of `parent`.
#[derive(Debug, Subcommand)]
pub enum ParentCommand {
    /// Show the parent of a device.
    #[command(after_help = "Example:\n  \
            muster hub device-identity parent show -d leaf-1 --data-dir ./data")]
    Show {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// Give a device a parent, which must be an IoT Edge device.
    #[command(after_help = "Example:\n  \
            muster hub device-identity parent set -d leaf-1 --parent-device-id edge-001 \
            --data-dir ./data")]
    Set {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, visible_alias = "pd")]
        parent_device_id: String,
        /// Also when it has another parent.
        #[arg(long, short = 'f')]
        force: bool,
    },
}

/// Verbs of `children`.
#[derive(Debug, Subcommand)]
pub enum ChildrenCommand {
    /// List the children of an IoT Edge device.
    #[command(after_help = "Example:\n  \
            muster hub device-identity children list -d edge-001 --data-dir ./data")]
    List {
        #[arg(long, short = 'd')]
        device_id: String,
    },
    /// Add children to an IoT Edge device.
    #[command(after_help = "Example:\n  \
            muster hub device-identity children add -d edge-001 --child-list leaf-1 leaf-2 \
            --data-dir ./data")]
    Add {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, visible_alias = "cl", num_args = 1.., required = true)]
        child_list: Vec<String>,
        /// Also those that have another parent.
        #[arg(long, short = 'f')]
        force: bool,
    },
    /// Remove children from an IoT Edge device.
    #[command(after_help = "Example:\n  \
            muster hub device-identity children remove -d edge-001 --child-list leaf-1 \
            --data-dir ./data")]
    Remove {
        #[arg(long, short = 'd')]
        device_id: String,
        #[arg(long, visible_alias = "cl", num_args = 1.., required = true)]
        child_list: Vec<String>,
    },
}

/// The start of every scope of an IoT Edge device.
const SCOPE: &str = "ms-azure-iot-edge://";

pub async fn parent(command: ParentCommand, client: &ServiceClient) -> Result<Value, CommandError> {
    match command {
        ParentCommand::Show { device_id } => {
            let device = read(&device_id, client).await?;
            let Some(parent) = parent_of(&device) else {
                let text = format!("device {device_id} has no parent");
                return Err(CommandError::Usage(text));
            };
            read(&parent, client).await
        }
        ParentCommand::Set {
            device_id,
            parent_device_id,
            force,
        } => {
            let scope = scope(&parent_device_id, client).await?;
            adopt(&device_id, &scope, force, client).await
        }
    }
}

pub async fn children(
    command: ChildrenCommand,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    match command {
        ChildrenCommand::List { device_id } => {
            let scope = scope(&device_id, client).await?;
            // As az asks; no scope has a quote.
            let query = format!(
                "select deviceId from devices where array_contains(parentScopes, '{scope}')"
            );
            let body = request_bodies::query(&query);
            let found = client.list(&["devices", "query"], Some(&body), None);
            let mut found: Vec<_> = found
                .await?
                .iter()
                .map(|row| row["deviceId"].clone())
                .collect();
            found.retain(|id| *id != json!(device_id));
            Ok(found.into())
        }
        ChildrenCommand::Add {
            device_id,
            child_list,
            force,
        } => {
            let scope = scope(&device_id, client).await?;
            let mut changed = Vec::new();
            for child in child_list {
                changed.push(adopt(&child, &scope, force, client).await?);
            }
            Ok(changed.into())
        }
        ChildrenCommand::Remove {
            device_id,
            child_list,
        } => {
            let scope = scope(&device_id, client).await?;
            let mut changed = Vec::new();
            for child in child_list {
                let device = read(&child, client).await?;
                if parent_scope(&device) != Some(scope.as_str()) {
                    let text = format!("device {child} is not a child of {device_id}");
                    return Err(CommandError::Usage(text));
                }
                changed.push(write(device, None, client).await?);
            }
            Ok(changed.into())
        }
    }
}

async fn read(id: &str, client: &ServiceClient) -> Result<Value, CommandError> {
    client.call(Call::new(Method::GET, &["devices", id])).await
}

/// The scope of a device that may be a parent.
async fn scope(id: &str, client: &ServiceClient) -> Result<String, CommandError> {
    let device = read(id, client).await?;
    match (
        &device["capabilities"]["iotEdge"],
        device["deviceScope"].as_str(),
    ) {
        (Value::Bool(true), Some(scope)) => Ok(scope.to_owned()),
        _ => Err(CommandError::Usage(format!(
            "device {id} is not an IoT Edge device; only those have children"
        ))),
    }
}

fn is_edge(device: &Value) -> bool {
    device["capabilities"]["iotEdge"] == json!(true)
}

/// The scope of the parent: of a leaf its own one, too.
fn parent_scope(device: &Value) -> Option<&str> {
    device["parentScopes"][0].as_str()
}

/// The parent's id: its scope ends with a hyphen and the number of its life.
fn parent_of(device: &Value) -> Option<String> {
    let (id, _) = parent_scope(device)?
        .strip_prefix(SCOPE)?
        .rsplit_once('-')?;
    Some(id.to_owned())
}

async fn adopt(
    child: &str,
    scope: &str,
    force: bool,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let device = read(child, client).await?;
    match parent_of(&device) {
        Some(parent) if parent_scope(&device) != Some(scope) && !force => Err(CommandError::Usage(
            format!("device {child} has the parent {parent}; --force gives it another one"),
        )),
        _ => write(device, Some(scope), client).await,
    }
}

/// Writes a device back with another parent, or with none.
async fn write(
    mut device: Value,
    scope: Option<&str>,
    client: &ServiceClient,
) -> Result<Value, CommandError> {
    let scopes: Vec<_> = scope.into_iter().collect();
    device["parentScopes"] = json!(scopes);
    if !is_edge(&device) {
        device["deviceScope"] = json!(scope.unwrap_or_default());
    }
    let id = device["deviceId"].as_str().unwrap_or_default().to_owned();
    let etag = format!("\"{}\"", device["etag"].as_str().unwrap_or("*"));
    let path = ["devices", id.as_str()];
    let call = Call::new(Method::PUT, &path).body(&device).if_match(&etag);
    client.call(call).await
}
