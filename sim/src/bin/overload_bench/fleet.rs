//! The devices: each has a token, and is called until it is admitted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use ids::Timestamp;
use tokio::time::Instant;
use wire::sas::SharedAccessKey;

const EXPIRY: i64 = 4_102_444_800;

/// Devices of one enrollment group.
pub struct Fleet {
    scope: String,
    name: &'static str,
    tokens: Vec<String>,
    waiting: Mutex<Waiting>,
    left: AtomicUsize,
}

/// Devices that were not let in yet and are not asking now, each with its turn.
#[derive(Default)]
struct Waiting {
    /// In the order in which they asked last.
    queue: VecDeque<(Instant, usize)>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Fleet {
    /// So many devices, named after the fleet, all of them due at once. Their keys
    /// derive from the group's.
    pub fn new(
        name: &'static str,
        count: usize,
        scope: &str,
        group_key: &SharedAccessKey,
    ) -> Result<Self> {
        let token = |number| {
            let id = id(name, number);
            let key = SharedAccessKey::from_bytes(group_key.sign(id.as_bytes()).to_vec())?;
            let resource = format!("{scope}/registrations/{id}");
            let expiry = Timestamp::from_unix_seconds(EXPIRY);
            Ok(wire::sas::build(
                &resource,
                Some("registration"),
                expiry,
                &key,
            ))
        };
        let now = Instant::now();
        Ok(Self {
            scope: scope.to_owned(),
            name,
            tokens: (0..count).map(token).collect::<Result<_>>()?,
            waiting: Mutex::new(Waiting {
                queue: (0..count).map(|number| (now, number)).collect(),
                due: BinaryHeap::new(),
            }),
            left: AtomicUsize::new(count),
        })
    }

    /// Takes the device that has not asked for the longest time.
    pub fn next(&self) -> Option<usize> {
        let (_, number) = self.waiting().queue.pop_front()?;
        Some(number)
    }

    /// From now on devices come when they were told, but none before it would have asked anyway,
    /// had all gone on asking at `rate` a second: they did not all wait for the same moment.
    pub fn become_patient(&self, rate: f64) {
        let (now, mut waiting) = (Instant::now(), self.waiting());
        let asks_at = |place: usize| now + Duration::from_secs_f64(place as f64 / rate);
        for (place, (turn, _)) in waiting.queue.iter_mut().enumerate() {
            *turn = (*turn).max(asks_at(place));
        }
    }

    /// Takes the device whose turn is next, and when that is.
    pub fn next_due(&self) -> Option<(Instant, usize)> {
        let mut waiting = self.waiting();
        let Waiting { queue, due } = &mut *waiting;
        due.extend(queue.drain(..).map(Reverse));
        due.pop().map(|Reverse(next)| next)
    }

    /// The device was throttled until `turn`.
    pub fn put_back(&self, number: usize, turn: Instant) {
        self.waiting().queue.push_back((turn, number));
    }

    /// The device was let in.
    pub fn admitted(&self) {
        self.left.fetch_sub(1, Ordering::Relaxed);
    }

    /// Devices that were not let in yet.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn id(&self, number: usize) -> String {
        id(self.name, number)
    }

    /// The request by which it registers.
    pub fn request(&self, number: usize) -> String {
        let id = self.id(number);
        let body = format!("{{\"registrationId\":\"{id}\"}}");
        format!(
            "PUT {}?api-version=2021-06-01 HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            wire::device_api::registration::register_path(&self.scope, &id),
            self.tokens[number],
            body.len()
        )
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(name: &str, number: usize) -> String {
    format!("{name}-{number}")
}
