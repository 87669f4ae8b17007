//! `iotedge version`: the version of this program.

use serde_json::json;

use crate::Device;
use crate::output::{self, Format};

/// Prints the version of this program.
pub fn run(device: &Device) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    match device.output {
        Format::Json => output::json(&json!({ "version": version })),
        Format::Text => output::text([format!("iotedge {version}")]),
    }
}
