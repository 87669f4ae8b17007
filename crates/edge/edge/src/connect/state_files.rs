//! What the cloud's side keeps on disk.

use std::path::{Path, PathBuf};

/// Where the cloud's side keeps its state.
#[derive(Debug, Clone)]
pub struct StateFiles {
    /// The assignment.
    pub assignment: PathBuf,
    /// Module identities.
    pub modules: PathBuf,
    /// The last desired properties.
    pub desired: PathBuf,
}

impl StateFiles {
    /// Under the daemon's state folder.
    #[must_use]
    pub fn under(state: &Path) -> Self {
        let file = |name: &str| state.join(name);
        Self {
            assignment: file("assignment.json"),
            modules: file("modules.json"),
            desired: file("desired.json"),
        }
    }
}
