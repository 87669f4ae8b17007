//! The daemon's log: on standard error for a supervisor, and in a file for `iotedge system logs`.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::files::durable::{self, DurableError, make_folder};
use crate::files::paths::Paths;
use crate::files::permissions::LOG_FILE;
use crate::local_api::management::SetLogLevel;

/// The size at which the file is renamed, bytes.
const LARGEST: u64 = 10 * 1024 * 1024;
/// How many older files are kept.
const KEPT: usize = 3;
/// The levels that an owner can choose.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error(transparent)]
    File(#[from] DurableError),
    #[error("logging is set up already")]
    Twice(#[from] TryInitError),
}

/// Starts logging. The level of `iotedge system set-log-level` comes before `level`, which is
/// that of the environment.
pub fn start(paths: &Paths, level: Option<&str>) -> Result<SetLogLevel, LoggingError> {
    let chosen = std::fs::read_to_string(paths.log_level()).ok();
    let level = chosen
        .as_deref()
        .or(level)
        .and_then(|text| parse(text.trim()))
        .unwrap_or(LevelFilter::INFO);
    let file = LogFile::open(&paths.log(), LARGEST)?;
    let (filter, handle) = reload::Layer::<LevelFilter, Registry>::new(level);
    let to_error = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let to_file = fmt::layer().with_writer(file).with_ansi(false);
    tracing_subscriber::registry()
        .with(filter.and_then(to_error).and_then(to_file))
        .try_init()?;
    let kept = paths.log_level();
    Ok(Arc::new(move |text: &str| {
        let level =
            parse(text).ok_or_else(|| format!("{text:?} is not one of {}", LEVELS.join(", ")))?;
        durable::write(&kept, text.to_ascii_lowercase().as_bytes())
            .map_err(|error| error.to_string())?;
        handle.reload(level).map_err(|error| error.to_string())
    }))
}

/// Starts the logging of a role: lines that begin with their level, for the daemon, which adds them
/// to its own log.
pub fn start_role() -> Result<(), LoggingError> {
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .without_time()
        .with_target(false);
    tracing_subscriber::registry()
        .with(LevelFilter::INFO.and_then(lines))
        .try_init()?;
    Ok(())
}

fn parse(text: &str) -> Option<LevelFilter> {
    LEVELS
        .iter()
        .any(|level| level.eq_ignore_ascii_case(text))
        .then(|| text.parse().ok())
        .flatten()
}

/// A file that is renamed when it is large: `x.log` becomes `x.log.1`, and so on.
#[derive(Debug, Clone)]
struct LogFile(Arc<Mutex<Rotating>>);

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    largest: u64,
}

impl LogFile {
    fn open(path: &Path, largest: u64) -> Result<Self, DurableError> {
        make_folder(path.parent().unwrap_or(Path::new("/")))?;
        let opened = append(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = opened.map_err(|source| DurableError::Io {
            what: "open",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self(Arc::new(Mutex::new(Rotating {
            path: path.to_owned(),
            file,
            size,
            largest,
        }))))
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(LOG_FILE)
        .open(path)
}

impl Rotating {
    fn rotate(&mut self) -> io::Result<()> {
        let aside = |index: usize| PathBuf::from(format!("{}.{index}", self.path.display()));
        for index in (1..KEPT).rev() {
            // Some of them may be missing.
            let _ = rename(aside(index), aside(index + 1));
        }
        rename(&self.path, aside(1))?;
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.size >= log.largest {
            log.rotate()?;
        }
        let written = log.file.write(text)?;
        log.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .file
            .flush()
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_put_aside_and_only_some_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let mut log = LogFile::open(&path, 10).unwrap();
        for line in 0..12 {
            log.write_all(format!("line {line:03}\n").as_bytes())
                .unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(read("x.log"), "line 010\nline 011\n");
        assert_eq!(read("x.log.1"), "line 008\nline 009\n");
        assert!(dir.path().join("x.log.3").exists() && !dir.path().join("x.log.4").exists());
    }

    #[test]
    fn levels_are_the_five_words() {
        assert_eq!(parse("WARN"), Some(LevelFilter::WARN));
        assert_eq!(parse("off"), None);
        assert_eq!(parse("5"), None);
    }
}
