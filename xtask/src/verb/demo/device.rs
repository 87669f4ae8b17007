//! One edge device of the demo: its own root folder, the real runtime, the
//! commands of its owner.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::child::Running;
use crate::console::say;
use crate::docker;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::wait::{Probe, until};
use crate::workspace::{Workspace, capture};

use super::path_text;
use super::server::Access;

/// From a configured device to its running module.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all devices of one demo share.
pub(crate) struct DeviceSetup<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) work: &'a Path,
    pub(crate) ca: &'a Path,
    pub(crate) server: &'a Access,
    pub(crate) engine: &'a docker::Engine,
    pub(crate) journal: &'a Journal,
}

pub(crate) struct EdgeDevice {
    name: String,
    root: PathBuf,
    iotedge: PathBuf,
    daemon: Running,
}

impl EdgeDevice {
    /// Writes `config.toml`, applies it and starts `aziot-edged`.
    pub(crate) fn start(name: &str, setup: &DeviceSetup<'_>) -> anyhow::Result<Self> {
        let root = setup.work.join(name);
        std::fs::create_dir_all(root.join("etc/aziot"))?;
        // Containers are labelled with the folder's own name, without links.
        let root = root.canonicalize()?;
        let config = root.join("etc/aziot/config.toml");
        std::fs::write(&config, configuration(name, setup)?)
            .with_context(|| format!("cannot write {}", config.display()))?;
        let iotedge = setup.workspace.program("iotedge");
        let root_text = path_text(&root)?;
        say(format!("$ iotedge config apply --root {name}"));
        let applied =
            capture(Command::new(&iotedge).args(["config", "apply", "--root", root_text]))?;
        // What changes is the same list for every device, so one line is enough.
        say(applied
            .lines()
            .find(|line| line.ends_with('!'))
            .unwrap_or_default());
        setup
            .journal
            .containers(&setup.engine.socket(), &label(&root))?;
        say(format!("$ aziot-edged run --root {name}"));
        let mut command = Command::new(setup.workspace.program("aziot-edged"));
        command.args(["run", "--root", root_text]);
        let log = setup.work.join(format!("{name}.log"));
        let daemon = Running::start(
            &format!("aziot-edged of {name}"),
            &mut command,
            &log,
            setup.journal,
        )?;
        Ok(Self {
            name: name.to_owned(),
            root,
            iotedge,
            daemon,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until `iotedge list` says that the module runs.
    pub(crate) fn wait_for_module(
        &mut self,
        module: &str,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let what = format!("{module} to run on {}", self.name);
        let begun = until(&what, PATIENCE, interrupt, || {
            self.or_why_it_ended()?;
            Ok(match self.module(module) {
                Ok(Some(found)) if status(&found) == Some("running") => Probe::Yes(()),
                Ok(Some(found)) => Probe::NotYet(found.to_string()),
                Ok(None) => Probe::NotYet(format!("`iotedge list` has no {module}")),
                Err(error) => Probe::NotYet(format!("{error:#}")),
            })
        });
        match begun {
            Ok(()) => {
                say(format!("{}: {module} runs", self.name));
                Ok(())
            }
            Err(error) => bail!(
                "{error:#}\nThe end of its log:\n{}",
                last_lines(&self.daemon.log_text(), 30)
            ),
        }
    }

    /// The module's entry of `iotedge list --output json`.
    pub(crate) fn module(&self, module: &str) -> anyhow::Result<Option<Value>> {
        let text = self.owner(&["list", "--output", "json"])?;
        let listed: Value = serde_json::from_str(&text).context("`iotedge list` wrote no JSON")?;
        let modules = listed.as_array().context("`iotedge list` wrote no array")?;
        Ok(modules
            .iter()
            .find(|entry| entry["name"].as_str() == Some(module))
            .cloned())
    }

    /// A command of the device's owner, e.g. `["logs", "tempSensor"]`.
    pub(crate) fn owner(&self, arguments: &[&str]) -> anyhow::Result<String> {
        capture(
            Command::new(&self.iotedge)
                .args(arguments)
                .arg("--root")
                .arg(&self.root),
        )
    }

    pub(crate) fn or_why_it_ended(&mut self) -> anyhow::Result<()> {
        match self.daemon.ended()? {
            None => Ok(()),
            Some(why) => bail!("{why}"),
        }
    }
}

/// A module's status in `iotedge list --output json`.
pub(crate) fn status(entry: &Value) -> Option<&str> {
    entry["status"].as_str()
}

/// The label by which containers of a device with its own root are known.
fn label(root: &Path) -> String {
    format!("muster.root={}", root.display())
}

/// The article's section for DPS with X.509, and the demo's engine.
fn configuration(name: &str, setup: &DeviceSetup<'_>) -> anyhow::Result<String> {
    let certificate = setup.ca.join(format!(
        "certs/iot-edge-device-identity-{name}-full-chain.cert.pem"
    ));
    let key = setup
        .ca
        .join(format!("private/iot-edge-device-identity-{name}.key.pem"));
    Ok(format!(
        r#"hostname = "{name}"
trust_bundle_cert = "file://{trust}"

[provisioning]
source = "dps"
global_endpoint = "{endpoint}"
id_scope = "{scope}"

[provisioning.attestation]
method = "x509"
registration_id = "{name}"
identity_cert = "file://{certificate}"
identity_pk = "file://{key}"

[moby_runtime]
uri = "{engine}"
network = "azure-iot-edge"
"#,
        trust = path_text(&setup.server.ca)?,
        endpoint = setup.server.endpoint,
        scope = setup.server.id_scope,
        certificate = path_text(&certificate)?,
        key = path_text(&key)?,
        engine = setup.engine.uri(),
    ))
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
