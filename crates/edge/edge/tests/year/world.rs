//! The services: a provisioning service, hubs, an issuer. Each fails at times of its own.

use std::collections::BTreeMap;

use edge::provision::machine::FailureKind;
use ids::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use super::outages::Outages;
use super::{DAY, HOUR};

/// 2027-01-01, by the clock of the world.
pub const START: i64 = 1_798_761_600;
const HUBS: usize = 3;
const CERTIFICATE_DAYS: u64 = 30;

/// The moment that is `seconds` after the start.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(START + i64::try_from(seconds).unwrap())
}

/// A certificate of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub serial: u32,
    pub not_after: u64,
}

/// Why a server did not do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is not reached until this time.
    Away(u64),
    /// Its certificate is not valid by the clock of the device.
    Clock,
    Kind(FailureKind),
}

struct Hub {
    /// The last name is the current one.
    names: Vec<String>,
    outages: Outages,
    /// The certificates by which each device is known.
    devices: BTreeMap<usize, Vec<u32>>,
}

/// An event that changes the world for many devices.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// An operator moves some devices to another hub.
    Move {
        divisor: usize,
        to: usize,
    },
    Rename(usize),
}

pub struct World {
    hubs: Vec<Hub>,
    /// The hub of each device.
    assigned: Vec<usize>,
    service: Outages,
    issuer: Outages,
    networks: Vec<Outages>,
    changes: Vec<(u64, Change)>,
    serial: u32,
}

impl World {
    pub fn new(devices: usize, until: u64, random: &mut StdRng) -> Self {
        let hub = |number: usize, outages| Hub {
            names: vec![format!("hub-{number}.example")],
            outages,
            devices: BTreeMap::new(),
        };
        let mut changes = Vec::new();
        let mut day = 5;
        while day * DAY < until {
            let change = match random.random_range(0..4) {
                0 => Change::Rename(random.random_range(0..HUBS)),
                _ => Change::Move {
                    divisor: random.random_range(7..40),
                    to: random.random_range(0..HUBS),
                },
            };
            changes.push((day * DAY + random.random_range(0..DAY), change));
            day += random.random_range(6..16);
        }
        changes.reverse();
        Self {
            hubs: (0..HUBS)
                .map(|number| hub(number, Outages::schedule(random, 12, until)))
                .collect(),
            assigned: (0..devices).map(|number| number % HUBS).collect(),
            service: Outages::schedule(random, 10, until),
            issuer: Outages::schedule(random, 10, until),
            networks: (0..devices)
                .map(|_| Outages::schedule(random, 20, until))
                .collect(),
            changes,
            serial: 0,
        }
    }

    /// The times at which sessions may end: of changes, and of the hubs' outages.
    pub fn changes(&self) -> Vec<u64> {
        let outages = self.hubs.iter().flat_map(|hub| hub.outages.starts());
        let changes = self.changes.iter().map(|(at, _)| *at);
        outages.chain(changes).map(|at| at + 1).collect()
    }

    pub fn outages(&self) -> usize {
        let hubs = self.hubs.iter().map(|hub| &hub.outages);
        let all = hubs
            .chain(&self.networks)
            .chain([&self.service, &self.issuer]);
        all.map(Outages::count).sum()
    }

    /// Makes the changes up to a time.
    pub fn advance(&mut self, now: u64) {
        while let Some((_, change)) = self.changes.pop_if(|(at, _)| *at <= now) {
            match change {
                Change::Move { divisor, to } => {
                    for device in (0..self.assigned.len()).step_by(divisor) {
                        // The service deletes the device in the hub that it leaves.
                        if self.assigned[device] != to {
                            self.hubs[self.assigned[device]].devices.remove(&device);
                            self.assigned[device] = to;
                        }
                    }
                }
                Change::Rename(hub) => {
                    let names = &mut self.hubs[hub].names;
                    let next = format!("hub-{hub}-{}.example", names.len());
                    names.push(next);
                }
            }
        }
    }

    fn reach(&self, device: usize, server: &Outages, now: u64) -> Result<(), Refusal> {
        let away = self.networks[device].end_at(now).max(server.end_at(now));
        away.map_or(Ok(()), |end| Err(Refusal::Away(end)))
    }

    pub fn is_offline(&self, device: usize, now: u64) -> bool {
        self.networks[device].end_at(now).is_some()
    }

    /// A server's certificate is renewed every month.
    fn verify(clock: Timestamp, now: u64) -> Result<(), Refusal> {
        let from = at(now.saturating_sub(30 * DAY)).minus(MARGIN);
        match from <= clock && clock <= at(now + 60 * DAY) {
            true => Ok(()),
            false => Err(Refusal::Clock),
        }
    }

    /// Registers; the host of the device's hub.
    pub fn register(
        &mut self,
        device: usize,
        certificate: &Certificate,
        clock: Timestamp,
        now: u64,
    ) -> Result<String, Refusal> {
        self.reach(device, &self.service, now)?;
        Self::verify(clock, now)?;
        if certificate.not_after < now {
            return Err(Refusal::Kind(FailureKind::Device));
        }
        let hub = &mut self.hubs[self.assigned[device]];
        // The hub knows the certificate of the last registration.
        hub.devices.insert(device, vec![certificate.serial]);
        Ok(hub.names.last().unwrap().clone())
    }

    pub fn connect(
        &self,
        device: usize,
        host: &str,
        certificate: &Certificate,
        (clock, now): (Timestamp, u64),
    ) -> Result<(), Refusal> {
        let named = |hub: &&Hub| hub.names.iter().any(|name| name == host);
        let hub = self.hubs.iter().find(named).unwrap();
        self.reach(device, &hub.outages, now)?;
        Self::verify(clock, now)?;
        if hub.names.last().is_none_or(|name| name != host) {
            return Err(Refusal::Kind(FailureKind::OtherName));
        }
        let known = hub.devices.get(&device);
        let is_known = known.is_some_and(|known| known.contains(&certificate.serial));
        match is_known && certificate.not_after >= now {
            true => Ok(()),
            false => Err(Refusal::Kind(FailureKind::Device)),
        }
    }

    /// Issues a certificate to a device that has a valid one, or the password of its first.
    pub fn issue(&mut self, device: usize, now: u64) -> Result<Certificate, Refusal> {
        self.reach(device, &self.issuer, now)?;
        self.serial += 1;
        Ok(Certificate {
            serial: self.serial,
            not_after: now + CERTIFICATE_DAYS * DAY,
        })
    }

    /// What a hub gives a device whose certificate opens it: the hub knows it then.
    pub fn renew_at_hub(
        &mut self,
        device: usize,
        host: &str,
        certificate: &Certificate,
        (clock, now): (Timestamp, u64),
    ) -> Result<Certificate, Refusal> {
        self.connect(device, host, certificate, (clock, now))?;
        self.serial += 1;
        let issued = Certificate {
            serial: self.serial,
            not_after: now + CERTIFICATE_DAYS * DAY,
        };
        let named = |hub: &&mut Hub| hub.names.iter().any(|name| name == host);
        let hub = self.hubs.iter_mut().find(named).unwrap();
        hub.devices.entry(device).or_default().push(issued.serial);
        Ok(issued)
    }
}

/// Servers set the start of a certificate a little back.
const MARGIN: std::time::Duration = std::time::Duration::from_secs(HOUR);
