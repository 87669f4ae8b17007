//! The demo's `muster serve`: on Azure's ports where it may, on free ones where it may not.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::child::Running;
use crate::console::say;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::wait::{Probe, until};
use crate::workspace::{Workspace, capture};

use super::operator::DATA_DIR;

const HTTPS: u16 = 443;
const MQTTS: u16 = 8883;
const ADDRESS: &str = "127.0.0.1";
const HOSTNAME: &str = "localhost";

/// How long the server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server and how to reach it.
pub(crate) struct Server {
    process: Running,
    access: Access,
}

/// What a device needs to know about the server.
pub(crate) struct Access {
    /// `https://localhost` or `https://localhost:PORT`.
    pub(crate) endpoint: String,
    pub(crate) id_scope: String,
    /// The certificate that devices trust the server by.
    pub(crate) ca: PathBuf,
}

impl Server {
    pub(crate) fn start(
        workspace: &Workspace,
        work: &Path,
        interrupt: &Interrupt,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let data_dir = work.join(DATA_DIR);
        let (https, mqtts) = ports()?;
        let mut command = serve(workspace, &data_dir, https, mqtts);
        let log = work.join("server.log");
        let mut process = Running::start("muster serve", &mut command, &log, journal)?;
        until("the server to be ready", PATIENCE, interrupt, || {
            if let Some(why) = process.ended()? {
                bail!("{why}");
            }
            // Printed once its listeners are bound and its storage is open.
            let log = process.log_text();
            let ready = log.lines().any(|line| line.starts_with("ready "));
            Ok(match ready {
                true => Probe::Yes(()),
                false => Probe::NotYet("no line `ready …` in its output yet".to_owned()),
            })
        })?;
        let access = Access::of(workspace, &data_dir, https)?;
        say(format!(
            "muster serve is ready at {} (MQTT on {mqtts}), ID scope {}",
            access.endpoint, access.id_scope
        ));
        Ok(Self { process, access })
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    pub(crate) fn or_why_it_ended(&mut self) -> anyhow::Result<()> {
        match self.process.ended()? {
            None => Ok(()),
            Some(why) => bail!("{why}"),
        }
    }
}

impl Access {
    fn of(workspace: &Workspace, data_dir: &Path, https: u16) -> anyhow::Result<Self> {
        let text = capture(
            Command::new(workspace.program("muster"))
                .args(["show", "--output", "json", "--data-dir"])
                .arg(data_dir),
        )?;
        let answer: Value = serde_json::from_str(&text).context("`muster show` wrote no JSON")?;
        let field = |name: &str| {
            answer[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("`muster show` names no {name}"))
        };
        let endpoint = if https == HTTPS {
            format!("https://{HOSTNAME}")
        } else {
            format!("https://{HOSTNAME}:{https}")
        };
        Ok(Self {
            endpoint,
            id_scope: field("idScope")?,
            ca: PathBuf::from(field("serverCa")?),
        })
    }
}

fn serve(workspace: &Workspace, data_dir: &Path, https: u16, mqtts: u16) -> Command {
    let mut command = Command::new(workspace.program("muster"));
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--hostname", HOSTNAME, "--listen", ADDRESS])
        .args(["--https-port", &https.to_string()])
        .args(["--mqtts-port", &mqtts.to_string()]);
    command
}

/// Azure's ports if both can be bound, else two free ones.
fn ports() -> anyhow::Result<(u16, u16)> {
    let bindable = |port| TcpListener::bind((ADDRESS, port)).is_ok();
    if bindable(HTTPS) && bindable(MQTTS) {
        return Ok((HTTPS, MQTTS));
    }
    say(format!(
        "{HTTPS} and {MQTTS} cannot both be bound on {ADDRESS}; free ports are taken instead"
    ));
    // Both listeners live until both ports are known, so that they differ.
    let first = TcpListener::bind((ADDRESS, 0))?;
    let second = TcpListener::bind((ADDRESS, 0))?;
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}
