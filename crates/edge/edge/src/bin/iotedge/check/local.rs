//! Checks of this machine only.

use std::time::Duration;

use edge::certificates::warning;
use edge::config::{Applied, ApplyError, Severity, examine_file, read_applied};
use edge::runtime::{Docker, DockerOptions, ModuleRuntime};
use ids::Timestamp;
use nix::sys::statvfs::statvfs;
use wire::edge_api::local::{DaemonStatus, Provisioning};

use super::keys;
use super::result::{Checked, Outcome, error_lines};
use crate::{Device, system};

const SECTION: &str = "Configuration checks";
/// 2026-01-01. This program is newer, so that a clock before it is wrong.
const PLAUSIBLE: Timestamp = Timestamp::from_unix_seconds(1_767_225_600);
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 24 * 3600);
/// With less free space, images and logs soon fail.
const FREE_PER_CENT: u64 = 5;

/// The order is that of their dependencies.
pub async fn run(device: &Device) -> Vec<Checked> {
    let now = edge::clock::now();
    let examined = examine_file(&device.paths.config(), now);
    let check = |id, description, outcome| Checked {
        section: SECTION,
        id,
        description,
        outcome,
    };
    vec![
        check(
            "aziot-edged-config-well-formed",
            "config.toml is well-formed and its files belong together",
            well_formed(&examined),
        ),
        check(
            "config-up-to-date",
            "the applied configuration is config.toml's",
            up_to_date(device, &examined),
        ),
        check("host-local-time", "the clock is plausible", clock(now)),
        check(
            "key-pairs-read",
            "the device's keys are there and sign",
            keys::sign(device, &examined).await,
        ),
        check(
            "identity-certificate-expiry",
            "the certificates of the device do not expire soon",
            certificates(device, &examined, now).await,
        ),
        check(
            "container-engine-uri",
            "the container engine answers",
            engine(device, &examined).await,
        ),
        check(
            "disk-space",
            "there is room for images and logs",
            disk(device),
        ),
        check(
            "aziot-edged-running",
            "the daemon runs and is provisioned",
            daemon(device).await,
        ),
        check(
            "deployment-followed",
            "the deployment is followed in full",
            deployment(device).await,
        ),
    ]
}

pub(super) type Examination = Result<Applied, ApplyError>;

fn well_formed(examined: &Examination) -> Outcome {
    match examined {
        Ok(applied) => {
            let remarks = applied.notes.iter().chain(&applied.examined.faults);
            let warnings: Vec<String> = remarks
                .filter(|fault| fault.severity == Severity::Warning)
                .map(ToString::to_string)
                .collect();
            if warnings.is_empty() {
                Outcome::Ok(None)
            } else {
                Outcome::Warning(warnings.join("\n"))
            }
        }
        Err(error @ ApplyError::Faults { faults, .. }) => {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            Outcome::Error(format!("{error}\n{}", lines.join("\n")))
        }
        Err(error) => Outcome::Error(error_lines(error)),
    }
}

pub(super) fn skipped() -> Outcome {
    Outcome::Skipped("config.toml has errors".to_owned())
}

fn up_to_date(device: &Device, examined: &Examination) -> Outcome {
    let Ok(current) = examined else {
        return skipped();
    };
    match read_applied(&device.paths.applied()) {
        Ok(Some(applied)) if applied == current.text => Outcome::Ok(None),
        Ok(Some(_)) => {
            let apply = device.paths.command("iotedge config apply");
            Outcome::Warning(format!("config.toml was changed since; run `{apply}`"))
        }
        Ok(None) => {
            let apply = device.paths.command("iotedge config apply");
            Outcome::Error(format!("nothing is applied; run `{apply}`"))
        }
        Err(error) => Outcome::Error(error_lines(&error)),
    }
}

fn clock(now: Timestamp) -> Outcome {
    if now < PLAUSIBLE {
        return Outcome::Error(format!(
            "it says {}; certificates are not valid then. Set it, or wait for time synchronisation",
            now.in_seconds(),
        ));
    }
    Outcome::Ok(Some(now.in_seconds()))
}

/// What the daemon knows of the certificates, else the one of the configuration's file.
async fn certificates(device: &Device, examined: &Examination, now: Timestamp) -> Outcome {
    let status = device.client.get::<DaemonStatus>("/muster/status").await;
    let certificates = status.map(|status| status.certificates).unwrap_or_default();
    if certificates.is_empty() {
        return expiry(examined, now);
    }
    let warnings = certificates.iter().filter_map(|one| warning(one, now));
    let warnings: Vec<String> = warnings.collect();
    if !warnings.is_empty() {
        return Outcome::Warning(warnings.join("\n"));
    }
    let lines = certificates.iter().filter_map(|one| {
        let until = one.not_after?.in_seconds();
        let renewed = one
            .renewal_due
            .map(|due| format!(", renewed at {}", due.in_seconds()));
        let renewed = renewed.unwrap_or_default();
        Some(format!("{} is valid until {until}{renewed}", one.id))
    });
    Outcome::Ok(Some(lines.collect::<Vec<_>>().join("\n")))
}

fn expiry(examined: &Examination, now: Timestamp) -> Outcome {
    let Some(credential) = examined
        .as_ref()
        .ok()
        .and_then(|applied| applied.examined.credential.as_ref())
    else {
        return skipped();
    };
    let left = credential.not_after.since(now);
    let text = format!("it is valid until {}", credential.not_after.in_seconds());
    if left < EXPIRES_SOON {
        Outcome::Warning(text)
    } else {
        Outcome::Ok(Some(text))
    }
}

async fn engine(device: &Device, examined: &Examination) -> Outcome {
    let Ok(applied) = examined else {
        return skipped();
    };
    let runtime = &applied.config.runtime;
    let docker = Docker::new(DockerOptions {
        socket: runtime.socket.clone(),
        root: device.paths.root().to_owned(),
        network: runtime.network.clone(),
    });
    match docker.engine().await {
        Ok(info) => Outcome::Ok(Some(format!("{} {}", runtime.uri(), info.version))),
        Err(error) => Outcome::Error(format!(
            "{}\nInstall it with `apt-get install moby-engine` or docker.io, or see [moby_runtime]",
            error_lines(&error)
        )),
    }
}

fn disk(device: &Device) -> Outcome {
    let state = device.paths.state();
    let existing = state.ancestors().find(|path| path.exists());
    let Some(folder) = existing else {
        return Outcome::Warning(format!("{} does not exist", state.display()));
    };
    match statvfs(folder) {
        Ok(stat) => {
            let (free, total) = (stat.blocks_available(), stat.blocks().max(1));
            let text = format!("{} has {} % free", folder.display(), free * 100 / total);
            if free * 100 / total < FREE_PER_CENT {
                Outcome::Warning(text)
            } else {
                Outcome::Ok(Some(text))
            }
        }
        Err(error) => Outcome::Warning(format!("{}: {error}", folder.display())),
    }
}

async fn daemon(device: &Device) -> Outcome {
    match device.client.get::<DaemonStatus>("/muster/status").await {
        Err(error) => Outcome::Error(error_lines(&error)),
        Ok(status) => {
            let text = system::provisioning(&status.provisioning);
            match status.provisioning {
                Provisioning::Provisioned { problem: None, .. } => Outcome::Ok(Some(text)),
                Provisioning::Provisioned { .. } => Outcome::Warning(text),
                Provisioning::Unconfigured { .. } | Provisioning::Registering { .. } => {
                    Outcome::Error(text)
                }
            }
        }
    }
}

async fn deployment(device: &Device) -> Outcome {
    match device.client.get::<DaemonStatus>("/muster/status").await {
        Err(_) => Outcome::Skipped("the daemon does not run".to_owned()),
        Ok(status) if !status.deployment_problems.is_empty() => {
            Outcome::Error(status.deployment_problems.join("\n"))
        }
        Ok(status) if !status.deployment_warnings.is_empty() => {
            Outcome::Warning(status.deployment_warnings.join("\n"))
        }
        Ok(status) => match status.deployment_version {
            Some(version) => Outcome::Ok(Some(format!("version {version}"))),
            None => Outcome::Ok(Some("the device waits for one".to_owned())),
        },
    }
}
