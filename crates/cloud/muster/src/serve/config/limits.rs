//! The `[limits]` table of the configuration file.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use dps::AdmissionLimits;
use serde::Deserialize;
use transport::budget::Wanted;

/// Every key is optional; unknown keys are errors, and so is 0 where it would refuse every client.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    connections_per_address: Option<NonZeroUsize>,
    unproven_connections: Option<NonZeroUsize>,
    unproven_connections_per_address: Option<NonZeroUsize>,
    attempts_per_second_of_an_address: Option<NonZeroU32>,
    registrations_per_minute: Option<u32>,
    #[serde(default)]
    registrations_per_minute_of: BTreeMap<String, u32>,
    registrations_per_minute_of_a_device: Option<NonZeroU32>,
    polls_per_10_seconds_of_a_device: Option<NonZeroU32>,
    registrations_at_once: Option<NonZeroU32>,
}

const DEFAULT_CONNECTIONS_PER_ADDRESS: usize = 50_000;
const DEFAULT_UNPROVEN_PER_ADDRESS: usize = 500;

impl LimitsTable {
    /// Connections of one address.
    pub fn connections_per_address(&self) -> usize {
        self.connections_per_address
            .map_or(DEFAULT_CONNECTIONS_PER_ADDRESS, NonZeroUsize::get)
    }

    /// All connections, and those of them that may be unproven.
    pub fn connections(&self, all: usize) -> Wanted {
        let per_address = self.unproven_connections_per_address;
        Wanted {
            connections: all,
            unproven: self.unproven_connections.map(NonZeroUsize::get),
            unproven_per_address: per_address
                .map_or(DEFAULT_UNPROVEN_PER_ADDRESS, NonZeroUsize::get),
        }
    }

    /// The limits of registrations and polls.
    pub fn of_devices(self) -> AdmissionLimits {
        let usual = AdmissionLimits::default();
        let quota = |count: u32| (count > 0).then_some(count);
        let services = self.registrations_per_minute_of.into_iter();
        let or = |given: Option<NonZeroU32>, usual| given.map_or(usual, NonZeroU32::get);
        AdmissionLimits {
            registrations_per_minute: self
                .registrations_per_minute
                .map_or(usual.registrations_per_minute, quota),
            registrations_per_minute_by_scope: services
                .map(|(id, count)| (id, quota(count)))
                .collect(),
            device_registrations_per_minute: or(
                self.registrations_per_minute_of_a_device,
                usual.device_registrations_per_minute,
            ),
            device_polls_per_10_seconds: or(
                self.polls_per_10_seconds_of_a_device,
                usual.device_polls_per_10_seconds,
            ),
            attempts_per_second_per_address: or(
                self.attempts_per_second_of_an_address,
                usual.attempts_per_second_per_address,
            ),
            max_concurrent_registrations: or(
                self.registrations_at_once,
                usual.max_concurrent_registrations,
            ),
        }
    }
}
