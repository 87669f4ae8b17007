//! How many connections this process may hold, by its configuration and by what the system grants it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::accept::Room;

/// Descriptors for the storage, the log of events, calls to others and what else is open.
const OTHER_FILES: usize = 256;
/// Connections that wait for their handshake, on each port, at most.
const WAITING: usize = 8192;
/// Bytes of requests that are not whole, of all strangers together.
const UNPROVEN_INPUT: usize = 32 * 1024 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Connections altogether.
    pub connections: usize,
    /// Those of them that have proved nothing; without one a tenth.
    pub unproven: Option<usize>,
    /// Those of them of one address.
    pub unproven_per_address: usize,
}

/// What there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections by whether their clients have proved themselves.
    pub room: Room,
    /// Connections that wait for their handshake, on each of two ports.
    pub waiting: usize,
}

impl Budget {
    /// Asks the system for as many descriptors as it gives, and divides them.
    pub fn of_this_process(wanted: Wanted) -> Self {
        let files = raise_files();
        let budget = Self::new(wanted, files);
        let held = budget.room.proven + budget.room.unproven;
        if held < wanted.connections {
            tracing::warn!(
                "the system grants this process {files} open files: it holds {held} connections and not {}; raise `ulimit -n` (LimitNOFILE in systemd) to {}",
                wanted.connections,
                wanted.connections + 2 * WAITING + OTHER_FILES,
            );
        }
        budget
    }

    fn new(wanted: Wanted, files: usize) -> Self {
        let files = files.saturating_sub(OTHER_FILES).max(32);
        let waiting = (files / 16).min(WAITING);
        let connections = wanted.connections.min(files - 2 * waiting).max(2);
        let unproven = wanted.unproven.unwrap_or(connections / 10);
        let unproven = unproven.clamp(1, connections - 1);
        Self {
            room: Room {
                proven: connections - unproven,
                unproven,
                unproven_per_address: wanted.unproven_per_address,
                unproven_input: UNPROVEN_INPUT,
            },
            waiting,
        }
    }
}

/// The number of files that may be open, after it was raised as far as it can be.
fn raise_files() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        // What every system grants.
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
    fn a_tenth_is_for_strangers_and_the_rest_is_not() {
        let budget = Budget::new(WANTED, 1_000_000);
        assert_eq!((budget.room.proven, budget.room.unproven), (90_000, 10_000));
        assert_eq!(budget.waiting, WAITING);
        let unproven = Some(40);
        let small = Wanted {
            connections: 100,
            unproven,
            ..WANTED
        };
        let room = Budget::new(small, 1_000_000).room;
        assert_eq!((room.proven, room.unproven), (60, 40));
    }

    #[test]
    fn no_more_is_held_than_files_may_be_open() {
        for files in [0, 300, 1024, 65_536, 110_000] {
            let budget = Budget::new(WANTED, files);
            let held = budget.room.proven + budget.room.unproven;
            assert!(budget.room.proven > 0 && budget.room.unproven > 0);
            let open = held + 2 * budget.waiting + OTHER_FILES;
            assert!(open <= files.max(OTHER_FILES + 32), "{files}: {open}");
        }
    }
}
