//! `iotedge list`: the modules and their states.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use ids::Timestamp;
use serde_json::{Value, json};
use wire::edge_api::local::{DaemonStatus, ModuleDetails, ModuleList, ModuleState, ModuleStatus};
use wire::edge_api::manifest::RuntimeStatus;

use crate::Device;
use crate::output::{self, Format};

/// Prints the modules in Azure's columns, and below them what has no column. Fails when the
/// engine does not answer.
pub async fn run(device: &Device) -> anyhow::Result<ExitCode> {
    let modules = device.client.get::<ModuleList>("/modules").await?.modules;
    let now = edge::clock::now();
    match device.output {
        Format::Json => output::json(&modules.iter().map(|m| row(m, now)).collect::<Vec<_>>())?,
        Format::Text => output::text(lines(&modules, now))?,
    }
    // Azure's daemon has no such status.
    let status = device.client.get::<DaemonStatus>("/muster/status").await;
    Ok(match status.ok().and_then(|status| status.engine.problem) {
        None => ExitCode::SUCCESS,
        Some(problem) => {
            writeln!(
                std::io::stderr(),
                "nothing is known of the modules: {problem}"
            )?;
            ExitCode::FAILURE
        }
    })
}

fn row(module: &ModuleDetails, now: Timestamp) -> Value {
    let state = &module.status.runtime_status;
    json!({
        "name": module.name,
        "status": state.status.as_str(),
        "description": words(&module.status, now),
        "detail": state.description,
        "config": module.image(),
        "id": module.id,
    })
}

fn lines(modules: &[ModuleDetails], now: Timestamp) -> Vec<String> {
    let header = ["NAME", "STATUS", "DESCRIPTION", "Config"]
        .map(str::to_owned)
        .to_vec();
    let cells = |module: &ModuleDetails| {
        vec![
            module.name.to_string(),
            module.status.runtime_status.status.as_str().to_owned(),
            words(&module.status, now),
            module.image().to_owned(),
        ]
    };
    let rows: Vec<_> = std::iter::once(header)
        .chain(modules.iter().map(cells))
        .collect();
    let mut lines = output::columns(&rows);
    let notes: Vec<_> = modules.iter().filter_map(note).collect();
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines
}

/// "Up 5 minutes", "Failed (139) 3 minutes ago": Azure's words.
fn words(status: &ModuleStatus, now: Timestamp) -> String {
    let ago = |when: Timestamp| format!("{} ago", rough(now.since(when)));
    match (
        status.runtime_status.status,
        status.start_time,
        &status.exit_status,
    ) {
        (RuntimeStatus::Running, Some(start), _) => format!("Up {}", rough(now.since(start))),
        (RuntimeStatus::Running, None, _) => "Up".to_owned(),
        (RuntimeStatus::Stopped, _, Some(exit)) => format!("Stopped {}", ago(exit.exit_time)),
        (RuntimeStatus::Stopped, _, None) => "Stopped".to_owned(),
        (RuntimeStatus::Failed, _, Some(exit)) => {
            format!("Failed ({}) {}", exit.status_code, ago(exit.exit_time))
        }
        (RuntimeStatus::Failed, _, None) => "Failed".to_owned(),
        (RuntimeStatus::Dead, _, _) => "Dead".to_owned(),
        (RuntimeStatus::Backoff | RuntimeStatus::Unhealthy | RuntimeStatus::Unknown, _, _) => {
            "Unknown".to_owned()
        }
    }
}

/// The reason in full, if the columns do not hold all of it.
fn note(module: &ModuleDetails) -> Option<String> {
    let ModuleState {
        status,
        description,
    } = &module.status.runtime_status;
    let in_columns = match (status, &module.status.exit_status) {
        (RuntimeStatus::Running, _) => description.eq_ignore_ascii_case("running"),
        (RuntimeStatus::Stopped | RuntimeStatus::Failed, Some(exit)) => {
            *description == format!("ended with code {}", exit.status_code)
        }
        _ => false,
    };
    // One word, as Azure's daemon gives it, is in the column already.
    (!in_columns && description.contains(' ')).then(|| format!("{}: {description}", module.name))
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
    fn durations_are_shown_in_their_largest_unit() {
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

    fn module(status: &Value) -> ModuleDetails {
        let json = json!({"id": "1", "name": "m", "type": "docker",
            "config": {"settings": {"image": "img:1"}, "env": []}, "status": status});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_reason_is_shown_in_full_below_the_columns() {
        let now = Timestamp::from_unix_seconds(100);
        let reason = format!("the image x could not be pulled: {}", "because ".repeat(40));
        let failed = json!({"runtimeStatus": {"status": "failed", "description": reason}});
        let printed = lines(&[module(&failed)], now);
        assert_eq!(
            printed[1].split_whitespace().collect::<Vec<_>>(),
            ["m", "failed", "Failed", "img:1"]
        );
        assert_eq!(printed[3], format!("m: {reason}"));

        let plain = json!({
            "startTime": "1970-01-01T00:01:00Z",
            "runtimeStatus": {"status": "running", "description": "running"},
        });
        assert_eq!(lines(&[module(&plain)], now).len(), 2);
        assert!(lines(&[module(&plain)], now)[1].contains("Up 40 seconds"));
        let old = json!({"startTime": "1970-01-01T00:01:00Z",
            "runtimeStatus": {"status": "running", "description": "runs img:1 as before, while \
                img:2 is wanted: no"}});
        assert!(lines(&[module(&old)], now)[3].contains("img:2 is wanted"));
        let ended = json!({"exitStatus": {"exitTime": "1970-01-01T00:01:00Z", "statusCode": "0"},
            "runtimeStatus": {"status": "stopped", "description": "ended with code 0"}});
        assert_eq!(lines(&[module(&ended)], now).len(), 2);
    }
}
