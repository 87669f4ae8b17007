//! How many connections this process may hold, by its configuration and by its limit of open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::unproven::ConnectionLimits;

/// Descriptors for everything but connections: storage, event logs, outbound calls.
const OTHER_FILES: usize = 256;
/// Connections that may wait for their handshake, on each port.
const MAX_QUEUED: usize = 8192;
/// Bytes of incomplete requests of all unproven connections together.
const UNPROVEN_INPUT: usize = 32 * 1024 * 1024;

/// The connections that the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Connections of both ports together.
    pub connections: usize,
    /// Those of them that may be unproven; `None` for a tenth.
    pub unproven: Option<usize>,
    /// Unproven ones of one address.
    pub unproven_per_address: usize,
}

/// The connections that the process can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections by whether their clients have proved themselves.
    pub limits: ConnectionLimits,
    /// Connections that may wait for their handshake, on each of two ports.
    pub max_queued: usize,
}

impl Budget {
    /// Raises the limit of open files as far as the system allows, and divides it.
    #[must_use]
    pub fn of_this_process(wanted: Wanted) -> Self {
        let files = raise_files();
        let budget = Self::new(wanted, files);
        let held = budget.limits.proven + budget.limits.unproven;
        if held < wanted.connections {
            tracing::warn!(
                "the system grants this process {files} open files: it holds {held} connections \
                 and not {}; raise `ulimit -n` (LimitNOFILE in systemd) to {}",
                wanted.connections,
                wanted.connections + 2 * MAX_QUEUED + OTHER_FILES,
            );
        }
        budget
    }

    fn new(wanted: Wanted, files: usize) -> Self {
        let files = files.saturating_sub(OTHER_FILES).max(32);
        let max_queued = (files / 16).min(MAX_QUEUED);
        let connections = wanted.connections.min(files - 2 * max_queued).max(2);
        let unproven = wanted.unproven.unwrap_or(connections / 10);
        let unproven = unproven.clamp(1, connections - 1);
        Self {
            limits: ConnectionLimits {
                proven: connections - unproven,
                unproven,
                unproven_per_address: wanted.unproven_per_address,
                unproven_input: UNPROVEN_INPUT,
            },
            max_queued,
        }
    }
}

/// The number of files that may be open, after it was raised as far as it can be.
fn raise_files() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // The least that systems grant.
        return 1024;
    };
    let granted = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    usize::try_from(granted).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        connections: 100_000,
        unproven: None,
        unproven_per_address: 500,
    };

    #[test]
    fn a_tenth_may_be_unproven_and_the_rest_may_not() {
        let budget = Budget::new(WANTED, 1_000_000);
        let limits = budget.limits;
        assert_eq!((limits.proven, limits.unproven), (90_000, 10_000));
        assert_eq!(budget.max_queued, MAX_QUEUED);
        let unproven = Some(40);
        let small = Wanted {
            connections: 100,
            unproven,
            ..WANTED
        };
        let limits = Budget::new(small, 1_000_000).limits;
        assert_eq!((limits.proven, limits.unproven), (60, 40));
    }

    #[test]
    fn no_more_is_held_than_files_may_be_open() {
        for files in [0, 300, 1024, 65_536, 110_000] {
            let budget = Budget::new(WANTED, files);
            let held = budget.limits.proven + budget.limits.unproven;
            assert!(budget.limits.proven > 0 && budget.limits.unproven > 0);
            let open = held + 2 * budget.max_queued + OTHER_FILES;
            assert!(open <= files.max(OTHER_FILES + 32), "{files}: {open}");
        }
    }
}
