//! How much clients of EST may ask for. Before a client has proved who it is its address is
//! limited, and the passwords that may be tried; after that only itself.

use std::net::IpAddr;
use std::time::Duration;

use ids::Timestamp;
use throttle::{
    AddressPermit, Admission, Call, Client, Demand, MemberBuckets, MemberLimits, Rate, Slot,
};
use wire::est::Operation;

use super::fault::EstFault;

/// Requests a second of an address from which no certificate was issued lately, twenty times as
/// many at once. Each issued certificate allows as many again.
const STARTS_PER_SECOND_PER_ADDRESS: u32 = 20;
/// Certificates a minute of one user, for a production line.
const USER_PER_MINUTE: u32 = 6000;
/// Certificates a minute for one name, requested with a certificate.
const CERTIFICATE_PER_MINUTE: u32 = 60;
/// Enrollments at once; the measured limit stays below.
const AT_ONCE: u32 = 512;

/// Wrong passwords for one user from one address.
const USER_GUESSES: (u32, Duration) = (10, Duration::from_secs(60));
/// Wrong passwords from one address, for any users.
const ADDRESS_GUESSES: (u32, Duration) = (60, Duration::from_secs(60));

/// The kinds of demands in the buckets.
const GUESS: usize = 0;
const BY_CERTIFICATE: usize = 1;

pub(super) struct Limits {
    admission: Admission,
    buckets: MemberBuckets<2>,
}

/// Whose requests are counted together once it is proven who sends them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted<'a> {
    User(&'a str),
    /// The common name of a client's certificate.
    Certificate(&'a str),
}

impl Limits {
    /// `secret` is fresh randomness.
    pub(super) fn new(secret: u128) -> Self {
        let per_minute = |count| Rate::new(count, Duration::from_secs(60), count);
        let limits = throttle::Limits {
            starts_per_second_per_address: STARTS_PER_SECOND_PER_ADDRESS,
            client_starts: per_minute(USER_PER_MINUTE),
            client_polls: per_minute(USER_PER_MINUTE),
            max_concurrent: AT_ONCE,
        };
        Self {
            admission: Admission::new(limits, secret),
            buckets: MemberBuckets::default(),
        }
    }

    /// The first check, before anything is read.
    pub(super) fn admit_address(
        &self,
        address: Option<IpAddr>,
        operation: Operation,
        now: Timestamp,
    ) -> Result<AddressPermit, EstFault> {
        let call = match operation.is_public() {
            true => Call::Poll,
            false => Call::Start,
        };
        Ok(self.admission.admit_address(address, call, now)?)
    }

    /// Counts a password that is about to be compared and may be wrong.
    pub(super) fn guess(
        &self,
        (id_scope, issuer, username): (&str, &str, &str),
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), EstFault> {
        let Some(address) = address else {
            return Ok(());
        };
        let network = network_of(address);
        let rate = |(count, per)| Some(Rate::new(count, per, count));
        let limits = MemberLimits {
            member: rate(USER_GUESSES),
            group: rate(ADDRESS_GUESSES),
        };
        let username = username.to_ascii_lowercase();
        let member = (id_scope, issuer, username, network);
        let key = (&network, Some(&member));
        let taken = self.buckets.take(key, demand(GUESS), limits, now);
        let exceeded = |exceeded: throttle::Exceeded| EstFault::TooMany {
            limit: "passwords",
            wait: exceeded.wait,
        };
        taken.map(drop).map_err(exceeded)
    }

    /// Lets a client that is proven have its request worked on.
    pub(super) fn start(
        &self,
        id_scope: &str,
        counted: Counted<'_>,
        permit: AddressPermit,
        now: Timestamp,
    ) -> Result<Slot, EstFault> {
        let id = match counted {
            Counted::User(name) => format!("user {name}"),
            Counted::Certificate(name) => {
                self.count_certificate(id_scope, name, now)?;
                format!("certificate {name}")
            }
        };
        let client = Client {
            scope: id_scope,
            id: &id.to_ascii_lowercase(),
        };
        let slot = self.admission.start(client, None, permit, now)?;
        slot.mark_proven(now);
        Ok(slot)
    }

    fn count_certificate(
        &self,
        id_scope: &str,
        name: &str,
        now: Timestamp,
    ) -> Result<(), EstFault> {
        let count = CERTIFICATE_PER_MINUTE;
        let limits = MemberLimits {
            member: Some(Rate::new(count, Duration::from_secs(60), count)),
            group: None,
        };
        let member = (id_scope, name.to_lowercase());
        let key = (&id_scope, Some(&member));
        let taken = self.buckets.take(key, demand(BY_CERTIFICATE), limits, now);
        let exceeded = |exceeded: throttle::Exceeded| EstFault::TooMany {
            limit: "device_enrollments",
            wait: exceeded.wait,
        };
        taken.map(drop).map_err(exceeded)
    }
}

fn demand(kind: usize) -> Demand {
    Demand {
        kind,
        count: 1,
        patience: Duration::ZERO,
    }
}

/// A /64 of IPv6 is one address.
fn network_of(address: IpAddr) -> [u8; 8] {
    let mut network = [0; 8];
    match address.to_canonical() {
        IpAddr::V4(address) => network[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, h, ..] = address.octets();
            network = [a, b, c, d, e, f, g, h];
        }
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(7)
    }

    fn guesses(limits: &Limits, user: &str, address: &str, now: Timestamp) -> usize {
        let address = address.parse().ok();
        let guess = |_: &usize| limits.guess(("0ne1", "fleet", user), address, now).is_ok();
        (0..100).take_while(guess).count()
    }

    #[test]
    fn passwords_of_a_user_are_tried_slowly_and_other_addresses_are_not_hindered() {
        let (limits, now) = (limits(), Timestamp::from_unix_seconds(1000));
        assert_eq!(guesses(&limits, "line-1", "10.0.0.1", now), 10);
        assert_eq!(guesses(&limits, "LINE-1", "10.0.0.1", now), 0);
        assert_eq!(guesses(&limits, "line-1", "10.0.0.2", now), 10);
        let later = now.plus(Duration::from_secs(6));
        assert_eq!(guesses(&limits, "line-1", "10.0.0.1", later), 1);
    }

    #[test]
    fn an_address_does_not_try_many_users() {
        let (limits, now) = (limits(), Timestamp::from_unix_seconds(1000));
        let guessed = (0..20).map(|n| guesses(&limits, &format!("user-{n}"), "2001:db8::1", now));
        assert_eq!(guessed.sum::<usize>(), 60);
        assert_eq!(guesses(&limits, "user-99", "2001:db8::2", now), 0);
        assert_eq!(guesses(&limits, "user-99", "2001:db8:0:1::2", now), 10);
    }

    #[test]
    fn a_proven_client_may_do_more() {
        let (limits, now) = (limits(), Timestamp::from_unix_seconds(1000));
        let mut started = 0;
        for _ in 0..200 {
            let permit = limits
                .admit_address(None, Operation::SimpleEnroll, now)
                .unwrap();
            let counted = Counted::Certificate("press-7");
            if let Ok(slot) = limits.start("0ne1", counted, permit, now) {
                slot.finish(now);
                started += 1;
            }
        }
        assert_eq!(started, CERTIFICATE_PER_MINUTE);
        let permit = limits
            .admit_address(None, Operation::SimpleEnroll, now)
            .unwrap();
        assert!(
            limits
                .start("0ne1", Counted::User("line-1"), permit, now)
                .is_ok()
        );
    }
}
