use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Path;

/// Which desired properties of a twin are there because of configurations. Stored beside the twin,
/// so that they go when no configuration asks for them, and nothing else goes with them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Owned {
    /// What configurations set, or keep absent.
    pub(super) paths: BTreeSet<Path>,
    /// Objects that were made to hold a path. They go when they are empty.
    pub(super) containers: BTreeSet<Path>,
}

impl std::fmt::Display for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Sets of texts have nothing that cannot be written.
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

impl Owned {
    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}
