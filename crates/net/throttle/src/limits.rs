//! What may be limited, and how a caller is refused.

use std::time::Duration;

use crate::rate::Rate;

/// The kind of a client's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Work that takes a [`Slot`](crate::Slot).
    Start,
    /// The outcome of an earlier start.
    Poll,
}

/// The limit that a request exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Calls of an address that is not known.
    Address,
    /// Starts of one client.
    ClientStarts,
    /// Polls of one client.
    ClientPolls,
    /// Starts of one scope.
    Quota,
    /// Starts of all clients in progress at once.
    Concurrency,
}

impl Limit {
    /// Every limit, in the order of its discriminant.
    pub const ALL: [Self; 5] = [
        Self::Address,
        Self::ClientStarts,
        Self::ClientPolls,
        Self::Quota,
        Self::Concurrency,
    ];
}

/// A request that exceeded a limit, with the time after which it may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {} s", self.retry_after_seconds())]
pub struct Throttled {
    /// The limit that was exceeded.
    pub limit: Limit,
    pub(crate) retry_after: Duration,
}

impl Throttled {
    /// The value of the header `Retry-After`: whole seconds, at least 1.
    #[must_use]
    pub fn retry_after_seconds(&self) -> u32 {
        let rounded_up = self.retry_after.as_millis().div_ceil(1000).max(1);
        u32::try_from(rounded_up).unwrap_or(u32::MAX)
    }
}

/// The limits that apply to every scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Starts a second of an address that is not known, twenty times as many at once; polls are
    /// five times as many. A /64 network of IPv6 is one address.
    pub starts_per_second_per_address: u32,
    /// Starts of one client.
    pub client_starts: Rate,
    /// Polls of one client.
    pub client_polls: Rate,
    /// Upper bound of the starts in progress; the measured limit stays below.
    pub max_concurrent: u32,
}

/// The load of the server.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The number of starts in progress now.
    pub running: u32,
    /// The most that may be in progress now.
    pub limit: u32,
    /// How long it takes to serve every refused client, in the scope with the longest backlog.
    pub backlog: Duration,
}
