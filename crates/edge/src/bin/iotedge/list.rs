//! `iotedge list`.

use std::time::Duration;

use ids::Timestamp;
use serde_json::json;
use wire::local_api::{ModuleDetails, ModuleList, ModuleStatus};
use wire::manifest::RuntimeStatus;

use crate::Device;
use crate::output::{self, Format};

/// Prints the modules in Azure's columns.
pub async fn run(device: &Device) -> anyhow::Result<()> {
    let modules = device.client.get::<ModuleList>("/modules").await?.modules;
    let now = edge::clock::now();
    if device.output == Format::Json {
        let row = |module: &ModuleDetails| {
            json!({
                "name": module.name,
                "status": module.status.runtime_status.status.as_str(),
                "description": description(&module.status, now),
                "config": module.image(),
                "id": module.id,
            })
        };
        return output::json(&modules.iter().map(row).collect::<Vec<_>>());
    }
    let header = ["NAME", "STATUS", "DESCRIPTION", "Config"]
        .map(str::to_owned)
        .to_vec();
    let row = |module: &ModuleDetails| {
        vec![
            module.name.to_string(),
            module.status.runtime_status.status.as_str().to_owned(),
            shortened(description(&module.status, now)),
            module.image().to_owned(),
        ]
    };
    let rows: Vec<_> = std::iter::once(header)
        .chain(modules.iter().map(row))
        .collect();
    output::text(output::columns(&rows))
}

/// "Up 5 minutes", "Failed (139) 3 minutes ago": Azure's words.
fn description(status: &ModuleStatus, now: Timestamp) -> String {
    let ago = |when: Timestamp| format!("{} ago", rough(now.since(when)));
    let state = status.runtime_status.status;
    match (state, status.start_time, &status.exit_status) {
        (RuntimeStatus::Running, Some(start), _) => format!("Up {}", rough(now.since(start))),
        (RuntimeStatus::Running, None, _) => "Up".to_owned(),
        (RuntimeStatus::Stopped, _, Some(exit)) => format!("Stopped {}", ago(exit.exit_time)),
        (RuntimeStatus::Stopped, _, None) => "Stopped".to_owned(),
        (RuntimeStatus::Failed, _, Some(exit)) => {
            format!("Failed ({}) {}", exit.status_code, ago(exit.exit_time))
        }
        _ if !status.runtime_status.description.is_empty() => {
            status.runtime_status.description.clone()
        }
        (RuntimeStatus::Failed, _, None) => "Failed".to_owned(),
        _ => "Unknown".to_owned(),
    }
}

/// Keeps a long reason from pushing the last column off the screen; JSON and `iotedge system status` have all of it.
fn shortened(text: String) -> String {
    const LONGEST: usize = 80;
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// A duration in its largest unit.
fn rough(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..MINUTE => (seconds, "second"),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_their_largest_unit() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (60, "1 minute"),
            (7200, "2 hours"),
            (90_000, "1 day"),
        ] {
            assert_eq!(rough(Duration::from_secs(seconds)), text);
        }
    }
}
