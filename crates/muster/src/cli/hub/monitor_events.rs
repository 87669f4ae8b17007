//! `muster hub monitor-events`.

use reqwest::Method;
use serde_json::Value;

use crate::cli::{Invocation, output};
use crate::operator::{Call, Service};

/// `muster hub monitor-events`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  muster hub monitor-events --device-id edge-001 --count 10 --data-dir ./data"
)]
pub struct MonitorEvents {
    /// Only events of this device.
    #[arg(long, short = 'd')]
    device_id: Option<String>,
    /// Start behind this offset; without it, at the oldest event that is kept.
    #[arg(long)]
    after: Option<u64>,
    /// Stop after so many events.
    #[arg(long)]
    count: Option<usize>,
    /// Stop once no event has arrived for so many seconds.
    #[arg(long)]
    timeout: Option<u64>,
}

/// Prints one event a line, as JSON.
pub async fn run(flags: MonitorEvents, invocation: &Invocation) -> anyhow::Result<()> {
    let client = invocation.target.connect(Service::Hub)?;
    let (mut after, mut printed) = (flags.after.unwrap_or(0), 0);
    loop {
        let wait = flags.timeout.unwrap_or(30).min(30);
        let query = [
            ("after", after.to_string()),
            ("max", "100".to_owned()),
            ("wait", wait.to_string()),
        ];
        let answer = client
            .call(Call::new(Method::GET, &["muster", "v1", "events"]).query(&query))
            .await?;
        let events = answer.as_array().map_or(&[][..], Vec::as_slice);
        for event in events {
            after = event.get("offset").and_then(Value::as_u64).unwrap_or(after);
            let device = event.get("deviceId").and_then(Value::as_str);
            if flags.device_id.is_some() && flags.device_id.as_deref() != device {
                continue;
            }
            output::line(&event.to_string())?;
            printed += 1;
            if flags.count == Some(printed) {
                return Ok(());
            }
        }
        if events.is_empty() && flags.timeout.is_some() {
            return Ok(());
        }
    }
}
