//! How many there may be.

/// Modules of a device, its system modules not counted; a deployment may name as many.
pub const MAX_MODULES: usize = 50;
/// Configurations of a hub.
pub const MAX_CONFIGURATIONS: usize = 100;
/// Hubs that live in a data directory.
pub const MAX_HUBS: usize = 100;
/// Former host names that are remembered; the server's certificate names each.
pub(crate) const MAX_FORMER_HOSTS: usize = 100;
/// Jobs of a hub that have not ended.
pub const MAX_OPEN_JOBS: usize = 1000;
/// Jobs of a hub that run at once, as in a hub of Azure's largest tier; the others wait.
pub const MAX_RUNNING_JOBS: usize = 10;
