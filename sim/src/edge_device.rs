use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::command_line::split;
use crate::{Engine, Finished, Identity, Program, Server, binary, until};

/// The library of the package `faketime`, found by the loader.
const FAKE_TIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// A device: a folder as its root, the real `aziot-edged` as its daemon, `iotedge`
/// as its user's hands.
#[derive(Debug)]
pub struct EdgeDevice {
    name: String,
    root: tempfile::TempDir,
    daemon: Option<Program>,
    /// Environment variables of its programs.
    environment: Vec<(String, String)>,
}

impl EdgeDevice {
    /// A device whose `config.toml` provisions it at `server` with `identity`; nothing is
    /// applied or started yet.
    pub fn configured(server: &Server, identity: &Identity, engine: &Engine) -> Result<Self> {
        Self::with_engine_uri(server, identity, &engine.uri())
    }

    /// As [`configured`](Self::configured), with a container engine that need not exist.
    pub fn with_engine_uri(server: &Server, identity: &Identity, engine: &str) -> Result<Self> {
        let provisioning = format!(
            r#"source = "dps"
global_endpoint = "https://{host}"
id_scope = "{scope}"

[provisioning.attestation]
method = "x509"
registration_id = "{name}"
identity_cert = "file://{chain}"
identity_pk = "file://{key}"
"#,
            name = identity.name,
            host = server.host(),
            scope = server.id_scope()?,
            chain = identity.full_chain.display(),
            key = identity.key.display(),
        );
        Self::provisioned_by(server, &identity.name, &provisioning, engine)
    }

    /// A device with the lines of a section `[provisioning]`.
    pub fn provisioned_by(
        server: &Server,
        name: &str,
        provisioning: &str,
        engine: &str,
    ) -> Result<Self> {
        // Unix socket paths are short, so the root is.
        let root = tempfile::Builder::new()
            .prefix("edge-")
            .tempdir_in("/tmp")?;
        let device = Self {
            name: name.to_owned(),
            root,
            daemon: None,
            environment: Vec::new(),
        };
        device.configure(server, provisioning, engine)?;
        Ok(device)
    }

    /// Writes a `config.toml` with the lines of a section `[provisioning]`.
    pub fn configure(&self, server: &Server, provisioning: &str, engine: &str) -> Result<()> {
        self.write_config(&format!(
            r#"hostname = "{name}"
trust_bundle_cert = "file://{ca}"

[provisioning]
{provisioning}

[moby_runtime]
uri = "{engine}"
network = "azure-iot-edge"
"#,
            name = self.name,
            ca = server.ca()?.display(),
        ))
    }

    /// Gives its programs environment variables.
    #[must_use]
    pub fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    pub fn write_config(&self, text: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let dir = self.root().join("etc/aziot");
        std::fs::create_dir_all(&dir)?;
        let path = dir.join("config.toml");
        std::fs::write(&path, text)?;
        Ok(std::fs::set_permissions(
            path,
            std::fs::Permissions::from_mode(0o600),
        )?)
    }

    /// `config.toml` as it stands.
    pub fn config(&self) -> Result<String> {
        Ok(std::fs::read_to_string(
            self.root().join("etc/aziot/config.toml"),
        )?)
    }

    /// The folder that is the device's `/`.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `iotedge` on the device.
    pub fn iotedge(&self, line: &str) -> Result<Finished> {
        let mut words = split(line)?;
        words.push("--root".to_owned());
        words.push(self.root().to_string_lossy().into_owned());
        let mut command = Command::new(binary("iotedge")?);
        command.args(words).envs(self.environment.clone());
        let output = command.stdin(Stdio::null()).output();
        Ok(output.context("cannot run iotedge")?.into())
    }

    /// `iotedge config apply`, which has to succeed.
    pub fn apply(&self) -> Result<()> {
        self.iotedge("config apply")?.ok().map(drop)
    }

    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(binary("aziot-edged")?);
        command.args(["run", "--root"]).arg(self.root());
        command.envs(self.environment.clone());
        self.daemon = Some(Program::start(command, &self.root().join("daemon.log"))?);
        Ok(())
    }

    /// Starts the daemon with a clock that stands at this time, such as `1970-01-02 00:00:00`, and
    /// goes on from there. [`set_clock`](Self::set_clock) sets it.
    pub fn start_at(&mut self, time: &str) -> Result<()> {
        let mut command = Command::new(binary("aziot-edged")?);
        command.args(["run", "--root"]).arg(self.root());
        self.write_clock(&format!("@{time}"))?;
        command
            .env("LD_PRELOAD", FAKE_TIME)
            .env("FAKETIME_TIMESTAMP_FILE", self.root().join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            // The time since the start of the machine is right.
            .env("DONT_FAKE_MONOTONIC", "1");
        self.daemon = Some(Program::start(command, &self.root().join("daemon.log"))?);
        Ok(())
    }

    /// Sets the clock of a daemon that was started with a wrong one.
    pub fn set_clock(&self) -> Result<()> {
        self.write_clock("+0")
    }

    fn write_clock(&self, text: &str) -> Result<()> {
        let path = self.root().join("clock");
        let beside = self.root().join("clock.new");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, path)?)
    }

    /// kill -9 of the daemon.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon
            .as_mut()
            .context("the daemon does not run")?
            .kill()
    }

    /// SIGTERM of the daemon; its exit code.
    pub fn terminate(&mut self) -> Result<Option<i32>> {
        self.daemon
            .as_mut()
            .context("the daemon does not run")?
            .terminate()
    }

    /// What the daemon has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.daemon.as_ref().map(Program::log).unwrap_or_default()
    }

    /// The row of `iotedge list` for a module.
    pub fn module(&self, name: &str) -> Result<Value> {
        // It lists and fails when the engine does not tell how the modules are.
        let listed = self.iotedge("list --output json")?;
        let modules: Value =
            serde_json::from_str(&listed.stdout).with_context(|| format!("{listed:?}"))?;
        let mut rows = modules.as_array().into_iter().flatten();
        let row = rows.find(|row| row["name"] == name).cloned();
        row.with_context(|| format!("no {name} in {modules}"))
    }

    /// Waits until `iotedge list` shows a module as running.
    pub async fn wait_until_running(&self, module: &str, limit: Duration) -> Result<Value> {
        let what = format!("module {module} of {} running", self.name);
        let waited = until(&what, limit, || async {
            let row = self.module(module)?;
            ensure!(row["status"] == "running", "it is {row}");
            Ok(row)
        });
        waited
            .await
            .with_context(|| format!("the daemon's log:\n{}", self.log()))
    }
}
