//! A process that a verb started: its log, its end by its own id.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::journal::{self, Journal};

/// How long a process may take to end after SIGTERM before SIGKILL.
const GRACE: Duration = Duration::from_secs(25);

/// A running process of ours; dropping it ends it.
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` in its own process group, so that a Ctrl-C in the
    /// terminal reaches only us and the order of the end stays ours.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        log: &Path,
        journal: &Journal,
    ) -> anyhow::Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        journal.process(child.id(), name)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_path_buf(),
        })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<String>> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(None);
        };
        Ok(Some(format!(
            "{} ended early ({status}). The end of its log {}:\n{}",
            self.name,
            self.log.display(),
            tail(&self.log, 2_000)
        )))
    }

    /// Whether it ended well, once it ended.
    pub(crate) fn succeeded(&mut self) -> anyhow::Result<Option<bool>> {
        Ok(self.child.try_wait()?.map(|status| status.success()))
    }

    /// What it wrote so far.
    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGTERM, then SIGKILL after the grace.
    pub(crate) fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(pid) = journal::pid(self.child.id()) {
            end(pid, || !matches!(self.child.try_wait(), Ok(None)));
        }
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks a process to end, waits, and kills it when it does not.
pub(crate) fn end(pid: Pid, mut gone: impl FnMut() -> bool) {
    if nix::sys::signal::kill(pid, Signal::SIGTERM).is_err() {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
}

/// The last `bytes` of a file, for error messages.
pub(crate) fn tail(path: &Path, bytes: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut kept = Vec::new();
        file.read_to_end(&mut kept)?;
        Ok(String::from_utf8_lossy(&kept).into_owned())
    };
    read().unwrap_or_else(|error| format!("(cannot read {}: {error})", path.display()))
}
