//! Limits of one network address, checked before anything of the request is read.
//!
//! An address that is not known may send a fixed number of calls a second, whatever client ids they
//! name. Every client that proves its identity lets its address call more often, so that a fleet
//! behind one address is delayed only at first.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ids::Timestamp;

use crate::limits::Call;
use crate::rate::Rate;
use crate::table::{Key, Memory, Table};

/// Addresses remembered at once: 2 MiB when all of it is in use.
const CAPACITY: usize = 32 * 1024;
/// Seconds' worth of calls that may come at once.
const BURST_SECONDS: u32 = 20;
/// Polls allowed for each start.
const POLLS_PER_START: u32 = 5;
/// One proven client lets an address call as often again, up to this many clients.
const MAX_CREDIT: f64 = 5_000.0;
/// In this time half of the credit is lost.
const HALF_LIFE: Duration = Duration::from_secs(60);
/// An address with less credit is not known.
const KNOWN_CREDIT: f64 = 0.5;

/// The proven clients of an address, with exponential decay.
#[derive(Debug, Clone, Copy, Default)]
struct Credit {
    amount: f64,
    /// When `amount` was computed, in ticks.
    at: i64,
}

impl Memory for Credit {
    fn is_known(&self) -> bool {
        self.amount >= KNOWN_CREDIT
    }
}

impl Credit {
    fn at(self, now: Timestamp) -> f64 {
        let halves = now.since(Timestamp::from_ticks(self.at)).as_secs_f64();
        self.amount * 0.5_f64.powf(halves / HALF_LIFE.as_secs_f64())
    }
}

pub struct Addresses {
    starts_per_second: u32,
    table: Table<Credit>,
}

impl Addresses {
    /// `starts_per_second` is the limit of an address that is not known;
    /// `secret` is fresh randomness.
    pub fn new(starts_per_second: u32, secret: u128) -> Self {
        Self {
            starts_per_second,
            table: Table::new(CAPACITY, secret),
        }
    }

    /// Counts a call; the error is the time until another is allowed.
    pub fn count(&self, address: IpAddr, call: Call, now: Timestamp) -> Result<(), Duration> {
        self.table.with(self.key(address), |entry| {
            let credit = entry.memory.at(now);
            match call {
                Call::Start => entry.starts.try_acquire(self.rate(credit, 1), now),
                Call::Poll => entry
                    .polls
                    .try_acquire(self.rate(credit, POLLS_PER_START), now),
            }
        })
    }

    /// Gives an address credit for a client that proved its identity.
    pub fn add_credit(&self, address: IpAddr, now: Timestamp) {
        self.table.with(self.key(address), |entry| {
            entry.memory = Credit {
                amount: (entry.memory.at(now) + 1.0).min(MAX_CREDIT),
                at: now.ticks(),
            };
        });
    }

    /// Whether a client of this address proved its identity lately.
    pub fn is_known(&self, address: IpAddr, now: Timestamp) -> bool {
        let key = self.key(address);
        self.table
            .with(key, |entry| entry.memory.at(now) >= KNOWN_CREDIT)
    }

    fn rate(&self, credit: f64, times: u32) -> Rate {
        // `MAX_CREDIT` fits into u32.
        let earned = 1 + credit as u32;
        let per_second = self.starts_per_second.saturating_mul(earned);
        let count = per_second.saturating_mul(times);
        let burst = count.saturating_mul(BURST_SECONDS);
        Rate::new(count, Duration::from_secs(1), burst)
    }

    fn key(&self, address: IpAddr) -> Key {
        let network = network(address);
        self.table.key(|hasher| network.hash(hasher))
    }
}

/// What counts as one address: a client with one IPv6 address has the other 2^64
/// of its network too.
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

    fn starts(addresses: &Addresses, address: &str, count: usize, now: Timestamp) -> usize {
        let allowed = |_: &usize| addresses.count(ip(address), Call::Start, now).is_ok();
        (0..count).filter(allowed).count()
    }

    #[test]
    fn one_address_is_limited_and_others_are_not() {
        let addresses = Addresses::new(20, 7);
        assert_eq!(starts(&addresses, "192.0.2.1", 1000, START), 400);
        assert_eq!(starts(&addresses, "192.0.2.2", 10, START), 10);
        let later = START.plus(Duration::from_secs(1));
        assert_eq!(starts(&addresses, "192.0.2.1", 1000, later), 20);
        // A network of IPv6 is one address.
        assert_eq!(starts(&addresses, "2001:db8::1", 400, START), 400);
        assert_eq!(starts(&addresses, "2001:db8::2", 1, START), 0);
        assert_eq!(starts(&addresses, "2001:db8:0:1::1", 1, START), 1);
    }

    #[test]
    fn a_fleet_behind_one_address_may_call_more_once_its_clients_are_proven() {
        let addresses = Addresses::new(20, 7);
        assert_eq!(starts(&addresses, "192.0.2.1", 400, START), 400);
        assert!(!addresses.is_known(ip("192.0.2.1"), START));
        for _ in 0..300 {
            addresses.add_credit(ip("192.0.2.1"), START);
        }
        assert!(addresses.is_known(ip("192.0.2.1"), START));
        let soon = START.plus(Duration::from_secs(1));
        assert!(starts(&addresses, "192.0.2.1", 10_000, soon) > 5_000);
        // Credit is lost with time.
        let late = START.plus(Duration::from_secs(3600));
        assert!(!addresses.is_known(ip("192.0.2.1"), late));
        assert_eq!(starts(&addresses, "192.0.2.1", 1000, late), 400);
    }
}
