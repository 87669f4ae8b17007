//! A Moby engine to run modules on: one that answers already, or one of our
//! own with its own data, socket and end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::bail;

use crate::child::Running;
use crate::console::say;
use crate::docker;
use crate::folder;
use crate::interrupt::Interrupt;
use crate::journal::Journal;
use crate::package;
use crate::wait::{Probe, until};
use crate::workspace::{Workspace, environment};

/// Debian's and Ubuntu's package of Moby.
const PACKAGE: &str = "docker.io";

/// A unix socket's path must fit `sun_path` (unix(7)), with room to spare.
const MAX_SOCKET_PATH: usize = 100;

/// How long an engine may take to answer after its start.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine for the time of one verb.
pub(crate) struct Engine {
    api: docker::Engine,
    own: Option<Own>,
}

/// What goes when an engine of ours goes.
struct Own {
    daemon: Running,
    folders: [PathBuf; 2],
}

impl Engine {
    /// The engine named by the environment or at the usual socket if it
    /// answers, else one of our own. Nothing on a found engine is touched but
    /// what carries our label.
    pub(crate) fn find_or_start(
        workspace: &Workspace,
        journal: &Journal,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        for socket in named_sockets() {
            let api = docker::Engine::at(&socket);
            if let Ok(version) = api.version() {
                say(format!(
                    "Moby {version} answers at {socket}; it is used as it is"
                ));
                return Ok(Self { api, own: None });
            }
        }
        Self::start_own(workspace, journal, interrupt)
    }

    /// An engine of our own; installs the distribution's package if there is no `dockerd`.
    pub(crate) fn start_own(
        workspace: &Workspace,
        journal: &Journal,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        require_root()?;
        package::ensure("dockerd", PACKAGE)?;
        match Self::start_with(None, workspace, journal, interrupt) {
            Ok(engine) => Ok(engine),
            Err(error) => {
                interrupt.or_go_on()?;
                say(format!(
                    "{error:#}\ntrying again with the vfs storage driver"
                ));
                Self::start_with(Some("vfs"), workspace, journal, interrupt)
            }
        }
    }

    fn start_with(
        driver: Option<&str>,
        workspace: &Workspace,
        journal: &Journal,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let sockets = tempfile::Builder::new()
            .prefix("muster-engine-")
            .tempdir()?
            .keep();
        journal.directory(&sockets)?;
        let socket = short_socket(&sockets)?;
        let folder = workspace.scratch(&format!("engine/{}", std::process::id()))?;
        journal.directory(&folder)?;
        let log = folder.join("dockerd.log");
        let mut command = dockerd(&sockets, &socket, &folder.join("data"), driver);
        let mut daemon = Running::start("dockerd", &mut command, &log, journal)?;
        let api = docker::Engine::at(&socket);
        journal.engine(&api.socket())?;
        let version = until("dockerd to answer", PATIENCE, interrupt, || {
            if let Some(why) = daemon.ended()? {
                bail!("{why}");
            }
            Ok(match api.version() {
                Ok(version) => Probe::Yes(version),
                Err(error) => Probe::NotYet(format!("{error:#}")),
            })
        })?;
        say(format!(
            "started Moby {version} of our own (log: {})",
            log.display()
        ));
        Ok(Self {
            api,
            own: Some(Own {
                daemon,
                folders: [folder, sockets],
            }),
        })
    }

    /// Whether somebody else runs it.
    pub(crate) fn is_found(&self) -> bool {
        self.own.is_none()
    }

    pub(crate) fn api(&self) -> &docker::Engine {
        &self.api
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            if let Err(error) = self.api.clear() {
                say(format!(
                    "could not empty the engine before its end: {error:#}"
                ));
            }
            own.daemon.stop();
            for folder in &own.folders {
                if let Err(error) = folder::remove(folder) {
                    say(format!("{error:#}"));
                }
            }
        }
    }
}

fn short_socket(folder: &Path) -> anyhow::Result<PathBuf> {
    let socket = folder.join("docker.sock");
    if socket.as_os_str().len() > MAX_SOCKET_PATH {
        bail!(
            "{} is too long for a unix socket; set TMPDIR to a shorter folder",
            socket.display()
        );
    }
    Ok(socket)
}

/// The daemon with everything of its own and no rules in the host's firewall:
/// modules of the demo and the tests use the host's network.
fn dockerd(run_dir: &Path, socket: &Path, data: &Path, driver: Option<&str>) -> Command {
    let mut command = Command::new("dockerd");
    command
        .arg("--host")
        .arg(format!("unix://{}", socket.display()))
        .arg("--data-root")
        .arg(data)
        .arg("--exec-root")
        .arg(run_dir.join("exec"))
        .arg("--pidfile")
        .arg(run_dir.join("docker.pid"))
        .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
    if let Some(driver) = driver {
        command.args(["--storage-driver", driver]);
    }
    command
}

/// Sockets of engines that somebody else runs, by preference.
pub(crate) fn named_sockets() -> Vec<String> {
    ["MUSTER_TEST_ENGINE", "DOCKER_HOST"]
        .into_iter()
        .filter_map(environment)
        .chain(["unix:///var/run/docker.sock".to_owned()])
        .filter_map(|uri| uri.strip_prefix("unix://").map(str::to_owned))
        .collect()
}

fn require_root() -> anyhow::Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    bail!(
        "no container engine answers, and starting one needs root. Start Docker or Moby, \
         name its socket (DOCKER_HOST=unix:///path), or run this command as root"
    )
}
