//! What the daemon does before it starts anything: permissions, the
//! lock, the applied configuration.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use keys::KeyError;
use nix::fcntl::{Flock, FlockArg};

use crate::config::{ApplyError, Config, read_applied};
use crate::files::durable::DurableError;
use crate::files::paths::Paths;
use crate::files::permissions::{AccessError, PRIVATE_FILE, narrow};

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(
        "another aziot-edged runs on {}; stop it first, or choose another --root",
        .0.display()
    )]
    AlreadyRunning(PathBuf),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Files(#[from] DurableError),
    #[error("the keys of modules cannot be opened")]
    Keys(#[from] KeyError),
    /// The applied configuration is not valid. Another start would fail too.
    #[error("the applied configuration cannot be used")]
    Settings(#[from] ApplyError),
}

pub(super) fn narrow_permissions(paths: &Paths) -> Result<(), AccessError> {
    for narrowed in narrow(paths)? {
        tracing::warn!(
            path = %narrowed.path.display(),
            was = %format_args!("{:04o}", narrowed.was),
            is = %format_args!("{:04o}", narrowed.is),
            "other users of this machine could use a file of the device; they cannot any more"
        );
    }
    Ok(())
}

/// Only one daemon runs on a root folder.
pub(super) fn lock(paths: &Paths) -> Result<Flock<File>, DaemonError> {
    let path = paths.lock();
    let mut options = File::options();
    let opened = options
        .create(true)
        .append(true)
        .mode(PRIVATE_FILE)
        .open(&path);
    let file = opened.map_err(|source| DurableError::Io {
        what: "open",
        path: path.clone(),
        source,
    })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => DaemonError::AlreadyRunning(paths.root().to_owned()),
        other => DurableError::Io {
            what: "lock",
            path,
            source: io::Error::from(other),
        }
        .into(),
    })
}

/// The applied configuration, if there is one.
pub(super) fn load(paths: &Paths) -> Result<Option<Config>, ApplyError> {
    let Some(text) = read_applied(&paths.applied())? else {
        return Ok(None);
    };
    let parsed = Config::parse(&text);
    let faulty = |faults| ApplyError::Faults {
        path: paths.applied(),
        faults,
    };
    parsed.map(|(config, _)| Some(config)).map_err(faulty)
}
