//! What is remembered of each device that asked lately.

use std::hash::{Hash, Hasher};

use ids::{RegistrationId, Timestamp};

use super::bucket::Bucket;
use super::line::Spread;
use super::table::{Entry, Table};

/// Devices remembered at once, in 10 MiB when all of it is in use.
pub const CAPACITY: usize = 256 * 1024;

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
    /// Whether a registration of it came to something.
    proven: bool,
}

impl Entry for Device {
    fn key(&self) -> u64 {
        self.key
    }

    fn begin(key: u64) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Invented names do not make those be forgotten who have proved theirs.
    fn worth(&self) -> impl Ord {
        let buckets = self.registrations.last_use().max(self.polls.last_use());
        (self.proven, buckets.max(Timestamp::from_ticks(self.turn)))
    }
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

    /// A registration of it came to something.
    pub fn prove(&mut self) {
        self.proven = true;
    }

    /// Whether a registration of the device of this key has come to something.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven
    }
}

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

/// The devices that asked lately.
pub struct Devices(Table<Device>);

impl Devices {
    /// Nobody has asked yet; `secret` is fresh randomness.
    #[must_use]
    pub fn new(secret: u128) -> Self {
        Self(Table::new(CAPACITY, secret))
    }

    /// Finds out where a device of a service is.
    #[must_use]
    pub fn key(&self, id_scope: &str, id: &RegistrationId) -> DeviceKey {
        DeviceKey(self.0.key(|hasher| {
            id_scope.len().hash(hasher);
            for byte in id_scope.bytes() {
                hasher.write_u8(byte.to_ascii_lowercase());
            }
            id.folded().hash(hasher);
        }))
    }

    /// Looks at a device, and remembers what `act` makes of it.
    pub fn with<R>(&self, key: DeviceKey, act: impl FnOnce(&mut Device) -> R) -> R {
        self.0.with(key.0, act)
    }
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
        assert_eq!(devices.0.allocated(), CAPACITY);
        let now = START.plus(Duration::from_micros(count));
        let known = (count - 1000..=count).filter(|number| {
            let key = DeviceKey(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            devices.with(key, |device| device.polls.level(rate, now)) < 5
        });
        assert_eq!(known.count(), 1001);
    }

    #[test]
    fn invented_names_do_not_make_those_be_forgotten_who_proved_theirs() {
        // C6.
        let (devices, rate) = (Devices::new(7), Rate::new(1, Duration::from_secs(1), 5));
        let known = devices.key("s", &id("known"));
        devices.with(known, Device::prove);
        for number in 1..=4 * CAPACITY as u64 {
            let now = START.plus(Duration::from_micros(number));
            let key = DeviceKey(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            devices
                .with(key, |device| device.polls.take(rate, now))
                .unwrap();
        }
        assert!(devices.with(known, |device| device.is_proven()));
    }
}
