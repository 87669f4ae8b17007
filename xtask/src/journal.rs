//! What a verb made and must take away, written down before it is needed: a
//! run that was killed leaves its journal, and the next run sweeps it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nix::unistd::Pid;

use crate::console::say;
use crate::{child, docker, folder};

/// An append-only file of lines: `owner PID START`, then
/// `process PID START NAME`, `directory PATH`, `engine SOCKET` (one of ours),
/// `image SOCKET NAME` and `containers SOCKET LABEL`.
pub(crate) struct Journal {
    path: PathBuf,
}

/// The end of a journal's file name; what is before it is the owner's id.
const SUFFIX: &str = ".journal";

impl Journal {
    /// Sweeps what runs that are no more have left in `folder`, then begins the
    /// journal of this one. Runs that live are left alone.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let is_journal = path.to_string_lossy().ends_with(SUFFIX);
            if is_journal && !owner_lives(&path) {
                Self { path }.sweep();
            }
        }
        let pid = std::process::id();
        let journal = Self {
            path: folder.join(format!("{pid}{SUFFIX}")),
        };
        let start = pid_start(pid).unwrap_or_default();
        journal.append(&format!("owner {pid} {start}"))?;
        Ok(journal)
    }

    pub(crate) fn process(&self, pid: u32, name: &str) -> anyhow::Result<()> {
        let start = pid_start(pid).unwrap_or_default();
        self.append(&format!("process {pid} {start} {name}"))
    }

    pub(crate) fn directory(&self, path: &Path) -> anyhow::Result<()> {
        self.append(&format!("directory {}", path.display()))
    }

    /// An engine that we started ourselves.
    pub(crate) fn engine(&self, socket: &str) -> anyhow::Result<()> {
        self.append(&format!("engine {socket}"))
    }

    /// Containers that carry `label` (`key=value`) on the engine at `socket`.
    pub(crate) fn containers(&self, socket: &str, label: &str) -> anyhow::Result<()> {
        self.append(&format!("containers {socket} {label}"))
    }

    /// An image that was not there before.
    pub(crate) fn image(&self, socket: &str, name: &str) -> anyhow::Result<()> {
        self.append(&format!("image {socket} {name}"))
    }

    /// Undoes every line: containers first (their engine may be ours), then
    /// processes, newest first, then directories.
    pub(crate) fn sweep(&self) {
        let Ok(text) = std::fs::read_to_string(&self.path) else {
            return;
        };
        let lines: Vec<&str> = text.lines().rev().collect();
        for line in &lines {
            empty_engine(line);
        }
        for line in &lines {
            if let Some(rest) = line.strip_prefix("process ") {
                end_if_still_the_same(rest);
            }
        }
        for line in &lines {
            if let Some(path) = line.strip_prefix("directory ")
                && let Err(error) = folder::remove(Path::new(path))
            {
                say(format!("{error:#}"));
            }
        }
        let _ = std::fs::remove_file(&self.path);
    }

    fn append(&self, line: &str) -> anyhow::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        writeln!(file, "{line}")?;
        Ok(())
    }
}

fn owner_lives(journal: &Path) -> bool {
    let text = std::fs::read_to_string(journal).unwrap_or_default();
    let mut words = text.lines().next().unwrap_or_default().split(' ').skip(1);
    let pid = words.next().and_then(|pid| pid.parse().ok());
    let start = words.next();
    pid.and_then(pid_start)
        .is_some_and(|now| Some(now.as_str()) == start)
}

/// Undoes a line about an engine. One that no longer answers has nothing to undo,
/// so errors of the calls are dropped.
fn empty_engine(line: &str) {
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("containers"), Some(socket), Some(label)) => {
            let removed = docker::Engine::at(socket).remove_by_label(label);
            if let Ok(removed @ 1..) = removed {
                say(format!("removed {removed} containers labelled {label}"));
            }
        }
        (Some("image"), Some(socket), Some(name)) => {
            let _ = docker::Engine::at(socket).remove_image(name);
        }
        (Some("engine"), Some(socket), None) => {
            let _ = docker::Engine::at(socket).clear();
        }
        _ => {}
    }
}

/// Ends `PID START NAME` only if the process with that id still has that start
/// time: ids are used again.
fn end_if_still_the_same(entry: &str) {
    let mut words = entry.splitn(3, ' ');
    let (Some(pid), Some(start)) = (words.next(), words.next()) else {
        return;
    };
    let Ok(number) = pid.parse::<u32>() else {
        return;
    };
    if pid_start(number).is_some_and(|now| now == start)
        && let Some(pid) = self::pid(number)
    {
        child::end(pid, || pid_start(number).is_none_or(|now| now != start));
    }
}

/// A process id as the signal call wants it.
pub(crate) fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().map(Pid::from_raw)
}

/// The start time of a running process in clock ticks since boot: field 22 of
/// `/proc/PID/stat` (proc(5)). A zombie counts as gone.
fn pid_start(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold spaces.
    let after_name = stat.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19).map(|start| (*start).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_start_time_is_stable_and_numeric() {
        let first = pid_start(std::process::id()).unwrap();
        assert_eq!(pid_start(std::process::id()), Some(first.clone()));
        assert!(first.parse::<u64>().is_ok(), "{first}");
    }

    #[test]
    fn a_process_with_another_start_time_is_left_alone() {
        let mut other = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        end_if_still_the_same(&format!("{} 1 sleep", other.id()));
        assert!(other.try_wait().unwrap().is_none());
        let start = pid_start(other.id()).unwrap();
        end_if_still_the_same(&format!("{} {start} sleep", other.id()));
        assert!(!other.wait().unwrap().success());
    }

    #[test]
    fn sweeping_removes_directories_and_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("made");
        std::fs::create_dir(&made).unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        journal.directory(&made).unwrap();
        journal.sweep();
        assert!(!made.exists());
        assert!(!journal.path.exists());
    }

    #[test]
    fn the_journal_of_an_ended_run_is_swept_and_that_of_a_running_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let [ended, running] = ["ended", "running"].map(|name| dir.path().join(name));
        std::fs::create_dir(&ended).unwrap();
        std::fs::create_dir(&running).unwrap();
        let us = std::process::id();
        let start = pid_start(us).unwrap();
        let write = |name: &str, owner: String, made: &Path| {
            let text = format!("owner {owner}\ndirectory {}\n", made.display());
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        write("1.journal", format!("{us} 1"), &ended);
        write("2.journal", format!("{us} {start}"), &running);
        Journal::open(dir.path()).unwrap();
        assert!(!ended.exists());
        assert!(running.exists());
    }
}
