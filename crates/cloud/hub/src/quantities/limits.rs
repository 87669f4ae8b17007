//! The numbers: those of Azure's S1 for so many units, or what an operator says.

use std::time::Duration;

use throttle::Rate;

use super::{Quantity, rate};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// What may come in this time may also come at once, of quantities that are counted by the second.
const BURST: Duration = Duration::from_secs(16);

/// What each hub may be asked for, by all callers together; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubLimits {
    pub connects_per_second: u32,
    pub sends_per_second: u32,
    pub twin_reads_per_second: u32,
    pub twin_updates_per_second: u32,
    pub queries_per_minute: u32,
    /// Request bodies of direct methods, each counted in pieces of 4 KiB.
    pub method_kib_per_second: u32,
    pub jobs_per_minute: u32,
    pub registry_operations_per_minute: u32,
    pub configuration_operations_per_minute: u32,
    /// Uploads that devices begin.
    pub file_uploads_per_minute: u32,
    /// Messages that back ends send to devices and modules.
    pub c2d_sends_per_minute: u32,
    /// Requests of devices for such messages over HTTPS.
    pub c2d_receives_per_minute: u32,
    /// Requests of connected devices for another certificate.
    pub certificate_requests_per_minute: u32,
}

impl HubLimits {
    /// Units of which no hub on one machine uses up what they may: limits that a runaway caller
    /// meets.
    pub const DEFAULT_UNITS: u32 = 10_000;

    /// The quantities that Azure documents for so many units of S1 ("IoT Hub quotas and
    /// throttling"); those of twins grow with the units as they do for S2. 0 units: no limits.
    #[must_use]
    pub fn of_units(units: u32) -> Self {
        let times = |count: u32| units.saturating_mul(count);
        let at_least = |least: u32, count| match units {
            0 => 0,
            _ => times(count).max(least),
        };
        Self {
            connects_per_second: at_least(100, 12),
            sends_per_second: at_least(100, 12),
            twin_reads_per_second: at_least(100, 10),
            twin_updates_per_second: at_least(50, 5),
            queries_per_minute: times(20),
            method_kib_per_second: times(160),
            jobs_per_minute: times(100),
            registry_operations_per_minute: times(100),
            configuration_operations_per_minute: times(20),
            file_uploads_per_minute: times(100),
            c2d_sends_per_minute: times(100),
            c2d_receives_per_minute: times(1000),
            // Azure documents no number.
            certificate_requests_per_minute: times(100),
        }
    }

    pub(super) fn rates(&self) -> [(Quantity, Option<Rate>); 13] {
        let second = |count| rate(count, SECOND, BURST);
        let minute = |count| rate(count, MINUTE, MINUTE);
        // One KiB is a quarter of what is counted at once.
        let methods = rate(self.method_kib_per_second, SECOND * 4, BURST);
        [
            (Quantity::Connects, second(self.connects_per_second)),
            (Quantity::Sends, second(self.sends_per_second)),
            (Quantity::TwinReads, second(self.twin_reads_per_second)),
            (Quantity::TwinUpdates, second(self.twin_updates_per_second)),
            (Quantity::Queries, minute(self.queries_per_minute)),
            (Quantity::Methods, methods),
            (Quantity::Jobs, minute(self.jobs_per_minute)),
            (
                Quantity::RegistryOperations,
                minute(self.registry_operations_per_minute),
            ),
            (
                Quantity::ConfigurationOperations,
                minute(self.configuration_operations_per_minute),
            ),
            (Quantity::FileUploads, minute(self.file_uploads_per_minute)),
            (
                Quantity::CloudToDeviceSends,
                minute(self.c2d_sends_per_minute),
            ),
            (
                Quantity::CloudToDeviceReceives,
                minute(self.c2d_receives_per_minute),
            ),
            (
                Quantity::CertificateRequests,
                minute(self.certificate_requests_per_minute),
            ),
        ]
    }
}

impl Default for HubLimits {
    fn default() -> Self {
        Self::of_units(Self::DEFAULT_UNITS)
    }
}

/// What each device or module may ask for itself; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    pub connects_per_second: u32,
    pub sends_per_second: u32,
    pub twin_reads_per_second: u32,
    pub twin_updates_per_second: u32,
    pub certificate_requests_per_minute: u32,
}

impl DeviceLimits {
    pub(super) fn rates(&self) -> [(Quantity, Option<Rate>); 5] {
        let second = |count| rate(count, SECOND, BURST);
        [
            (Quantity::Connects, second(self.connects_per_second)),
            (Quantity::Sends, second(self.sends_per_second)),
            (Quantity::TwinReads, second(self.twin_reads_per_second)),
            (Quantity::TwinUpdates, second(self.twin_updates_per_second)),
            (
                Quantity::CertificateRequests,
                rate(self.certificate_requests_per_minute, MINUTE, MINUTE),
            ),
        ]
    }
}

impl Default for DeviceLimits {
    /// One device may do as often what one unit of S1 lets a whole hub do. Its messages are limited
    /// by their bytes, each of which counts 256 beside its own: [`transport::pace`].
    fn default() -> Self {
        let unit = HubLimits::of_units(1);
        Self {
            connects_per_second: unit.connects_per_second,
            sends_per_second: 0,
            twin_reads_per_second: unit.twin_reads_per_second,
            twin_updates_per_second: unit.twin_updates_per_second,
            certificate_requests_per_minute: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unit_is_what_is_documented_for_s1() {
        let documented = HubLimits {
            connects_per_second: 100,
            sends_per_second: 100,
            twin_reads_per_second: 100,
            twin_updates_per_second: 50,
            queries_per_minute: 20,
            method_kib_per_second: 160,
            jobs_per_minute: 100,
            registry_operations_per_minute: 100,
            configuration_operations_per_minute: 20,
            file_uploads_per_minute: 100,
            c2d_sends_per_minute: 100,
            c2d_receives_per_minute: 1000,
            certificate_requests_per_minute: 100,
        };
        assert_eq!(HubLimits::of_units(1), documented);
        assert_eq!(HubLimits::of_units(20).connects_per_second, 240);
        let unlimited = HubLimits::of_units(0).rates();
        assert!(unlimited.iter().all(|(_, rate)| rate.is_none()));
        let device = DeviceLimits::default();
        assert_eq!(device.twin_updates_per_second, 50);
    }
}
