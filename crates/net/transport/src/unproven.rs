//! Connections whose client has not proved its identity yet: how many there may be, and which
//! of them are closed.
//!
//! Nearly every client proves itself within a second, with its request or its CONNECT. Connections
//! that do not may take only a part of all connections, so that slots are left for proven ones and
//! for new ones, and only a number of each address. A new connection is never refused for lack of
//! room: the oldest unproven connection of the address that has most is closed instead.

use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use tokio::sync::{Semaphore, oneshot};

use crate::address_limit::network;

mod connection;
mod eviction;
mod table;

pub use connection::{InputLimitExceeded, ProvenSlot, TrackedConnection};
pub use eviction::EvictionNotice;

use table::UnprovenTable;

/// A connection that has been unproven this long counts against the limit of its address.
const LINGERS: Duration = Duration::from_secs(5);

/// How many connections there may be, and how much unproven ones may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections whose client has proved its identity.
    pub proven: usize,
    /// Connections whose client has not.
    pub unproven: usize,
    /// Those of one address that have been unproven for 5 s.
    pub unproven_per_address: usize,
    /// Bytes of incomplete requests of all unproven connections together, beyond 16 KiB of each.
    pub unproven_input: usize,
}

/// Counts unproven connections, and closes the oldest when there are too many. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UnprovenConnections(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: ConnectionLimits,
    proven: Arc<Semaphore>,
    table: Mutex<UnprovenTable<oneshot::Sender<EvictionCause>>>,
    /// Bytes of incomplete requests that count for all connections together.
    input: AtomicUsize,
    open: Gauge,
}

/// Why an unproven connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionCause {
    /// There are too many, and its address has most of them.
    TooMany,
    /// Its address has too many unproven connections.
    TooManyOfAddress,
}

impl EvictionCause {
    fn code(self) -> &'static str {
        match self {
            Self::TooMany => "unproven",
            Self::TooManyOfAddress => "unproven_of_address",
        }
    }
}

impl UnprovenConnections {
    /// Starts without a connection.
    #[must_use]
    pub fn new(limits: ConnectionLimits) -> Self {
        let proven = limits.proven.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            limits,
            proven: Arc::new(Semaphore::new(proven)),
            table: Mutex::default(),
            input: AtomicUsize::new(0),
            open: gauge!("muster_connections_unproven"),
        }))
    }

    /// Counts one more connection from `address`. When there are too many, another one is evicted.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> (TrackedConnection, EvictionNotice) {
        let (evict, evicted) = oneshot::channel();
        let answering = Arc::default();
        let (number, oldest) = {
            let mut table = self.table();
            let full = table.len() >= self.0.limits.unproven;
            let oldest = full.then(|| table.evict_from_largest()).flatten();
            let number = table.insert(network(address), Arc::clone(&answering), evict);
            self.0.open.set(table.len() as f64);
            (number, oldest)
        };
        if let Some(oldest) = oldest {
            evict_one(oldest, EvictionCause::TooMany);
        }
        let connection = TrackedConnection::new(self.clone(), number, answering);
        let notice = EvictionNotice::new(evicted, connection.clone());
        (connection, notice)
    }

    fn table(&self) -> MutexGuard<'_, UnprovenTable<oneshot::Sender<EvictionCause>>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connection `number` lingers from now on. The oldest of its address is evicted when
    /// those are too many.
    fn mark_lingering(&self, number: u64) {
        let limit = self.0.limits.unproven_per_address;
        let oldest = self.table().mark_lingering(number, limit);
        if let Some(oldest) = oldest {
            evict_one(oldest, EvictionCause::TooManyOfAddress);
        }
    }

    fn remove(&self, number: u64) {
        let mut table = self.table();
        table.remove(number);
        self.0.open.set(table.len() as f64);
    }
}

fn evict_one(evict: oneshot::Sender<EvictionCause>, cause: EvictionCause) {
    counter!("muster_connections_evicted_total", "cause" => cause.code()).increment(1);
    match cause {
        EvictionCause::TooMany => tracing::warn!(
            reason.code = cause.code(),
            "there is no room for more connections that have proved nothing: the oldest are closed"
        ),
        EvictionCause::TooManyOfAddress => tracing::info!(
            reason.code = cause.code(),
            "an address keeps too many connections that have proved nothing: \
             its oldest are closed"
        ),
    }
    // The connection may have ended in this moment.
    let _ = evict.send(cause);
}

#[cfg(test)]
mod tests;
