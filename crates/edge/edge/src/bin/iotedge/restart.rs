//! `iotedge restart`: restarts one module.

use serde_json::json;

use crate::Device;
use crate::output::{self, Format};

/// Restarts one module.
pub async fn run(module: &str, device: &Device) -> anyhow::Result<()> {
    let path = format!("/modules/{}/restart", wire::http::encode_segment(module));
    device.client.post(&path).await?;
    match device.output {
        Format::Json => output::json(&json!({ "restarted": module })),
        Format::Text => output::text([format!("Restarted {module}")]),
    }
}
