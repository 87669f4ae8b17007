use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::Server;
use crate::python::interpreter;

/// Longest wait for the next line: SDKs retry by themselves for half a minute.
const PATIENCE: Duration = Duration::from_secs(90);
/// Where the scripts are, beside the stories that run them.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// A script on an unmodified SDK, which prints one JSON object a line; killed when this value goes.
#[derive(Debug)]
pub struct Script {
    process: Child,
    lines: Receiver<std::io::Result<String>>,
}

/// The language of an SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// CPython, with the packages that `cargo xtask test` installs.
    Python,
    Node,
}

impl Script {
    /// Starts the script `name` (without its ending) against a server, which it trusts and nobody
    /// else, with its settings.
    pub fn start(
        language: Language,
        name: &str,
        server: &Server,
        settings: &Value,
    ) -> Result<Self> {
        let mut command = language.command(name)?;
        trust_only(&mut command, &server.ca()?);
        let mut process = command
            .arg(settings.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {language:?}"))?;
        let stdout = process.stdout.take().context("no standard output")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { process, lines })
    }

    /// The next object that it prints.
    pub fn next_line(&mut self) -> Result<Value> {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.context("the script ended, or said nothing for too long")??;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Language {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner hands the packages of Node over in the environment"
    )]
    fn command(self, name: &str) -> Result<Command> {
        Ok(match self {
            Self::Python => {
                let mut command = interpreter()?;
                command.arg(format!("{FOLDER}/{name}.py"));
                command
            }
            Self::Node => {
                let modules = std::env::var("MUSTER_TEST_NODE_MODULES");
                let modules = modules.context(
                    "MUSTER_TEST_NODE_MODULES is not set; run the tests with `cargo xtask test`",
                )?;
                let mut command = Command::new("node");
                command
                    .arg(format!("{FOLDER}/{name}.js"))
                    .env("NODE_PATH", modules);
                command
            }
        })
    }
}

/// Machines may have any of these set; a story must not depend on it.
fn trust_only(command: &mut Command, ca: &Path) {
    for name in ["SSL_CERT_DIR", "CURL_CA_BUNDLE", "NODE_OPTIONS"] {
        command.env_remove(name);
    }
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
        command.env(name, ca);
    }
}
