//! `iotedge system`: the runtime as a whole.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use edge::files::durable;
use edge::files::paths::Paths;
use edge::logging::LEVELS;
use serde_json::{Value, json};
use wire::edge_api::local::{Connection, DaemonStatus, LogLevel, Provisioning};

use crate::Device;
use crate::client::ClientError;
use crate::output::{self, Format};

/// Verbs of `iotedge system`.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    /// Show whether the runtime runs, is provisioned and connected.
    #[command(after_help = "Example:\n  iotedge system status")]
    Status,
    /// Print the runtime's log.
    #[command(after_help = "Example:\n  iotedge system logs --tail 50")]
    Logs {
        /// Only so many lines from the end.
        #[arg(long)]
        tail: Option<usize>,
    },
    /// Restart the runtime; modules go on.
    #[command(after_help = "Example:\n  iotedge system restart")]
    Restart,
    /// Stop the runtime; modules go on.
    #[command(after_help = "Example:\n  iotedge system stop")]
    Stop,
    /// Register anew; what the device has stays until the new registration stands.
    #[command(after_help = "Example:\n  iotedge system reprovision")]
    Reprovision,
    /// Choose how much the runtime logs.
    #[command(after_help = "Example:\n  iotedge system set-log-level debug")]
    SetLogLevel {
        /// error, warn, info, debug or trace.
        #[arg(value_parser = LEVELS)]
        level: String,
    },
}

pub async fn run(command: SystemCommand, device: &Device) -> anyhow::Result<ExitCode> {
    match command {
        SystemCommand::Status => return status(device).await,
        SystemCommand::Logs { tail } => logs(tail, device)?,
        SystemCommand::Restart => {
            device.client.post("/muster/restart").await?;
            done(
                device,
                "Restarted aziot-edged; modules were not touched.",
                "restarted",
            )?;
        }
        SystemCommand::Stop => {
            device.client.post("/muster/stop").await?;
            done(device, "Stopped aziot-edged; modules go on.", "stopped")?;
        }
        SystemCommand::Reprovision => {
            device.client.post("/device/reprovision").await?;
            done(
                device,
                "Successfully reprovisioned with IoT Hub.",
                "reprovisioned",
            )?;
        }
        SystemCommand::SetLogLevel { level } => set_log_level(level, device).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn done(device: &Device, text: &str, what: &str) -> anyhow::Result<()> {
    match device.output {
        Format::Json => output::json(&json!({ "done": what })),
        Format::Text => output::text([text]),
    }
}

/// The services of Azure's runtime. Here all of them are parts of one process.
const SERVICES: [&str; 4] = [
    "aziot-edged",
    "aziot-identityd",
    "aziot-keyd",
    "aziot-certd",
];

/// The exit code is 0 when the device is provisioned and its engine answers, else 1.
async fn status(device: &Device) -> anyhow::Result<ExitCode> {
    let status = match device.client.get::<DaemonStatus>("/muster/status").await {
        Ok(status) => status,
        Err(error @ ClientError::NotRunning { .. }) => {
            match device.output {
                Format::Json => {
                    output::json(&json!({ "running": false, "problem": error.to_string() }))?
                }
                Format::Text => {
                    let mut lines = vec!["System services:".to_owned()];
                    lines.extend(SERVICES.map(|name| format!("    {name:<23} Down")));
                    lines.extend([String::new(), sentence(&error.to_string())]);
                    output::text(lines)?;
                }
            }
            return Ok(ExitCode::FAILURE);
        }
        Err(other) => return Err(other.into()),
    };
    let well = matches!(status.provisioning, Provisioning::Provisioned { .. })
        && status.engine.problem.is_none();
    if device.output == Format::Json {
        let mut json = serde_json::to_value(&status).context("the status")?;
        json["running"] = Value::Bool(true);
        output::json(&json)?;
    } else {
        output::text(lines(&status, &device.paths))?;
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn lines(status: &DaemonStatus, paths: &Paths) -> Vec<String> {
    let mut lines = vec!["System services:".to_owned()];
    lines.extend(SERVICES.map(|name| format!("    {name:<23} Running")));
    lines.push(String::new());
    lines.push(format!(
        "Provisioning: {}",
        provisioning(&status.provisioning)
    ));
    lines.push(format!(
        "Hub connection: {}",
        connection(&status.connection)
    ));
    lines.extend(
        status
            .clock_problem
            .iter()
            .map(|problem| format!("Clock: {problem}")),
    );
    let engine = &status.engine;
    lines.push(match (&engine.version, &engine.problem) {
        (_, Some(problem)) => format!("Container engine: {problem}"),
        (Some(version), None) => format!("Container engine: {} {version}", engine.uri),
        (None, None) => "Container engine: not asked yet".to_owned(),
    });
    lines.extend(deployment(status));
    lines.push(String::new());
    let hint = |command, purpose| format!("Use '{}' to {purpose}.", paths.command(command));
    lines.push(hint("iotedge system logs", "check for non-fatal errors"));
    lines.push(hint(
        "iotedge check",
        "diagnose connectivity and configuration issues",
    ));
    lines
}

/// Each fault on a line of its own.
fn deployment(status: &DaemonStatus) -> Vec<String> {
    let (problems, warnings) = (&status.deployment_problems, &status.deployment_warnings);
    let followed = if problems.is_empty() {
        "is followed"
    } else {
        "is not followed in full:"
    };
    let mut lines = vec![match status.deployment_version {
        None if problems.is_empty() => "Deployment: none yet; the device waits for one".to_owned(),
        None => "Deployment: none".to_owned(),
        Some(version) => format!("Deployment: version {version} {followed}"),
    }];
    lines.extend(problems.iter().map(|problem| format!("    {problem}")));
    lines.extend(warnings.iter().map(|text| format!("    warning: {text}")));
    lines
}

/// An error message as a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .chain(['.'])
        .collect()
}

pub fn provisioning(state: &Provisioning) -> String {
    match state {
        Provisioning::Unconfigured { hint } => format!("not configured; {hint}"),
        Provisioning::Registering { failures: 0, .. } => "registering".to_owned(),
        Provisioning::Registering {
            failures,
            problem,
            next,
        } => {
            let problem = problem.as_deref().unwrap_or("no reason known");
            let next = next.map_or_else(String::new, |next| {
                format!("; next attempt at {}", next.in_seconds())
            });
            format!("not registered after {failures} attempts: {problem}{next}")
        }
        Provisioning::Provisioned {
            hub,
            device_id,
            since,
            problem,
        } => {
            let problem = problem
                .as_ref()
                .map_or_else(String::new, |problem| format!("; {problem}"));
            let since = since.in_seconds();
            format!("device {device_id} of hub {hub} since {since}{problem}")
        }
    }
}

fn connection(state: &Connection) -> String {
    match state {
        Connection::Idle => "none".to_owned(),
        Connection::Connecting { problem: None, .. } => "connecting".to_owned(),
        Connection::Connecting {
            problem: Some(problem),
            ..
        } => format!("not connected: {problem}"),
        Connection::Connected { since } => format!("connected since {}", since.in_seconds()),
    }
}

fn logs(tail: Option<usize>, device: &Device) -> anyhow::Result<()> {
    let path = device.paths.log();
    let text =
        std::fs::read(&path).with_context(|| format!("cannot read the log {}", path.display()))?;
    let newlines = text
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    let from = match tail {
        None => 0,
        // The last line ends with a newline of its own.
        Some(lines) => newlines.skip(1).nth(lines.saturating_sub(1)).unwrap_or(0),
    };
    output::bytes(&text[from..])
}

/// The running daemon changes its level at once. A daemon that starts later reads it from the file.
async fn set_log_level(level: String, device: &Device) -> anyhow::Result<()> {
    durable::write(&device.paths.log_level(), level.as_bytes())?;
    match device
        .client
        .put(
            "/muster/log-level",
            &LogLevel {
                level: level.clone(),
            },
        )
        .await
    {
        Ok(()) | Err(ClientError::NotRunning { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    done(
        device,
        &format!(
            "Set log level to {} for all services.",
            level.to_uppercase()
        ),
        "set-log-level",
    )
}
