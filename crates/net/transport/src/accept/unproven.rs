//! Connections whose client has proved nothing yet: how many there may be, and which have to go.
//!
//! Nearly every client proves itself within a second, by what it asks or with its CONNECT. Who does not is a guest: there is room for
//! a part of all connections, so that places are left for those who did and for the next who come, and an address keeps only so many.
//! Nobody is refused for want of room: the oldest guest of whoever has most has to go.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use metrics::{Gauge, counter, gauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::address_limit::network;

/// Who has proved nothing for so long lingers, and counts against what its address may keep.
const LINGERS: Duration = Duration::from_secs(5);
/// A connection over HTTP ends so long after the last request that was of use, unless it has proved something.
const IDLE: Duration = Duration::from_secs(60);
/// And so long after it began in any case.
const LIFE: Duration = Duration::from_secs(600);
/// Bytes that a stranger may have sent without a whole request; more counts against what all strangers share.
const FREE_INPUT: usize = 16 * 1024;

/// How much there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Connections that have proved who they are.
    pub proven: usize,
    /// Connections that have not.
    pub unproven: usize,
    /// Those of them of one address that linger.
    pub unproven_per_address: usize,
    /// Bytes that all strangers together may have sent of requests that are not whole, beyond a little of each.
    pub unproven_input: usize,
}

/// Counts strangers, and sends them away. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Strangers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    room: Room,
    proven: Arc<Semaphore>,
    guests: Mutex<Guests<oneshot::Sender<Evicted>>>,
    input: AtomicUsize,
    open: Gauge,
}

/// Why a stranger has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evicted {
    /// There are too many strangers, and its address has most of them.
    Crowded,
    /// Its address keeps too many.
    Address,
}

impl Evicted {
    fn code(self) -> &'static str {
        match self {
            Self::Crowded => "unproven",
            Self::Address => "unproven_of_address",
        }
    }
}

impl Strangers {
    /// Nobody is there yet.
    pub fn new(room: Room) -> Self {
        Self(Arc::new(Inner {
            room,
            proven: Arc::new(Semaphore::new(room.proven.min(Semaphore::MAX_PERMITS))),
            guests: Mutex::default(),
            input: AtomicUsize::new(0),
            open: gauge!("muster_connections_unproven"),
        }))
    }

    /// One more stranger. When there is no room, another one is told to go.
    pub fn enter(&self, address: IpAddr) -> (Visit, Stay) {
        let (tell, told) = oneshot::channel();
        let busy = Arc::default();
        let (number, goes) = {
            let mut guests = self.guests();
            let full = guests.len() >= self.0.room.unproven;
            let goes = if full {
                guests.evict_from_crowd()
            } else {
                None
            };
            let number = guests.enter(network(address), Arc::clone(&busy), tell);
            self.0.open.set(guests.len() as f64);
            (number, goes)
        };
        if let Some(goes) = goes {
            send_away(goes, Evicted::Crowded);
        }
        let visit = Visit(Arc::new(VisitInner {
            strangers: self.clone(),
            number,
            place: OnceLock::new(),
            busy,
            begun: Instant::now(),
            useful: AtomicUsize::new(0),
            input: Mutex::default(),
            most_input: AtomicUsize::new(usize::MAX),
        }));
        let stay = Stay {
            told,
            visit: visit.clone(),
        };
        (visit, stay)
    }

    fn guests(&self) -> MutexGuard<'_, Guests<oneshot::Sender<Evicted>>> {
        self.0.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stranger lingers from now on; the oldest of its address goes when those are too many.
    fn linger(&self, number: u64) {
        let goes = self
            .guests()
            .linger(number, self.0.room.unproven_per_address);
        if let Some(goes) = goes {
            send_away(goes, Evicted::Address);
        }
    }

    fn leave(&self, number: u64) {
        let mut guests = self.guests();
        guests.leave(number);
        self.0.open.set(guests.len() as f64);
    }
}

fn send_away(guest: oneshot::Sender<Evicted>, why: Evicted) {
    counter!("muster_connections_evicted_total", "cause" => why.code()).increment(1);
    match why {
        Evicted::Crowded => tracing::warn!(
            reason.code = why.code(),
            "there is no room for more connections that have proved nothing: the oldest are closed"
        ),
        Evicted::Address => tracing::info!(
            reason.code = why.code(),
            "an address keeps too many connections that have proved nothing: its oldest are closed"
        ),
    }
    // It may have left in this moment.
    let _ = guest.send(why);
}

/// One connection, and what it may do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Visit(Arc<VisitInner>);

#[derive(Debug)]
struct VisitInner {
    strangers: Strangers,
    number: u64,
    /// Its place among those who have proved who they are, once it has.
    place: OnceLock<OwnedSemaphorePermit>,
    /// Whether a request of it is being answered.
    busy: Arc<AtomicBool>,
    begun: Instant,
    /// When it was last of use, in milliseconds since it began.
    useful: AtomicUsize,
    input: Mutex<Input>,
    most_input: AtomicUsize,
}

/// What has arrived of requests that are not whole yet, and how much of it counts for all.
#[derive(Debug, Default)]
struct Input {
    bytes: usize,
    shared: usize,
}

/// A place among those who have proved who they are, before it is known whether it is needed.
#[derive(Debug)]
pub struct Place(OwnedSemaphorePermit);

/// A client sends more than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// More than a request of it may have.
    #[error("more was sent than a packet may have")]
    Own,
    /// All strangers together have used up what there is for them.
    #[error("clients that have proved nothing send too much at once")]
    Shared,
}

impl Visit {
    /// A place for somebody who may prove itself; `None` when there are none left.
    pub fn reserve(&self) -> Option<Place> {
        let place = self.0.strangers.0.proven.clone().try_acquire_owned();
        place.ok().map(Place)
    }

    /// The client has proved who it is: it has `place` from now on, and is no stranger any more.
    pub fn prove(&self, Place(place): Place) {
        // Who has a place keeps it; the other one is given back.
        if self.0.place.set(place).is_ok() {
            self.0.strangers.leave(self.0.number);
            let mut input = self.input();
            self.share(&mut input, 0);
        }
    }

    /// The same, if there is a place left; without one it goes on as a stranger.
    pub fn prove_if_there_is_room(&self) {
        if !self.is_proven()
            && let Some(place) = self.reserve()
        {
            self.prove(place);
        }
    }

    /// Whether the client has proved who it is.
    pub fn is_proven(&self) -> bool {
        self.0.place.get().is_some()
    }

    /// Whether a request is being answered, to be set by whoever answers.
    pub fn busy(&self) -> Arc<AtomicBool> {
        self.0.busy.clone()
    }

    /// A request was of use: the client may stay for another while.
    pub fn was_useful(&self) {
        let since = self.0.begun.elapsed().as_millis();
        let since = usize::try_from(since).unwrap_or(usize::MAX);
        self.0.useful.store(since, Ordering::Relaxed);
    }

    /// Resolves when a client that has proved nothing has been there too long. Cancel-safe.
    pub async fn outstayed(&self) {
        loop {
            let useful = self.0.useful.load(Ordering::Relaxed) as u64;
            let idle = self.0.begun + Duration::from_millis(useful) + IDLE;
            let until = idle.min(self.0.begun + LIFE);
            if self.is_proven() {
                return pending().await;
            }
            if until > Instant::now() {
                sleep_until(until).await;
            } else if self.0.busy.load(Ordering::Relaxed) {
                // What is being answered is answered.
                sleep(Duration::from_secs(1)).await;
            } else {
                return;
            }
        }
    }

    /// The most that the client may send of one request, from now on.
    pub fn limit_input(&self, bytes: usize) {
        self.0.most_input.store(bytes, Ordering::Relaxed);
    }

    /// Counts bytes that have arrived.
    ///
    /// # Errors
    /// When they are too many; the connection has to end.
    pub fn arrived(&self, bytes: usize) -> Result<(), TooMuch> {
        let mut input = self.input();
        input.bytes = input.bytes.saturating_add(bytes);
        if input.bytes > self.0.most_input.load(Ordering::Relaxed) {
            return Err(TooMuch::Own);
        }
        if self.is_proven() {
            return Ok(());
        }
        let beyond = input.bytes.saturating_sub(FREE_INPUT);
        self.share(&mut input, beyond);
        let inner = &self.0.strangers.0;
        match inner.input.load(Ordering::Relaxed) > inner.room.unproven_input && beyond > 0 {
            true => Err(TooMuch::Shared),
            false => Ok(()),
        }
    }

    /// A request is whole: so many bytes that have arrived belong to none.
    pub fn taken_but(&self, left: usize) {
        let mut input = self.input();
        input.bytes = left;
        let beyond = left.saturating_sub(FREE_INPUT).min(input.shared);
        self.share(&mut input, beyond);
    }

    fn share(&self, input: &mut Input, beyond: usize) {
        let all = &self.0.strangers.0.input;
        all.fetch_add(beyond, Ordering::Relaxed);
        all.fetch_sub(input.shared, Ordering::Relaxed);
        input.shared = beyond;
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.0.input.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for VisitInner {
    fn drop(&mut self) {
        if self.place.get().is_none() {
            self.strangers.leave(self.number);
        }
        let input = self.input.get_mut();
        let input = input.unwrap_or_else(PoisonError::into_inner);
        let all = &self.strangers.0.input;
        all.fetch_sub(input.shared, Ordering::Relaxed);
    }
}

/// Tells a connection when it has to go to make room.
#[derive(Debug)]
pub struct Stay {
    told: oneshot::Receiver<Evicted>,
    visit: Visit,
}

impl Stay {
    /// Resolves when the connection has to go; never for one that has proved who it is.
    pub async fn over(self) -> Evicted {
        let Self { mut told, visit } = self;
        let lingering = async {
            sleep(LINGERS).await;
            if !visit.is_proven() {
                visit.0.strangers.linger(visit.0.number);
            }
            pending::<()>().await;
        };
        // Cancel-safe: nobody waits for it again.
        let told = tokio::select! {
            told = &mut told => told.ok(),
            () = lingering => None,
        };
        drop(visit);
        match told {
            Some(why) => why,
            // It has left the room, because it proved who it is.
            None => pending().await,
        }
    }
}

/// Who is there, in the order of their coming. `E` is what they are told with.
#[derive(Debug)]
struct Guests<E> {
    next: u64,
    guests: HashMap<u64, Guest<E>>,
    networks: HashMap<IpAddr, Network>,
    /// Networks by how many guests they have, and among equals by their oldest, which goes first.
    crowd: BTreeSet<(usize, Reverse<u64>, IpAddr)>,
}

#[derive(Debug)]
struct Guest<E> {
    network: IpAddr,
    lingers: bool,
    /// Whether a request of it is being answered.
    busy: Arc<AtomicBool>,
    tell: E,
}

#[derive(Debug, Default)]
struct Network {
    guests: BTreeSet<u64>,
    lingering: usize,
}

impl<E> Default for Guests<E> {
    fn default() -> Self {
        Self {
            next: 0,
            guests: HashMap::new(),
            networks: HashMap::new(),
            crowd: BTreeSet::new(),
        }
    }
}

impl<E> Guests<E> {
    fn len(&self) -> usize {
        self.guests.len()
    }

    fn enter(&mut self, network: IpAddr, busy: Arc<AtomicBool>, tell: E) -> u64 {
        self.next += 1;
        let number = self.next;
        let guest = Guest {
            network,
            lingers: false,
            busy,
            tell,
        };
        self.guests.insert(number, guest);
        self.change(network, |of_network| {
            of_network.guests.insert(number);
        });
        number
    }

    fn leave(&mut self, number: u64) -> Option<E> {
        let guest = self.guests.remove(&number)?;
        self.change(guest.network, |of_network| {
            of_network.guests.remove(&number);
            of_network.lingering -= usize::from(guest.lingers);
        });
        Some(guest.tell)
    }

    /// Marks a guest; one of its network goes when more than `most` of it linger.
    fn linger(&mut self, number: u64, most: usize) -> Option<E> {
        let guest = self.guests.get_mut(&number)?;
        let first_time = !std::mem::replace(&mut guest.lingers, true);
        let of_network = self.networks.get_mut(&guest.network)?;
        of_network.lingering += usize::from(first_time);
        if of_network.lingering <= most {
            return None;
        }
        let network = guest.network;
        self.evict_from(network)
    }

    /// A guest of the network that has most.
    fn evict_from_crowd(&mut self) -> Option<E> {
        let (_, _, network) = *self.crowd.last()?;
        self.evict_from(network)
    }

    /// The oldest guest of a network; rather one that waits for nothing than one whose request is being answered, which may be about
    /// to prove itself: an operator who waits for events does not know of strangers.
    fn evict_from(&mut self, network: IpAddr) -> Option<E> {
        let of_network = &self.networks.get(&network)?.guests;
        let is_idle = |number: &&u64| {
            let guest = self.guests.get(*number);
            guest.is_some_and(|guest| !guest.busy.load(Ordering::Relaxed))
        };
        let oldest = of_network.iter().find(is_idle).or(of_network.first());
        self.leave(*oldest?)
    }

    fn change(&mut self, network: IpAddr, act: impl FnOnce(&mut Network)) {
        let of_network = self.networks.entry(network).or_default();
        if let Some(oldest) = of_network.guests.first() {
            let before = (of_network.guests.len(), Reverse(*oldest), network);
            self.crowd.remove(&before);
        }
        act(of_network);
        match of_network.guests.first() {
            Some(oldest) => {
                let after = (of_network.guests.len(), Reverse(*oldest), network);
                self.crowd.insert(after);
            }
            None => {
                self.networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests;
