//! What a program may set.

use std::time::Duration;

use super::bucket::Rate;

/// Limits of requests of devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Registrations a minute of each provisioning service; `None`: as many as the server can do.
    pub registrations_per_minute: Option<u32>,
    /// The same for single services, by ID scope.
    pub registrations_per_minute_of: Vec<(String, Option<u32>)>,
    /// Registrations a minute of one device, all of them at once if it likes.
    pub device_registrations_per_minute: u32,
    /// Polls in ten seconds of one device; twice as many at once.
    pub device_polls_per_10_seconds: u32,
    /// Attempts to register a second of one address, a /64 of IPv6, from which nobody has registered lately; twenty times as many at
    /// once. Each that comes to something lets it ask as often again.
    pub attempts_per_second_of_an_address: u32,
    /// Registrations under way at once, at most; the bound that is found by measuring stays below.
    pub registrations_at_once: u32,
}

impl Default for AdmissionLimits {
    /// No quota: a self-hosted server may do what its machine can. A device polls as often as Azure documents.
    fn default() -> Self {
        Self {
            registrations_per_minute: None,
            registrations_per_minute_of: Vec::new(),
            device_registrations_per_minute: 60,
            device_polls_per_10_seconds: 5,
            attempts_per_second_of_an_address: 20,
            registrations_at_once: 4096,
        }
    }
}

impl AdmissionLimits {
    /// The quota of a service, with the name that it is kept under.
    pub(super) fn quota_of<'a>(&self, id_scope: &'a str) -> Option<(&'a str, u32)> {
        let own = self.registrations_per_minute_of.iter();
        let own = own.filter(|(scope, _)| scope.eq_ignore_ascii_case(id_scope));
        let quota = own.map(|(_, quota)| *quota).next();
        let quota = quota.unwrap_or(self.registrations_per_minute);
        quota.map(|quota| (id_scope, quota))
    }

    pub(super) fn registrations_of_a_device(&self) -> Rate {
        let count = self.device_registrations_per_minute;
        Rate::new(count, Duration::from_secs(60), count)
    }

    pub(super) fn polls_of_a_device(&self) -> Rate {
        let count = self.device_polls_per_10_seconds;
        Rate::new(count, Duration::from_secs(10), count.saturating_mul(2))
    }
}
