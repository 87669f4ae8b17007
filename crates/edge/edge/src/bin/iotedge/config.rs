//! `iotedge config`: the device's configuration file.

mod new;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Subcommand;
use edge::config::{
    Applied, ApplyError, Change, Fault, Severity, changes, examine_file, read_applied, template,
    write_applied,
};
use serde_json::{Value, json};
use wire::edge_api::local::Reload;

pub use new::azures_short_flag;

use crate::Device;
use crate::client::ClientError;
use crate::output::{self, Format};

/// Verbs of `iotedge config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check config.toml and make the runtime follow it.
    #[command(after_help = "Example:\n  iotedge config apply --check")]
    Apply(Apply),
    /// Make a config.toml of what iotedge before 1.2 had, config.yaml.
    #[command(after_help = "Example:\n  iotedge config import")]
    Import(new::Import),
    /// Make a config.toml with the connection string of a device.
    #[command(after_help = "Example:\n  iotedge config mp --connection-string \
                      'HostName=…;DeviceId=…;SharedAccessKey=…'")]
    Mp(new::Mp),
    /// Print a commented config.toml.
    #[command(after_help = "Example:\n  iotedge config template > /etc/aziot/config.toml")]
    Template,
}

/// `iotedge config apply`.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// The file; /etc/aziot/config.toml when it is not given.
    #[arg(long, short = 'c', value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Look at everything and change nothing.
    #[arg(long)]
    check: bool,
}

pub async fn run(command: ConfigCommand, device: &Device) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Apply(apply) => apply.run(device).await,
        ConfigCommand::Import(import) => import.run(device),
        ConfigCommand::Mp(mp) => mp.run(device),
        ConfigCommand::Template => output::bytes(template().as_bytes()),
    }
}

/// What the daemon did.
pub enum Daemon {
    /// It restarted these parts.
    Reloaded(Vec<String>),
    /// It does not run.
    Absent,
    /// Nothing was written, so that it was not asked.
    NotTold,
}

impl Apply {
    async fn run(&self, device: &Device) -> anyhow::Result<()> {
        let source = self
            .config_file
            .clone()
            .unwrap_or_else(|| device.paths.config());
        let applied = match examine_file(&source, edge::clock::now()) {
            Ok(applied) => applied,
            Err(ApplyError::Faults { path, faults }) => {
                return refuse(&path, &faults, device.output);
            }
            Err(other) => return Err(other.into()),
        };
        let before = read_applied(&device.paths.applied())
            .ok()
            .flatten()
            .unwrap_or_default();
        let changed = changes(&before, &applied.text);
        let daemon = if self.check {
            Daemon::NotTold
        } else {
            write_applied(&device.paths.applied(), &source, &applied.text)?;
            tell(device).await?
        };
        report(&applied, &changed, &daemon, device)
    }
}

/// Hands the new configuration to the daemon, if one runs.
pub async fn tell(device: &Device) -> anyhow::Result<Daemon> {
    match device.client.call::<Reload>("/muster/reload").await {
        Ok(reload) => Ok(Daemon::Reloaded(reload.restarted)),
        Err(ClientError::NotRunning { .. }) => Ok(Daemon::Absent),
        Err(error) => Err(error)
            .context("the configuration is applied, but the running daemon did not take it"),
    }
}

fn refuse(path: &std::path::Path, faults: &[Fault], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        output::json(&json!({ "applied": false, "findings": findings(faults) }))?;
    } else {
        let mut stderr = std::io::stderr().lock();
        for fault in faults {
            writeln!(stderr, "{}: {fault}", word(fault.severity))?;
        }
    }
    bail!("{} was not applied; nothing has changed", path.display())
}

fn report(
    applied: &Applied,
    changed: &[Change],
    daemon: &Daemon,
    device: &Device,
) -> anyhow::Result<()> {
    let faults = [&applied.notes[..], &applied.examined.faults[..]].concat();
    if device.output == Format::Json {
        return output::json(&json!({
            "applied": !matches!(daemon, Daemon::NotTold),
            "findings": findings(&faults),
            "changes": changed.iter().map(Change::to_string).collect::<Vec<_>>(),
            "restarted": match daemon { Daemon::Reloaded(parts) => json!(parts), _ => Value::Null },
        }));
    }
    let mut lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {fault}", word(fault.severity)))
        .collect();
    match changed {
        [] => lines.push("Nothing differs from what is applied.".to_owned()),
        changed => lines.extend(changed.iter().map(|change| format!("  {change}"))),
    }
    match daemon {
        Daemon::NotTold => {
            lines.push("The configuration is valid. Nothing has been changed.".to_owned())
        }
        Daemon::Absent => lines.extend([
            "Azure IoT Edge has been configured successfully!".to_owned(),
            String::new(),
            format!("The daemon does not run; {}.", device.paths.start_hint()),
        ]),
        Daemon::Reloaded(parts) => {
            lines.extend([
                "Azure IoT Edge has been configured successfully!".to_owned(),
                String::new(),
            ]);
            match &parts[..] {
                [] => lines.push("Nothing had to be restarted.".to_owned()),
                parts => lines.push(format!("Restarted: {}", parts.join(", "))),
            }
            lines.push("Done.".to_owned());
        }
    }
    output::text(lines)
}

fn findings(faults: &[Fault]) -> Value {
    let one = |fault: &Fault| {
        json!({
            "line": fault.line,
            "severity": word(fault.severity),
            "message": fault.message,
        })
    };
    faults.iter().map(one).collect()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}
