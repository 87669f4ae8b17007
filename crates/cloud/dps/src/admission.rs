//! Who may ask now, and when everybody else shall come again: per device, per service, and for the whole server.
//!
//! Four questions, from the cheapest to the dearest. Does somebody ask too often who has proved nothing, by its address? Does this
//! device ask too often? Has its service used up its quota? Are as many registrations under way as can be finished in time? Whoever is sent away is told a time at which its turn is, derived
//! from how many were told before and how quickly they are served; who comes then goes before those who were told nothing.
//! Pure except for the counters: the time is an argument, and nothing here waits.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ids::{RegistrationId, Timestamp};

mod addresses;
mod bucket;
mod capacity;
mod devices;
mod limits;
mod line;
mod lines;
mod meters;
mod quota;
mod table;

pub use limits::AdmissionLimits;

use addresses::Addresses;
use bucket::Rate;
use capacity::Capacity;
use devices::{Device, DeviceKey, Devices};
use line::Spread;
use lines::{Lines, Standing};
use meters::{Meters, State};
use quota::Quota;

/// Why a request is not let in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody at the address asks too often and has proved nothing.
    Address,
    /// The device registers too often.
    DeviceRegistrations,
    /// The device polls too often.
    DevicePolls,
    /// Its provisioning service has used up its registrations of this minute.
    Quota,
    /// The server has as many registrations under way as it can finish in time.
    Capacity,
}

impl Cause {
    const ALL: [Self; 5] = [
        Self::Address,
        Self::DeviceRegistrations,
        Self::DevicePolls,
        Self::Quota,
        Self::Capacity,
    ];

    /// A stable name for metrics and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::DeviceRegistrations => "device_registrations",
            Self::DevicePolls => "device_polls",
            Self::Quota => "service_quota",
            Self::Capacity => "capacity",
        }
    }
}

/// Not now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {} s", self.seconds())]
pub struct Throttled {
    /// Why.
    pub cause: Cause,
    retry_after: Duration,
}

impl Throttled {
    /// What `Retry-After` says: at least 1.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let rounded_up = self.retry_after.as_millis().div_ceil(1000).max(1);
        u32::try_from(rounded_up).unwrap_or(u32::MAX)
    }
}

/// Decides who may ask now. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    limits: AdmissionLimits,
    registrations: Rate,
    polls: Rate,
    addresses: Addresses,
    devices: Devices,
    server: Mutex<Server>,
    meters: Meters,
}

/// What all devices share.
struct Server {
    capacity: Capacity,
    lines: Lines,
    /// Of services with a quota that somebody has registered with; there are no others in it.
    quotas: Quotas,
}

type Quotas = Vec<(Box<str>, Quota)>;

/// A place among the registrations that are under way. Given back by [`Place::done`], or when it is dropped.
pub struct Place {
    admission: Admission,
    device: DeviceKey,
    from: Option<IpAddr>,
    since: Timestamp,
    given_back: bool,
}

/// That an address may ask; what it asks for is looked at next.
pub struct MayAsk(Option<IpAddr>);

/// That a poll may be answered.
pub struct MayPoll(());

impl Admission {
    /// Nobody has asked yet. `secret` is fresh randomness, by which devices are told apart.
    #[must_use]
    pub fn new(limits: AdmissionLimits, secret: u128) -> Self {
        let server = Server {
            capacity: Capacity::new(limits.registrations_at_once),
            lines: Lines::default(),
            quotas: Vec::new(),
        };
        Self(Arc::new(Inner {
            registrations: limits.registrations_of_a_device(),
            polls: limits.polls_of_a_device(),
            addresses: Addresses::new(limits.attempts_per_second_of_an_address, secret),
            devices: Devices::new(secret),
            server: Mutex::new(server),
            meters: Meters::new(),
            limits,
        }))
    }

    /// Lets somebody at an address ask to register, or says when it shall ask again. Where it is not known, everybody may.
    ///
    /// # Errors
    /// When it has to wait.
    pub fn ask(&self, from: Option<IpAddr>, now: Timestamp) -> Result<MayAsk, Throttled> {
        let counted = from.map_or(Ok(()), |from| self.0.addresses.attempt(from, now));
        self.let_ask(from, counted, now)
    }

    /// The same for the question what became of a registration.
    ///
    /// # Errors
    /// When it has to wait.
    pub fn ask_again(&self, from: Option<IpAddr>, now: Timestamp) -> Result<MayAsk, Throttled> {
        let counted = from.map_or(Ok(()), |from| self.0.addresses.poll(from, now));
        self.let_ask(from, counted, now)
    }

    fn let_ask(
        &self,
        from: Option<IpAddr>,
        counted: Result<(), Duration>,
        now: Timestamp,
    ) -> Result<MayAsk, Throttled> {
        counted.map(|()| MayAsk(from)).map_err(|wait| {
            let throttled = Throttled {
                cause: Cause::Address,
                retry_after: wait,
            };
            self.refused(throttled, now)
        })
    }

    /// Lets a device register, or says when it shall come again. `id_scope` is a service of this server.
    ///
    /// # Errors
    /// When it has to wait.
    pub fn register(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        MayAsk(from): MayAsk,
        now: Timestamp,
    ) -> Result<Place, Throttled> {
        let key = self.0.devices.key(id_scope, id);
        let decided = self.0.devices.with(key, |device| {
            let rate = self.0.registrations;
            device
                .registrations
                .take(rate, now)
                .map_err(|wait| Throttled {
                    cause: Cause::DeviceRegistrations,
                    retry_after: wait,
                })?;
            let standing = self.standing(device, from, now);
            self.enter(id_scope, device, (standing, key.spread()), now)
        });
        match decided {
            Ok(()) => {
                self.0.meters.admitted();
                Ok(Place {
                    admission: self.clone(),
                    device: key,
                    from,
                    since: now,
                    given_back: false,
                })
            }
            Err(throttled) => Err(self.refused(throttled, now)),
        }
    }

    /// Lets a device ask what became of its registration, or says when it shall come again. Only the device's own limit counts:
    /// what was begun is to be finished.
    ///
    /// # Errors
    /// When it has to wait.
    pub fn poll(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        MayAsk(_): MayAsk,
        now: Timestamp,
    ) -> Result<MayPoll, Throttled> {
        let key = self.0.devices.key(id_scope, id);
        let taken = self
            .0
            .devices
            .with(key, |device| device.polls.take(self.0.polls, now));
        taken.map(|()| MayPoll(())).map_err(|wait| {
            let throttled = Throttled {
                cause: Cause::DevicePolls,
                retry_after: wait,
            };
            self.refused(throttled, now)
        })
    }

    /// Whether there is a reason to believe that a device is one.
    fn standing(&self, device: &Device, from: Option<IpAddr>, now: Timestamp) -> Standing {
        let address_is_known = |from| self.0.addresses.is_known(from, now);
        if device.is_proven() || from.is_none_or(address_is_known) {
            Standing::Known
        } else {
            Standing::Newcomer
        }
    }

    fn enter(
        &self,
        id_scope: &str,
        device: &mut Device,
        who: (Standing, Spread),
        now: Timestamp,
    ) -> Result<(), Throttled> {
        let mut server = self.server();
        let told = device.told();
        let decided = server.enter(self.0.limits.quota_of(id_scope), told, who, now);
        drop(server);
        match decided {
            Ok(()) => {
                device.tell(None);
                Ok(())
            }
            Err((cause, turn)) => {
                device.tell(Some(turn));
                Err(Throttled {
                    cause,
                    retry_after: turn.since(now),
                })
            }
        }
    }

    /// Sets the gauges that `/metrics` shows.
    pub fn show(&self, now: Timestamp) {
        self.0.meters.show(self.state(now));
    }

    fn state(&self, now: Timestamp) -> State {
        let server = self.server();
        let (running, limit) = server.capacity.running();
        let lines = server
            .quotas
            .iter()
            .map(|(_, quota)| quota.lines.length(now));
        State {
            running,
            limit,
            waiting: lines.fold(server.lines.length(now), Duration::max),
        }
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.0.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, throttled: Throttled, now: Timestamp) -> Throttled {
        self.0
            .meters
            .refused(throttled.cause, || self.state(now), now);
        throttled
    }
}

impl Server {
    /// Takes a place, and one of the service's quota if it has one; or why not, and when the device's turn is.
    fn enter(
        &mut self,
        quota: Option<(&str, u32)>,
        told: Option<Timestamp>,
        (standing, spread): (Standing, Spread),
        now: Timestamp,
    ) -> Result<(), (Cause, Timestamp)> {
        let room = self.capacity.room();
        // The quota first: who may not come for a while has no use for a turn that is sooner.
        let mut quota = quota.map(|(scope, count)| quota_of(&mut self.quotas, scope, count));
        if let Some(quota) = &mut quota
            && !quota.lines.lets_pass(standing, quota.room(now), told, now)
        {
            let turn = quota.turn(now);
            let turn = quota.lines.send_away(standing, told, turn, spread, now);
            return Err((Cause::Quota, turn));
        }
        if !self.lines.lets_pass(standing, room, told, now) {
            self.capacity.found_full(now);
            let turn = (Duration::ZERO, self.capacity.turn());
            let turn = self.lines.send_away(standing, told, turn, spread, now);
            return Err((Cause::Capacity, turn));
        }
        if let Some(quota) = quota {
            quota.take(now);
        }
        self.capacity.enter(now);
        Ok(())
    }
}

/// The quota of a service, which begins unused.
fn quota_of<'a>(quotas: &'a mut Quotas, scope: &str, per_minute: u32) -> &'a mut Quota {
    let known = quotas
        .iter()
        .position(|(known, _)| known.eq_ignore_ascii_case(scope));
    let at = known.unwrap_or_else(|| {
        quotas.push((scope.into(), Quota::per_minute(per_minute)));
        quotas.len() - 1
    });
    &mut quotas[at].1
}

impl Place {
    /// What was registered is a device: it and its address are known from now on.
    pub fn proved(&self, now: Timestamp) {
        self.admission.0.devices.with(self.device, Device::prove);
        if let Some(from) = self.from {
            self.admission.0.addresses.succeeded(from, now);
        }
    }

    /// Gives the place back at the end of a registration, whose duration is learned from.
    pub fn done(mut self, now: Timestamp) {
        self.given_back = true;
        let took = now.since(self.since);
        self.admission.server().capacity.leave(took, now);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The device hung up, or was refused: nothing is learned from how long that took.
        if !self.given_back {
            self.admission.server().capacity.break_off();
        }
    }
}

#[cfg(test)]
mod tests;
