use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};

use super::UnprovenConnections;

/// An unproven HTTP connection ends this long after its last useful request.
const IDLE: Duration = Duration::from_secs(60);
/// It ends this long after it began in any case.
const LIFE: Duration = Duration::from_secs(600);
/// Bytes of an incomplete request that are free. More counts against the limit
/// of all unproven connections.
const FREE_INPUT: usize = 16 * 1024;

/// One connection, and the limits that it counts against. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TrackedConnection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: UnprovenConnections,
    number: u64,
    /// Set once its client has proved its identity.
    slot: OnceLock<OwnedSemaphorePermit>,
    /// Whether a request of it is being answered.
    answering: Arc<AtomicBool>,
    begun: Instant,
    /// When its last useful request was answered, in milliseconds since it began.
    useful: AtomicUsize,
    input: Mutex<Input>,
    max_input: AtomicUsize,
}

/// Bytes of incomplete requests.
#[derive(Debug, Default)]
struct Input {
    bytes: usize,
    /// Those of them that count against the limit of all connections.
    shared: usize,
}

/// A slot for a proven connection. It is free again when it
/// is dropped without [`TrackedConnection::mark_proven`].
#[derive(Debug)]
pub struct ProvenSlot(OwnedSemaphorePermit);

/// A client sends more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InputLimitExceeded {
    /// More than one of its requests may have.
    #[error("more was sent than a packet may have")]
    Request,
    /// More than all unproven connections together may send.
    #[error("clients that have proved nothing send too much at once")]
    Shared,
}

impl TrackedConnection {
    pub(super) fn new(all: UnprovenConnections, number: u64, answering: Arc<AtomicBool>) -> Self {
        Self(Arc::new(Inner {
            all,
            number,
            slot: OnceLock::new(),
            answering,
            begun: Instant::now(),
            useful: AtomicUsize::new(0),
            input: Mutex::default(),
            max_input: AtomicUsize::new(usize::MAX),
        }))
    }

    /// Reserves a slot for a client that may prove itself; `None` when none is free.
    #[must_use]
    pub fn reserve(&self) -> Option<ProvenSlot> {
        let slot = self.0.all.0.proven.clone().try_acquire_owned();
        slot.ok().map(ProvenSlot)
    }

    /// The client has proved its identity: the connection keeps `slot` and is no longer unproven.
    pub fn mark_proven(&self, ProvenSlot(slot): ProvenSlot) {
        // A connection that has a slot keeps it; the other one is free again.
        if self.0.slot.set(slot).is_ok() {
            self.0.all.remove(self.0.number);
            let mut input = self.input();
            self.share(&mut input, 0);
        }
    }

    /// Marks the connection as proven if a slot is free. Without one it stays unproven.
    pub fn mark_proven_if_possible(&self) {
        if !self.is_proven()
            && let Some(slot) = self.reserve()
        {
            self.mark_proven(slot);
        }
    }

    /// Whether the client has proved its identity.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.0.slot.get().is_some()
    }

    /// Whether a request is being answered. The protocol above sets it.
    #[must_use]
    pub fn answering(&self) -> Arc<AtomicBool> {
        self.0.answering.clone()
    }

    /// A useful request was answered; the time until [`timed_out`](Self::timed_out) begins again.
    pub fn mark_useful(&self) {
        let since = self.0.begun.elapsed().as_millis();
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        self.0.useful.store(since, Ordering::Relaxed);
    }

    /// Resolves when an unproven connection has lasted too long. Cancel-safe.
    pub async fn timed_out(&self) {
        loop {
            let useful = self.0.useful.load(Ordering::Relaxed) as u64;
            let idle = self.0.begun + Duration::from_millis(useful) + IDLE;
            let until = idle.min(self.0.begun + LIFE);
            if self.is_proven() {
                return pending().await;
            }
            if until > Instant::now() {
                sleep_until(until).await;
            } else if self.0.answering.load(Ordering::Relaxed) {
                // A request that was received is answered.
                sleep(Duration::from_secs(1)).await;
            } else {
                return;
            }
        }
    }

    /// Sets the most bytes that the client may send of one request, from now on.
    pub fn limit_input(&self, bytes: usize) {
        self.0.max_input.store(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that have arrived. When they are too many, the connection has to end.
    pub fn count_input(&self, bytes: usize) -> Result<(), InputLimitExceeded> {
        let mut input = self.input();
        input.bytes = input.bytes.saturating_add(bytes);
        if input.bytes > self.0.max_input.load(Ordering::Relaxed) {
            return Err(InputLimitExceeded::Request);
        }
        if self.is_proven() {
            return Ok(());
        }
        let beyond = input.bytes.saturating_sub(FREE_INPUT);
        self.share(&mut input, beyond);
        let all = &self.0.all.0;
        match all.input.load(Ordering::Relaxed) > all.limits.unproven_input && beyond > 0 {
            true => Err(InputLimitExceeded::Shared),
            false => Ok(()),
        }
    }

    /// A request is complete. `rest` bytes that have arrived belong to the next one.
    pub fn consume_input(&self, rest: usize) {
        let mut input = self.input();
        input.bytes = rest;
        let beyond = rest.saturating_sub(FREE_INPUT).min(input.shared);
        self.share(&mut input, beyond);
    }

    /// Counts the connection against the limit of its address, if it is still unproven.
    pub(super) fn mark_lingering(&self) {
        if !self.is_proven() {
            self.0.all.mark_lingering(self.0.number);
        }
    }

    fn share(&self, input: &mut Input, beyond: usize) {
        let all = &self.0.all.0.input;
        all.fetch_add(beyond, Ordering::Relaxed);
        all.fetch_sub(input.shared, Ordering::Relaxed);
        input.shared = beyond;
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.0.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.slot.get().is_none() {
            self.all.remove(self.number);
        }
        let input = self.input.get_mut();
        let input = input.unwrap_or_else(PoisonError::into_inner);
        let all = &self.all.0.input;
        all.fetch_sub(input.shared, Ordering::Relaxed);
    }
}
