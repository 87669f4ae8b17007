//! All limits together, and the [`Slot`] that an admitted start holds.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ids::Timestamp;

use crate::addresses::Addresses;
use crate::clients::{Client, ClientMemory, Clients, jitter};
use crate::concurrency::ConcurrencyLimit;
use crate::limits::{Call, Limit, Limits, Load, Throttled};
use crate::quota::Quota;
use crate::table::{Entry, Key, Memory as _};
use crate::tiers::{Attempt, Tier, TieredSchedule};

/// Decides which requests are accepted. Cheap to clone.
#[derive(Clone)]
pub struct Admission(Arc<Inner>);

struct Inner {
    limits: Limits,
    addresses: Addresses,
    clients: Clients,
    shared: Mutex<Shared>,
}

/// The capacity that all clients share.
struct Shared {
    concurrency: ConcurrencyLimit,
    schedule: TieredSchedule,
    /// One for each scope that has a quota and was used.
    quotas: Quotas,
}

type Quotas = Vec<(Box<str>, Quota)>;

/// Proof that the limit of an address allows a call.
pub struct AddressPermit(Option<IpAddr>);

/// Proof that a poll is within its client's limit.
pub struct PollPermit(());

/// A start that is in progress. [`Slot::finish`] or dropping it frees the capacity.
pub struct Slot {
    admission: Admission,
    client: Key,
    address: Option<IpAddr>,
    since: Timestamp,
    finished: bool,
}

impl Admission {
    /// `secret` is fresh randomness; clients cannot predict which entries of a table they share.
    #[must_use]
    pub fn new(limits: Limits, secret: u128) -> Self {
        let shared = Shared {
            concurrency: ConcurrencyLimit::new(limits.max_concurrent),
            schedule: TieredSchedule::default(),
            quotas: Vec::new(),
        };
        Self(Arc::new(Inner {
            addresses: Addresses::new(limits.starts_per_second_per_address, secret),
            clients: Clients::new(secret),
            shared: Mutex::new(shared),
            limits,
        }))
    }

    /// Counts a call of an address. An address that is `None` has no limit.
    pub fn admit_address(
        &self,
        address: Option<IpAddr>,
        call: Call,
        now: Timestamp,
    ) -> Result<AddressPermit, Throttled> {
        let counted = address.map_or(Ok(()), |address| self.0.addresses.count(address, call, now));
        counted
            .map(|()| AddressPermit(address))
            .map_err(throttled_by(Limit::Address))
    }

    /// Lets a client start. `starts_per_minute` is the quota of its scope, if that has one.
    pub fn start(
        &self,
        client: Client<'_>,
        starts_per_minute: Option<u32>,
        permit: AddressPermit,
        now: Timestamp,
    ) -> Result<Slot, Throttled> {
        let AddressPermit(address) = permit;
        let key = self.0.clients.key(client);
        self.0.clients.with(key, |entry| {
            entry
                .starts
                .try_acquire(self.0.limits.client_starts, now)
                .map_err(throttled_by(Limit::ClientStarts))?;
            let attempt = Attempt {
                tier: self.tier(entry, address, now),
                scheduled: entry.memory.scheduled(),
                jitter: jitter(key),
            };
            let quota = starts_per_minute.map(|count| (client.scope, count));
            let entered = self.shared().enter(quota, attempt, now);
            entry
                .memory
                .set_scheduled(entered.err().map(|(_, time)| time));
            entered.map_err(|(limit, time)| Throttled {
                limit,
                retry_after: time.since(now),
            })
        })?;
        Ok(Slot {
            admission: self.clone(),
            client: key,
            address,
            since: now,
            finished: false,
        })
    }

    /// Lets a client poll.
    pub fn poll(
        &self,
        client: Client<'_>,
        _: AddressPermit,
        now: Timestamp,
    ) -> Result<PollPermit, Throttled> {
        let (key, rate) = (self.0.clients.key(client), self.0.limits.client_polls);
        let acquired = self
            .0
            .clients
            .with(key, |entry| entry.polls.try_acquire(rate, now));
        acquired
            .map(|()| PollPermit(()))
            .map_err(throttled_by(Limit::ClientPolls))
    }

    /// How busy the server is now.
    #[must_use]
    pub fn load(&self, now: Timestamp) -> Load {
        let shared = self.shared();
        let quotas = shared.quotas.iter();
        let backlogs = quotas.map(|(_, quota)| quota.schedule.backlog(now));
        Load {
            running: shared.concurrency.running(),
            limit: shared.concurrency.limit(),
            backlog: backlogs.fold(shared.schedule.backlog(now), Duration::max),
        }
    }

    fn tier(&self, entry: &Entry<ClientMemory>, address: Option<IpAddr>, now: Timestamp) -> Tier {
        let address_is_known = |address| self.0.addresses.is_known(address, now);
        if entry.memory.is_known() || address.is_none_or(address_is_known) {
            Tier::Known
        } else {
            Tier::Newcomer
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn throttled_by(limit: Limit) -> impl FnOnce(Duration) -> Throttled {
    move |retry_after| Throttled { limit, retry_after }
}

impl Shared {
    /// Counts one more start against the scope's quota and the concurrency limit. The error is the
    /// limit that was exceeded, and the time at which the client is to return.
    fn enter(
        &mut self,
        quota: Option<(&str, u32)>,
        attempt: Attempt,
        now: Timestamp,
    ) -> Result<(), (Limit, Timestamp)> {
        let headroom = self.concurrency.headroom();
        // The quota first: its wait may be long, and a shorter one for the capacity would be wrong.
        let mut quota = quota.map(|(scope, count)| quota_of(&mut self.quotas, scope, count));
        if let Some(quota) = &mut quota
            && !quota.schedule.admits(attempt, quota.headroom(now), now)
        {
            let pace = quota.pace(now);
            return Err((Limit::Quota, quota.schedule.schedule(attempt, pace, now)));
        }
        if !self.schedule.admits(attempt, headroom, now) {
            self.concurrency.record_refusal(now);
            let pace = self.concurrency.pace();
            let time = self.schedule.schedule(attempt, pace, now);
            return Err((Limit::Concurrency, time));
        }
        if let Some(quota) = quota {
            quota.consume(now);
        }
        self.concurrency.enter(now);
        Ok(())
    }
}

/// The quota of a scope, which begins unused.
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

impl Slot {
    /// Remembers that the client proved its identity, and with it its address.
    pub fn mark_proven(&self, now: Timestamp) {
        let clients = &self.admission.0.clients;
        clients.with(self.client, |entry| entry.memory.mark_proven());
        if let Some(address) = self.address {
            self.admission.0.addresses.add_credit(address, now);
        }
    }

    /// Ends the start; its duration is measured.
    pub fn finish(mut self, now: Timestamp) {
        self.finished = true;
        let took = now.since(self.since);
        self.admission.shared().concurrency.finish(took, now);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The client hung up, or was refused later: the duration says nothing.
        if !self.finished {
            self.admission.shared().concurrency.abandon();
        }
    }
}
