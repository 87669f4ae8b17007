//! How often an address asks, before anything is known of whom it asks for.
//!
//! Who has proved nothing may send so many requests a second, whatever ids they name. Every registration that comes to something lets
//! its address ask oftener, so that a fleet behind one address is held up for a moment at most.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ids::Timestamp;

use super::bucket::{Bucket, Rate};
use super::table::{Entry, Table};

/// Addresses remembered at once: 2 MiB when all of it is in use.
const CAPACITY: usize = 32 * 1024;
/// Seconds' worth of requests that may come at once.
const BURST: u32 = 20;
/// Polls for each registration.
const POLLS: u32 = 5;
/// Registrations that count, at most; each lets an address ask as often again.
const MOST_CREDIT: f64 = 5_000.0;
/// In this time the half of what an address has earned is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// An address that has earned less has proved nothing lately.
const KNOWN: f64 = 0.5;

/// What is remembered of an address.
#[derive(Debug, Clone, Copy, Default)]
struct Address {
    key: u64,
    attempts: Bucket,
    polls: Bucket,
    /// Registrations that came to something, fading away.
    credit: f64,
    earned: i64,
}

impl Entry for Address {
    fn key(&self) -> u64 {
        self.key
    }

    fn begin(key: u64) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    fn worth(&self) -> impl Ord {
        let last = self.attempts.last_use().max(self.polls.last_use());
        (self.credit >= KNOWN, last)
    }
}

impl Address {
    fn credit(&self, now: Timestamp) -> f64 {
        let halves = now.since(Timestamp::from_ticks(self.earned)).as_secs_f64();
        self.credit * 0.5_f64.powf(halves / HALF_LIFE.as_secs_f64())
    }
}

/// The addresses that asked lately.
pub struct Addresses {
    per_second: u32,
    table: Table<Address>,
}

impl Addresses {
    /// Nobody has asked yet; who has proved nothing may ask `per_second` times. `secret` is fresh randomness.
    pub fn new(per_second: u32, secret: u128) -> Self {
        Self {
            per_second,
            table: Table::new(CAPACITY, secret),
        }
    }

    /// Counts an attempt to register; how long to wait when there are too many.
    pub fn attempt(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.table.with(self.key(address), |known| {
            let rate = self.rate(known.credit(now), 1);
            known.attempts.take(rate, now)
        })
    }

    /// The same for a poll.
    pub fn poll(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.table.with(self.key(address), |known| {
            let rate = self.rate(known.credit(now), POLLS);
            known.polls.take(rate, now)
        })
    }

    /// A registration from there came to something.
    pub fn succeeded(&self, address: IpAddr, now: Timestamp) {
        self.table.with(self.key(address), |known| {
            known.credit = (known.credit(now) + 1.0).min(MOST_CREDIT);
            known.earned = now.ticks();
        });
    }

    /// Whether a registration from there came to something lately.
    pub fn is_known(&self, address: IpAddr, now: Timestamp) -> bool {
        let key = self.key(address);
        self.table.with(key, |known| known.credit(now) >= KNOWN)
    }

    fn rate(&self, credit: f64, times: u32) -> Rate {
        // Bounded above, so that nothing is cut off.
        let earned = 1 + credit as u32;
        let count = self.per_second.saturating_mul(earned).saturating_mul(times);
        Rate::new(count, Duration::from_secs(1), count.saturating_mul(BURST))
    }

    fn key(&self, address: IpAddr) -> u64 {
        let network = network(address);
        self.table.key(|hasher| network.hash(hasher))
    }
}

/// What counts as one address: whoever has one address of IPv6 has the other 2^64 of its network as well.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn attempts(addresses: &Addresses, address: &str, count: usize, now: Timestamp) -> usize {
        let attempts = (0..count).filter(|_| addresses.attempt(ip(address), now).is_ok());
        attempts.count()
    }

    #[test]
    fn a_stranger_is_held_up_and_nobody_else() {
        // C6.
        let addresses = Addresses::new(20, 7);
        assert_eq!(attempts(&addresses, "192.0.2.1", 1000, START), 400);
        assert_eq!(attempts(&addresses, "192.0.2.2", 10, START), 10);
        let later = START.plus(Duration::from_secs(1));
        assert_eq!(attempts(&addresses, "192.0.2.1", 1000, later), 20);
        // A network of IPv6 is one address.
        assert_eq!(attempts(&addresses, "2001:db8::1", 400, START), 400);
        assert_eq!(attempts(&addresses, "2001:db8::2", 1, START), 0);
        assert_eq!(attempts(&addresses, "2001:db8:0:1::1", 1, START), 1);
    }

    #[test]
    fn a_fleet_behind_one_address_is_let_through_once_it_registers() {
        let addresses = Addresses::new(20, 7);
        assert_eq!(attempts(&addresses, "192.0.2.1", 400, START), 400);
        assert!(!addresses.is_known(ip("192.0.2.1"), START));
        for _ in 0..300 {
            addresses.succeeded(ip("192.0.2.1"), START);
        }
        assert!(addresses.is_known(ip("192.0.2.1"), START));
        let soon = START.plus(Duration::from_secs(1));
        assert!(attempts(&addresses, "192.0.2.1", 10_000, soon) > 5_000);
        // What was earned is forgotten.
        let late = START.plus(Duration::from_secs(3600));
        assert!(!addresses.is_known(ip("192.0.2.1"), late));
        assert_eq!(attempts(&addresses, "192.0.2.1", 1000, late), 400);
    }
}
