//! The files in which the connection keeps its state.

use std::path::{Path, PathBuf};

/// The files in which the connection keeps its state.
#[derive(Debug, Clone)]
pub struct StateFiles {
    pub assignment: PathBuf,
    pub modules: PathBuf,
    /// The last desired properties.
    pub desired: PathBuf,
}

impl StateFiles {
    /// The files in the daemon's state folder.
    #[must_use]
    pub fn in_folder(state: &Path) -> Self {
        Self {
            assignment: state.join("assignment.json"),
            modules: state.join("modules.json"),
            desired: state.join("desired.json"),
        }
    }
}
