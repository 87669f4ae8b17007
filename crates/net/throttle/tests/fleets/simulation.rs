//! A server and a fleet of clients in simulated time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;

use ids::Timestamp;
use throttle::{Admission, Call, Client, Limits, PollPermit, Rate, Slot, Throttled};

pub const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An admission, the quota of its only scope, and clients that are numbered.
pub struct Server {
    pub admission: Admission,
    starts_per_minute: Option<u32>,
}

impl Server {
    pub fn new(starts_per_minute: Option<u32>) -> Self {
        Self::with_max_concurrent(4096, starts_per_minute)
    }

    pub fn with_max_concurrent(max_concurrent: u32, starts_per_minute: Option<u32>) -> Self {
        let limits = Limits {
            starts_per_second_per_address: 20,
            client_starts: Rate::new(60, seconds(60), 60),
            client_polls: Rate::new(5, seconds(10), 10),
            max_concurrent,
        };
        Self {
            admission: Admission::new(limits, 7),
            starts_per_minute,
        }
    }

    /// From no known address.
    pub fn start(&self, number: usize, now: Timestamp) -> Result<Slot, Throttled> {
        self.start_in("scope", number, self.starts_per_minute, None, now)
    }

    pub fn start_from(
        &self,
        address: IpAddr,
        number: usize,
        now: Timestamp,
    ) -> Result<Slot, Throttled> {
        self.start_in("scope", number, self.starts_per_minute, Some(address), now)
    }

    pub fn start_in(
        &self,
        scope: &str,
        number: usize,
        starts_per_minute: Option<u32>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Slot, Throttled> {
        let permit = self.admission.admit_address(address, Call::Start, now)?;
        let id = &format!("client-{number}");
        let client = Client { scope, id };
        self.admission.start(client, starts_per_minute, permit, now)
    }

    pub fn poll(&self, number: usize, now: Timestamp) -> Result<PollPermit, Throttled> {
        let permit = self.admission.admit_address(None, Call::Poll, now)?;
        let id = &format!("client-{number}");
        let client = Client { scope: "scope", id };
        self.admission.poll(client, permit, now)
    }
}

/// When a refused client comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    ObeysRetryAfter,
    RetriesEvery(Duration),
}

/// How long a start takes.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Starts are worked on one after the other, each for so long.
    Serial(Duration),
    /// All starts take so long, as if they waited for a disk.
    Parallel(Duration),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Finished,
    Comes(usize),
}

/// What happened to a fleet.
pub struct Outcome {
    pub attempts: Vec<u32>,
    /// When each client was admitted, and how long its start took.
    pub admitted: BTreeMap<usize, (Timestamp, Duration)>,
}

impl Outcome {
    pub fn p99(&self) -> Duration {
        let mut took: Vec<_> = self.admitted.values().map(|(_, took)| *took).collect();
        took.sort();
        took[took.len() * 99 / 100]
    }

    pub fn last_admission(&self) -> Duration {
        let times = self.admitted.values().map(|(at, _)| at.since(START));
        times.max().unwrap_or_default()
    }

    pub fn total_attempts(&self) -> u32 {
        self.attempts.iter().sum()
    }
}

struct Simulation<'a> {
    server: &'a Server,
    work: Work,
    fleet: &'a [Behaviour],
    /// When a serial server has worked off everything.
    free_at: Timestamp,
    events: BinaryHeap<Reverse<(Timestamp, Event)>>,
    /// By the time at which they end.
    slots: BTreeMap<(Timestamp, usize), Slot>,
    outcome: Outcome,
}

/// Runs a fleet against a server until `end`, or until every client is through. `comes` is the
/// first attempt of a client.
pub fn simulate(
    server: &Server,
    work: Work,
    comes: impl Fn(usize) -> Duration,
    fleet: &[Behaviour],
    end: Duration,
) -> Outcome {
    let first = |number| Reverse((START.plus(comes(number)), Event::Comes(number)));
    let mut simulation = Simulation {
        server,
        work,
        fleet,
        free_at: START,
        events: (0..fleet.len()).map(first).collect(),
        slots: BTreeMap::new(),
        outcome: Outcome {
            attempts: vec![0; fleet.len()],
            admitted: BTreeMap::new(),
        },
    };
    while let Some(Reverse((now, event))) = simulation.events.pop() {
        if now > START.plus(end) {
            break;
        }
        match event {
            Event::Finished => simulation.finish_first(now),
            Event::Comes(number) => simulation.attempt(number, now),
        }
    }
    simulation.outcome
}

impl Simulation<'_> {
    fn attempt(&mut self, number: usize, now: Timestamp) {
        self.outcome.attempts[number] += 1;
        match self.server.start(number, now) {
            Ok(slot) => {
                let done = self.end_of_work(now);
                self.slots.insert((done, number), slot);
                let admitted = (now, done.since(now));
                self.outcome.admitted.insert(number, admitted);
                self.events.push(Reverse((done, Event::Finished)));
            }
            Err(throttled) => {
                let wait = match self.fleet[number] {
                    Behaviour::ObeysRetryAfter => seconds(throttled.retry_after_seconds().into()),
                    Behaviour::RetriesEvery(interval) => interval,
                };
                let again = (now.plus(wait), Event::Comes(number));
                self.events.push(Reverse(again));
            }
        }
    }

    fn finish_first(&mut self, now: Timestamp) {
        let (_, slot) = self.slots.pop_first().expect("an event for each slot");
        slot.finish(now);
    }

    fn end_of_work(&mut self, now: Timestamp) -> Timestamp {
        match self.work {
            Work::Serial(each) => {
                self.free_at = self.free_at.max(now).plus(each);
                self.free_at
            }
            Work::Parallel(each) => now.plus(each),
        }
    }
}
