//! What is remembered of each device that asked lately, in memory that does not grow.
//!
//! A table of fixed size: every device has one set of eight places where it can be, and takes the one of those that was used
//! least recently. Who is forgotten is treated as if it had never asked, so the worst that a flood of invented names does is
//! that limits per device are felt less. Which set a name belongs to depends on a secret, so that nobody can aim.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use ids::{RegistrationId, Timestamp};

use super::bucket::Bucket;
use super::line::Spread;

const WAYS: usize = 8;
/// Sets behind one lock.
const SETS: usize = 512;
const SHARDS: usize = 64;

/// Devices remembered at once: 262,144, in 8 MiB when all of it is in use.
#[cfg(test)]
pub const CAPACITY: usize = WAYS * SETS * SHARDS;

/// What is remembered of a device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Device {
    key: u64,
    /// Attempts to register.
    pub registrations: Bucket,
    /// Polls.
    pub polls: Bucket,
    /// When it was told that its turn is, in ticks; 0 when it was not told.
    turn: i64,
}

impl Device {
    /// When it was told that its turn is, if it was told and has not come since.
    #[must_use]
    pub fn told(&self) -> Option<Timestamp> {
        (self.turn != 0).then(|| Timestamp::from_ticks(self.turn))
    }

    /// Tells it a turn, or forgets the one that it was told.
    pub fn tell(&mut self, turn: Option<Timestamp>) {
        self.turn = turn.map_or(0, Timestamp::ticks);
    }

    fn last_use(&self) -> Timestamp {
        let buckets = self.registrations.last_use().max(self.polls.last_use());
        buckets.max(Timestamp::from_ticks(self.turn))
    }
}

type Set = [Device; WAYS];

/// Where a device is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceKey(u64);

impl DeviceKey {
    /// Where this device stands in what is spread over time.
    #[must_use]
    pub fn spread(self) -> Spread {
        Spread::of(self.0)
    }
}

/// The table. Parts of it take memory once they are used.
pub struct Devices {
    secret: u128,
    shards: Box<[Mutex<Vec<Set>>]>,
}

impl Devices {
    /// An empty table; `secret` is fresh randomness.
    #[must_use]
    pub fn new(secret: u128) -> Self {
        Self {
            secret,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Finds out where a device of a service is.
    #[must_use]
    pub fn key(&self, id_scope: &str, id: &RegistrationId) -> DeviceKey {
        let mut hasher = DefaultHasher::new();
        hasher.write_u128(self.secret);
        id_scope.len().hash(&mut hasher);
        for byte in id_scope.bytes() {
            hasher.write_u8(byte.to_ascii_lowercase());
        }
        id.folded().hash(&mut hasher);
        // 0 is the key of a place that nobody has.
        DeviceKey(hasher.finish().max(1))
    }

    /// Looks at a device, and remembers what `act` makes of it.
    pub fn with<R>(&self, key: DeviceKey, act: impl FnOnce(&mut Device) -> R) -> R {
        let index = key.0 as usize;
        let shard = &self.shards[index % SHARDS];
        let mut sets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.is_empty() {
            sets.resize(SETS, Set::default());
        }
        act(place(&mut sets[index / SHARDS % SETS], key))
    }
}

fn place(set: &mut Set, key: DeviceKey) -> &mut Device {
    let known = set.iter().position(|device| device.key == key.0);
    let at = known.unwrap_or_else(|| {
        let oldest = |at: &usize| set[*at].last_use();
        (0..WAYS).min_by_key(oldest).unwrap_or_default()
    });
    if known.is_none() {
        set[at] = Device {
            key: key.0,
            ..Device::default()
        };
    }
    &mut set[at]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::admission::bucket::Rate;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn id(text: &str) -> RegistrationId {
        RegistrationId::parse(text).unwrap()
    }

    #[test]
    fn a_device_is_its_id_in_any_case_and_its_service() {
        let devices = Devices::new(7);
        assert_eq!(
            devices.key("0neA", &id("Dev-1")),
            devices.key("0nea", &id("dev-1"))
        );
        assert_ne!(
            devices.key("0neA", &id("dev-1")),
            devices.key("0neB", &id("dev-1"))
        );
        assert_ne!(
            devices.key("0neA", &id("dev-1")),
            Devices::new(8).key("0neA", &id("dev-1"))
        );
    }

    #[test]
    fn what_is_remembered_of_one_device_is_not_anothers() {
        let devices = Devices::new(7);
        let (one, other) = (devices.key("s", &id("a")), devices.key("s", &id("b")));
        let turn = START.plus(Duration::from_secs(9));
        devices.with(one, |device| device.tell(Some(turn)));
        assert_eq!(devices.with(one, |device| device.told()), Some(turn));
        assert_eq!(devices.with(other, |device| device.told()), None);
        devices.with(one, |device| device.tell(None));
        assert_eq!(devices.with(one, |device| device.told()), None);
    }

    #[test]
    fn twice_as_many_devices_take_no_more_memory_and_the_latest_are_known() {
        let (devices, rate) = (Devices::new(7), Rate::new(1, Duration::from_secs(1), 5));
        let count = 2 * CAPACITY as u64;
        for number in 1..=count {
            let now = START.plus(Duration::from_micros(number));
            let key = DeviceKey(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            devices
                .with(key, |device| device.polls.take(rate, now))
                .unwrap();
        }
        let used: usize = devices
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().capacity())
            .sum();
        assert_eq!(used * WAYS, CAPACITY);
        let now = START.plus(Duration::from_micros(count));
        let known = (count - 1000..=count).filter(|number| {
            let key = DeviceKey(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            devices.with(key, |device| device.polls.level(rate, now)) < 5
        });
        assert_eq!(known.count(), 1001);
    }
}
