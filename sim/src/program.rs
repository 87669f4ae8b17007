use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where cargo put a program of the workspace, seen from this test program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("this program's path")?;
    let path = here
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    path.with_context(|| {
        format!(
            "{name} is not built beside {}; run `cargo build --workspace`",
            here.display()
        )
    })
}

/// What a program that ran to its end left.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code, if it was not ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// Standard output of a program that succeeded.
    pub fn ok(self) -> Result<String> {
        ensure!(
            self.code == Some(0),
            "exit code {:?}\n{}\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }

    /// Standard output of a program that succeeded, as JSON.
    pub fn json(self) -> Result<serde_json::Value> {
        let text = self.ok()?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// The same; null when it printed nothing.
    pub(crate) fn json_or_null(self) -> Result<serde_json::Value> {
        match self.stdout.trim().is_empty() {
            true => self.ok().map(|_| serde_json::Value::Null),
            false => self.json(),
        }
    }
}

/// Runs a program to its end; the runtime does other things meanwhile.
pub async fn run_to_end(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Finished> {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    Ok(output.into())
}

/// Runs a program to its end.
pub fn run(
    program: &Path,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Finished> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    Ok(output.into())
}

/// A program that runs beside the test; killed when this value goes.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command`; what it prints goes to the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file.try_clone().context("a second handle of the log")?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Fails when the program has ended, with what it printed.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the program ended ({status}):\n{}", self.log()),
        }
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("SIGKILL")?;
        self.child.wait().context("waiting for the end")?;
        Ok(())
    }

    /// kill -9 while others use it: [`kill`](Self::kill) also waits until it is gone.
    pub fn strike(&self) -> Result<()> {
        let id = i32::try_from(self.child.id()).context("process id")?;
        kill(Pid::from_raw(id), Signal::SIGKILL).context("SIGKILL")
    }

    /// SIGTERM, and waits for the end; its exit code.
    pub fn terminate(&mut self) -> Result<Option<i32>> {
        let id = i32::try_from(self.child.id()).context("process id")?;
        kill(Pid::from_raw(id), Signal::SIGTERM).context("SIGTERM")?;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the program did not end on SIGTERM:\n{}", self.log())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
