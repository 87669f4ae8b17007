//! `muster edge set-modules` and `export-modules`: the modules of one device.

use reqwest::Method;
use serde_json::{Map, json};

use crate::cli::configurations::read_json;
use crate::cli::{Column, Invocation, output};
use crate::service_client::{Call, Service, request_bodies};

/// `muster edge set-modules`.
#[derive(Debug, clap::Args)]
pub struct SetModules {
    #[arg(long, short = 'd')]
    device_id: String,
    /// A file with the content, or its JSON.
    #[arg(long, short = 'k')]
    content: String,
}

/// `muster edge export-modules`.
#[derive(Debug, clap::Args)]
pub struct ExportModules {
    #[arg(long, short = 'd')]
    device_id: String,
}

const COLUMNS: &[Column] = &[
    ("DeviceId", "/deviceId"),
    ("ModuleId", "/moduleId"),
    ("ManagedBy", "/managedBy"),
    ("Connection", "/connectionState"),
];

/// Applies the content, and prints the modules that the device has then.
pub async fn set(flags: SetModules, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let given = read_json("--content", &flags.content)?;
    let device = flags.device_id.as_str();
    let path = ["devices", device, "applyConfigurationContent"];
    let apply = Call::new(Method::POST, &path).body(request_bodies::content(&given));
    client.call(apply).await?;
    let path = ["devices", device, "modules"];
    let modules = client.call(Call::new(Method::GET, &path)).await?;
    Ok(output::print(invocation.output, &modules, COLUMNS)?)
}

/// Prints the desired properties of the device's modules.
pub async fn export(flags: ExportModules, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let device = flags.device_id.as_str();
    let path = ["devices", device, "modules"];
    let modules = client.call(Call::new(Method::GET, &path)).await?;
    let mut content = Map::new();
    for module in modules.as_array().into_iter().flatten() {
        let Some(id) = module["moduleId"].as_str() else {
            continue;
        };
        let path = ["twins", device, "modules", id];
        let mut twin = client.call(Call::new(Method::GET, &path)).await?;
        let mut desired = twin["properties"]["desired"].take();
        if let Some(members) = desired.as_object_mut() {
            members.retain(|name, _| !name.starts_with('$'));
            // What has no desired properties is left alone by a deployment, too.
            if members.is_empty() {
                continue;
            }
        }
        content.insert(id.to_owned(), json!({"properties.desired": desired}));
    }
    let exported = json!({"content": {"modulesContent": content}});
    Ok(output::print(invocation.output, &exported, &[])?)
}
