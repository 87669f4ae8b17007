//! Which limits apply to which call of a device, and what operators see of them. The limits
//! themselves are in the crate `throttle`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ids::{RegistrationId, Timestamp};
use metrics::{Counter, Gauge, counter, gauge};
use throttle::{AddressPermit, Call, Client, Limit, PollPermit, Rate, Slot, Throttled};

/// Limits of the requests of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Registrations a minute of each provisioning service; `None` is unlimited.
    pub registrations_per_minute: Option<u32>,
    /// The same for single services, by ID scope.
    pub registrations_per_minute_by_scope: Vec<(String, Option<u32>)>,
    /// Registrations a minute of one device, all of which may come at once.
    pub device_registrations_per_minute: u32,
    /// Polls in ten seconds of one device; twice as many at once.
    pub device_polls_per_10_seconds: u32,
    /// Attempts to register a second of one address (a /64 of IPv6) from which no
    /// device has registered lately; twenty times as many at once. Each successful
    /// registration allows as many again.
    pub attempts_per_second_per_address: u32,
    /// Upper bound of the registrations in progress; the measured limit stays below.
    pub max_concurrent_registrations: u32,
}

impl Default for AdmissionLimits {
    /// No quota: a self-hosted server may do what its machine can. A device polls
    /// as often as Azure documents.
    fn default() -> Self {
        Self {
            registrations_per_minute: None,
            registrations_per_minute_by_scope: Vec::new(),
            device_registrations_per_minute: 60,
            device_polls_per_10_seconds: 5,
            attempts_per_second_per_address: 20,
            max_concurrent_registrations: 4096,
        }
    }
}

impl AdmissionLimits {
    fn quota_of(&self, id_scope: &str) -> Option<u32> {
        let mut by_scope = self.registrations_per_minute_by_scope.iter();
        by_scope
            .find(|(scope, _)| scope.eq_ignore_ascii_case(id_scope))
            .map_or(self.registrations_per_minute, |(_, quota)| *quota)
    }

    fn to_throttle(&self) -> throttle::Limits {
        let (registrations, polls) = (
            self.device_registrations_per_minute,
            self.device_polls_per_10_seconds,
        );
        throttle::Limits {
            starts_per_second_per_address: self.attempts_per_second_per_address,
            client_starts: Rate::new(registrations, Duration::from_secs(60), registrations),
            client_polls: Rate::new(polls, Duration::from_secs(10), polls.saturating_mul(2)),
            max_concurrent: self.max_concurrent_registrations,
        }
    }
}

/// A stable name for metrics and logs.
pub fn reason_code(limit: Limit) -> &'static str {
    match limit {
        Limit::Address => "address",
        Limit::ClientStarts => "device_registrations",
        Limit::ClientPolls => "device_polls",
        Limit::Quota => "service_quota",
        Limit::Concurrency => "capacity",
    }
}

/// Decides which requests of devices are accepted.
pub struct Admission {
    limits: AdmissionLimits,
    throttle: throttle::Admission,
    meters: Meters,
}

impl Admission {
    /// `secret` is fresh randomness.
    pub fn new(limits: AdmissionLimits, secret: u128) -> Self {
        Self {
            throttle: throttle::Admission::new(limits.to_throttle(), secret),
            meters: Meters::new(),
            limits,
        }
    }

    /// The first check of every request, before anything of it is read.
    pub fn admit_address(
        &self,
        address: Option<IpAddr>,
        call: Call,
        now: Timestamp,
    ) -> Result<AddressPermit, Throttled> {
        let admitted = self.throttle.admit_address(address, call, now);
        admitted.map_err(|throttled| self.refused(throttled, now))
    }

    /// Lets a device register. `id_scope` is that of a service of this server.
    pub fn register(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        permit: AddressPermit,
        now: Timestamp,
    ) -> Result<Slot, Throttled> {
        let quota = self.limits.quota_of(id_scope);
        let slot = self
            .throttle
            .start(client(id_scope, id), quota, permit, now)
            .map_err(|throttled| self.refused(throttled, now))?;
        self.meters.admitted.increment(1);
        Ok(slot)
    }

    /// Lets a device ask for the state of its registration.
    pub fn poll(
        &self,
        id_scope: &str,
        id: &RegistrationId,
        permit: AddressPermit,
        now: Timestamp,
    ) -> Result<PollPermit, Throttled> {
        let admitted = self.throttle.poll(client(id_scope, id), permit, now);
        admitted.map_err(|throttled| self.refused(throttled, now))
    }

    /// Sets the gauges of the metrics recorder.
    pub fn update_gauges(&self, now: Timestamp) {
        let load = self.throttle.load(now);
        self.meters.running.set(f64::from(load.running));
        self.meters.limit.set(f64::from(load.limit));
        self.meters.backlog.set(load.backlog.as_secs_f64());
    }

    /// Counts a refusal, and now and then writes a line of log about all of them.
    fn refused(&self, throttled: Throttled, now: Timestamp) -> Throttled {
        self.meters.throttled[throttled.limit as usize].increment(1);
        if let Some(count) = self.meters.unlogged.add_one(now) {
            let load = self.throttle.load(now);
            tracing::warn!(
                reason.code = reason_code(throttled.limit),
                "{count} requests of devices were answered 429 lately; {} of at most {} \
                 registrations are in progress, and the longest `Retry-After` was {} s",
                load.running,
                load.limit,
                load.backlog.as_secs(),
            );
        }
        throttled
    }
}

fn client<'a>(id_scope: &'a str, id: &'a RegistrationId) -> Client<'a> {
    Client {
        scope: id_scope,
        id: id.folded(),
    }
}

/// Handles of the metrics, looked up once. Without a recorder they count nothing.
struct Meters {
    admitted: Counter,
    throttled: [Counter; Limit::ALL.len()],
    running: Gauge,
    limit: Gauge,
    backlog: Gauge,
    unlogged: Unlogged,
}

impl Meters {
    fn new() -> Self {
        let throttled =
            |limit| counter!("muster_dps_requests_throttled_total", "cause" => reason_code(limit));
        Self {
            admitted: counter!("muster_dps_registrations_admitted_total"),
            throttled: Limit::ALL.map(throttled),
            running: gauge!("muster_dps_registrations_in_progress"),
            limit: gauge!("muster_dps_registrations_in_progress_limit"),
            backlog: gauge!("muster_dps_retry_schedule_seconds"),
            unlogged: Unlogged(AtomicU64::new(0), AtomicI64::new(Timestamp::NEVER.ticks())),
        }
    }
}

/// Refusals since the last line of log, and when that was written.
struct Unlogged(AtomicU64, AtomicI64);

impl Unlogged {
    const INTERVAL: Duration = Duration::from_secs(10);

    /// The count, when a line is due.
    fn add_one(&self, now: Timestamp) -> Option<u64> {
        const ORDER: Ordering = Ordering::Relaxed;
        let Self(count, logged_at) = self;
        count.fetch_add(1, ORDER);
        let last = logged_at.load(ORDER);
        if now.since(Timestamp::from_ticks(last)) < Self::INTERVAL {
            return None;
        }
        logged_at
            .compare_exchange(last, now.ticks(), ORDER, ORDER)
            .ok()?;
        Some(count.swap(0, ORDER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t13_a_service_may_have_a_quota_of_its_own_or_none() {
        let limits = AdmissionLimits {
            registrations_per_minute: Some(6),
            registrations_per_minute_by_scope: vec![
                ("0neB".into(), None),
                ("0neC".into(), Some(12)),
            ],
            ..AdmissionLimits::default()
        };
        let quotas = ["0neA", "0nea", "0neB", "0NEC"].map(|scope| limits.quota_of(scope));
        assert_eq!(quotas, [Some(6), Some(6), None, Some(12)]);
    }

    #[test]
    fn a_line_of_log_is_due_at_most_every_ten_seconds() {
        let start = Timestamp::from_unix_seconds(1_700_000_000);
        let unlogged = Unlogged(AtomicU64::new(0), AtomicI64::new(Timestamp::NEVER.ticks()));
        assert_eq!(unlogged.add_one(start), Some(1));
        assert_eq!(unlogged.add_one(start), None);
        let later = start.plus(Unlogged::INTERVAL);
        assert_eq!(unlogged.add_one(later), Some(2));
    }
}
