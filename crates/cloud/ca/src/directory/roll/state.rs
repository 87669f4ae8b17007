//! How far a roll has come: a file that is written whole, and is there while one is in progress.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ids::{Thumbprint, Timestamp};
use serde::{Deserialize, Serialize};

use crate::layout::CaPaths;
use crate::{CaError, RollProblem, files, layout};

/// What is rolled. Each has a roll of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::directory) enum Rolled {
    Intermediate,
    Root,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Phase {
    /// The new files are being put in place.
    Starting,
    /// The new CA issues; certificates of both are valid.
    InProgress,
    /// The old files are being put back.
    Abandoning,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    pub(super) phase: Phase,
    /// The SHA-256 of the two certificates.
    pub(super) previous: Thumbprint,
    pub(super) next: Thumbprint,
    pub(super) started: Timestamp,
}

impl Rolled {
    pub(super) fn current(self, dir: &Path) -> CaPaths {
        match self {
            Self::Intermediate => layout::intermediate(dir),
            Self::Root => layout::root(dir),
        }
    }

    /// What it replaces, while it is rolled.
    pub(super) fn previous(self, dir: &Path) -> CaPaths {
        match self {
            Self::Intermediate => layout::previous_intermediate(dir),
            Self::Root => layout::previous_root(dir),
        }
    }

    /// What a start makes before it replaces anything.
    pub(super) fn next(self, dir: &Path) -> CaPaths {
        match self {
            Self::Intermediate => layout::next_intermediate(dir),
            Self::Root => layout::next_root(dir),
        }
    }

    fn path(self, dir: &Path) -> PathBuf {
        layout::index(dir).join(match self {
            Self::Intermediate => "roll.json",
            Self::Root => "root-roll.json",
        })
    }

    pub(super) fn state(self, dir: &Path) -> Result<Option<State>, CaError> {
        let path = self.path(dir);
        match fs::read(&path) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(state) => Ok(Some(state)),
                Err(_) => Err(CaError::Record { path, line: 1 }),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CaError::Read { path, source }),
        }
    }

    pub(super) fn save(self, dir: &Path, state: &State) -> Result<(), CaError> {
        let path = self.path(dir);
        let text = serde_json::to_string(state).map_err(|error| CaError::Write {
            path: path.clone(),
            source: error.into(),
        })?;
        files::write_public(&path, &text)?;
        files::sync_dir(&layout::index(dir))
    }

    /// Ends the roll, if there is one.
    pub(super) fn remove_state(self, dir: &Path) -> Result<(), CaError> {
        let path = self.path(dir);
        match fs::remove_file(&path) {
            Ok(()) => files::sync_dir(&layout::index(dir)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(CaError::Write { path, source }),
        }
    }

    /// Refuses to use a CA whose files may not belong together.
    pub(in crate::directory) fn require_settled(self, dir: &Path) -> Result<(), CaError> {
        match self.state(dir)?.map(|state| state.phase) {
            None | Some(Phase::InProgress) => Ok(()),
            Some(Phase::Starting | Phase::Abandoning) => Err(CaError::Roll(match self {
                Self::Intermediate => RollProblem::Interrupted,
                Self::Root => RollProblem::RootInterrupted,
            })),
        }
    }
}
