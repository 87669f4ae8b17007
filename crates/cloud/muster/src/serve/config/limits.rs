//! The `[limits]` table of the configuration file.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use dps::AdmissionLimits;
use hub::{DeviceLimits, HubLimits};
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
    #[serde(default)]
    hub: HubTable,
    #[serde(default)]
    hub_device: HubDeviceTable,
}

/// `[limits.hub]`: what each hub may be asked for. A quantity that is given counts in place of that
/// of the units; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HubTable {
    units: Option<u32>,
    connects_per_second: Option<u32>,
    sends_per_second: Option<u32>,
    twin_reads_per_second: Option<u32>,
    twin_updates_per_second: Option<u32>,
    queries_per_minute: Option<u32>,
    method_kib_per_second: Option<u32>,
    jobs_per_minute: Option<u32>,
    registry_operations_per_minute: Option<u32>,
    configuration_operations_per_minute: Option<u32>,
    file_uploads_per_minute: Option<u32>,
    c2d_sends_per_minute: Option<u32>,
    c2d_receives_per_minute: Option<u32>,
    certificate_requests_per_minute: Option<u32>,
}

/// `[limits.hub_device]`: what each device or module may ask its hub for; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HubDeviceTable {
    connects_per_second: Option<u32>,
    sends_per_second: Option<u32>,
    twin_reads_per_second: Option<u32>,
    twin_updates_per_second: Option<u32>,
    certificate_requests_per_minute: Option<u32>,
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

    /// What each hub may be asked for.
    pub fn of_hubs(&self) -> HubLimits {
        let table = self.hub;
        let usual = HubLimits::of_units(table.units.unwrap_or(HubLimits::DEFAULT_UNITS));
        let or = |given: Option<u32>, usual| given.unwrap_or(usual);
        HubLimits {
            connects_per_second: or(table.connects_per_second, usual.connects_per_second),
            sends_per_second: or(table.sends_per_second, usual.sends_per_second),
            twin_reads_per_second: or(table.twin_reads_per_second, usual.twin_reads_per_second),
            twin_updates_per_second: or(
                table.twin_updates_per_second,
                usual.twin_updates_per_second,
            ),
            queries_per_minute: or(table.queries_per_minute, usual.queries_per_minute),
            method_kib_per_second: or(table.method_kib_per_second, usual.method_kib_per_second),
            jobs_per_minute: or(table.jobs_per_minute, usual.jobs_per_minute),
            registry_operations_per_minute: or(
                table.registry_operations_per_minute,
                usual.registry_operations_per_minute,
            ),
            configuration_operations_per_minute: or(
                table.configuration_operations_per_minute,
                usual.configuration_operations_per_minute,
            ),
            file_uploads_per_minute: or(
                table.file_uploads_per_minute,
                usual.file_uploads_per_minute,
            ),
            c2d_sends_per_minute: or(table.c2d_sends_per_minute, usual.c2d_sends_per_minute),
            c2d_receives_per_minute: or(
                table.c2d_receives_per_minute,
                usual.c2d_receives_per_minute,
            ),
            certificate_requests_per_minute: or(
                table.certificate_requests_per_minute,
                usual.certificate_requests_per_minute,
            ),
        }
    }

    /// What each device or module may ask its hub for.
    pub fn of_hub_devices(&self) -> DeviceLimits {
        let (table, usual) = (self.hub_device, DeviceLimits::default());
        let or = |given: Option<u32>, usual| given.unwrap_or(usual);
        DeviceLimits {
            connects_per_second: or(table.connects_per_second, usual.connects_per_second),
            sends_per_second: or(table.sends_per_second, usual.sends_per_second),
            twin_reads_per_second: or(table.twin_reads_per_second, usual.twin_reads_per_second),
            twin_updates_per_second: or(
                table.twin_updates_per_second,
                usual.twin_updates_per_second,
            ),
            certificate_requests_per_minute: or(
                table.certificate_requests_per_minute,
                usual.certificate_requests_per_minute,
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_of_a_hub_counts_in_place_of_that_of_its_units() {
        let table: LimitsTable = toml::from_str(
            "[hub]\nunits = 1\nqueries_per_minute = 0\n\
                 [hub_device]\nsends_per_second = 7",
        )
        .unwrap();
        let expected = HubLimits {
            queries_per_minute: 0,
            ..HubLimits::of_units(1)
        };
        assert_eq!(table.of_hubs(), expected);
        let expected = DeviceLimits {
            sends_per_second: 7,
            ..DeviceLimits::default()
        };
        assert_eq!(table.of_hub_devices(), expected);
        assert!(toml::from_str::<LimitsTable>("[hub]\nconnects = 1").is_err());
        let usual = LimitsTable::default();
        assert_eq!(usual.of_hubs(), HubLimits::default());
    }
}
