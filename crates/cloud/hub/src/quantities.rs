//! How often a hub and each of its devices may be asked for what, and which quantity a request
//! counts against.

use std::time::Duration;

use axum::http::Method;
use ids::{HubName, Identity, Timestamp};
use throttle::{Demand, Exceeded, MemberBuckets, MemberLimits, Rate};

mod limits;

pub use limits::{DeviceLimits, HubLimits};

/// What IoT Hub throttles, and requests for certificates. Each has a token bucket of the hub; those
/// of [`DeviceLimits`] also have one of each device or module, for what it does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    Connects,
    Sends,
    TwinReads,
    TwinUpdates,
    Queries,
    Methods,
    Jobs,
    RegistryOperations,
    ConfigurationOperations,
    FileUploads,
    CloudToDeviceSends,
    CloudToDeviceReceives,
    CertificateRequests,
}

const QUANTITIES: usize = 13;

/// More was asked for than the hub or the device may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too many {} of {}; try again in {} s",
    quantity.name(),
    match by {
        throttle::Exceeding::Member => "this device",
        throttle::Exceeding::Group => "the hub",
    },
    self.retry_after_seconds()
)]
pub(crate) struct Throttled {
    pub(crate) quantity: Quantity,
    by: throttle::Exceeding,
    wait: Duration,
}

impl Throttled {
    /// The value of the header `Retry-After`: whole seconds, at least 1.
    pub(crate) fn retry_after_seconds(&self) -> u64 {
        whole_seconds(self.wait)
    }
}

/// Seconds that are enough, at least 1.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000).max(1)).unwrap_or(u64::MAX)
}

impl Quantity {
    /// The label of the metric, and the word in errors.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Sends => "sends",
            Self::TwinReads => "twin_reads",
            Self::TwinUpdates => "twin_updates",
            Self::Queries => "queries",
            Self::Methods => "methods",
            Self::Jobs => "jobs",
            Self::RegistryOperations => "registry_operations",
            Self::ConfigurationOperations => "configuration_operations",
            Self::FileUploads => "file_uploads",
            Self::CloudToDeviceSends => "c2d_sends",
            Self::CloudToDeviceReceives => "c2d_receives",
            Self::CertificateRequests => "certificate_requests",
        }
    }

    /// What a request to the service API counts against; `None` for paths that Azure does not
    /// throttle like this. Telemetry, methods and uploads are counted when their bodies are read.
    pub(crate) fn of_request(method: &Method, segments: &[&str]) -> Option<Self> {
        // Routes match in any letter case.
        let segments: Vec<String> = segments.iter().map(|s| s.to_ascii_lowercase()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match segments.as_slice() {
            ["devices", "query"] => Self::Queries,
            ["devices", _, "applyconfigurationcontent"] | ["configurations", ..] => {
                Self::ConfigurationOperations
            }
            ["messages", "devicebound"]
            | ["devices", _, "messages", "devicebound"]
            | ["devices", _, "modules", _, "messages", "devicebound"]
                if method == Method::POST =>
            {
                Self::CloudToDeviceSends
            }
            ["devices", _, "messages", "devicebound"]
            | ["devices", _, "modules", _, "messages", "devicebound"] => {
                Self::CloudToDeviceReceives
            }
            ["devices", _, "modules", _, "messages" | "commands", ..]
            | ["devices", _, "messages" | "files" | "commands", ..]
            | ["twins", _, .., "methods"]
            | ["digitaltwins", _, .., "commands", _] => return None,
            ["devices" | "statistics", ..] => Self::RegistryOperations,
            ["twins" | "digitaltwins", ..] if method == Method::GET => Self::TwinReads,
            ["twins" | "digitaltwins", ..] => Self::TwinUpdates,
            ["jobs", ..] => Self::Jobs,
            _ => return None,
        })
    }
}

/// The token buckets of all hubs of a server.
pub(crate) struct HubBuckets {
    limits: [MemberLimits; QUANTITIES],
    buckets: MemberBuckets<QUANTITIES>,
}

impl HubBuckets {
    pub(crate) fn new(hub: &HubLimits, device: &DeviceLimits) -> Self {
        let mut limits = [MemberLimits::default(); QUANTITIES];
        for (quantity, group) in hub.rates() {
            limits[quantity as usize].group = group;
        }
        for (quantity, member) in device.rates() {
            limits[quantity as usize].member = member;
        }
        let buckets = MemberBuckets::default();
        Self { limits, buckets }
    }

    /// Counts messages that come together: all of them, or as many as may ever come at once. Says
    /// how many were counted, and how long they wait until their turn. They are admitted when the
    /// first of them would be if it came alone.
    ///
    /// # Errors
    /// When the first one would wait for longer than `patience`. Nothing is counted then.
    pub(crate) fn take_messages(
        &self,
        sender: &Identity,
        messages: u32,
        patience: Duration,
        now: Timestamp,
    ) -> Result<(u32, Duration), Throttled> {
        let MemberLimits { member, group } = self.limits[Quantity::Sends as usize];
        let limits = || member.into_iter().chain(group);
        let at_once = limits().map(Rate::burst).min().unwrap_or(u32::MAX);
        let slowest = limits().map(Rate::interval).max().unwrap_or_default();
        let count = messages.min(at_once);
        let behind_first = slowest.saturating_mul(count.saturating_sub(1));
        let patience = patience.saturating_add(behind_first);
        let counted = (Quantity::Sends, count);
        let wait = self.take((&sender.hub, Some(sender)), counted, patience, now)?;
        Ok((count, wait))
    }

    /// The time that a request has to wait until its turn; at most `patience`, or it is refused.
    pub(crate) fn take(
        &self,
        (hub, device): (&HubName, Option<&Identity>),
        (quantity, count): (Quantity, u32),
        patience: Duration,
        now: Timestamp,
    ) -> Result<Duration, Throttled> {
        let kind = quantity as usize;
        let demand = Demand {
            kind,
            count,
            patience,
        };
        let taken = self
            .buckets
            .take((hub, device), demand, self.limits[kind], now);
        taken.map_err(|Exceeded { by, wait }| Throttled { quantity, by, wait })
    }
}

/// `count` a time, and at once what may come in `at_once`; 0 for no limit.
fn rate(count: u32, per: Duration, at_once: Duration) -> Option<Rate> {
    let burst = u128::from(count) * at_once.as_nanos() / per.as_nanos();
    let burst = u32::try_from(burst).unwrap_or(u32::MAX);
    (count > 0).then(|| Rate::new(count, per, burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Refused batches that used up tokens left a busy hub nothing to admit.
    #[test]
    fn a_hub_that_is_asked_too_much_takes_what_it_may() {
        let limits = HubLimits {
            sends_per_second: 100,
            ..HubLimits::default()
        };
        let unlimited = DeviceLimits::default();
        let buckets = HubBuckets::new(&limits, &unlimited);
        let hub = HubName::parse("hub").unwrap();
        let device = |n: usize| {
            let id = ids::DeviceId::parse(&format!("d{n}")).unwrap();
            Identity::device(hub.clone(), id)
        };
        let senders: Vec<Identity> = (0..60).map(device).collect();
        let patience = Duration::from_secs(10);
        let begin = Timestamp::from_unix_seconds(0);
        let (mut idle_at, mut accepted) = (vec![0_u64; senders.len()], 0);
        for millis in 0..120_000 {
            let now = begin.plus(Duration::from_millis(millis));
            for (sender, idle_at) in senders.iter().zip(&mut idle_at) {
                if *idle_at > millis {
                    continue;
                }
                let wait = match buckets.take_messages(sender, 64, patience, now) {
                    Ok((count, wait)) => {
                        accepted += count;
                        wait
                    }
                    // It connects again.
                    Err(_) => Duration::from_millis(500),
                };
                *idle_at = millis + u64::try_from(wait.as_millis()).unwrap() + 1;
            }
        }
        // 120 s, the 1,600 that may come at once, and what waits for its turn at the end.
        assert!((12_000..=14_700).contains(&accepted), "{accepted}");
    }

    #[test]
    fn each_path_counts_against_what_azure_counts_it_against() {
        use Quantity::*;
        for (method, path, expected) in [
            (Method::POST, "devices/query", Some(Queries)),
            (Method::GET, "devices", Some(RegistryOperations)),
            (Method::POST, "devices", Some(RegistryOperations)),
            (
                Method::POST,
                "devices/keys/regenerate",
                Some(RegistryOperations),
            ),
            (Method::PUT, "devices/d/modules/m", Some(RegistryOperations)),
            (Method::GET, "statistics/devices", Some(RegistryOperations)),
            (Method::POST, "devices/d/messages/events", None),
            (Method::POST, "devices/d/modules/m/messages/events", None),
            (Method::DELETE, "devices/d/messages/deviceBound/l", None),
            (Method::DELETE, "devices/d/commands", None),
            (Method::GET, "twins/d", Some(TwinReads)),
            (Method::PATCH, "twins/d", Some(TwinUpdates)),
            (Method::PUT, "twins/d/modules/m", Some(TwinUpdates)),
            (Method::GET, "digitaltwins/d", Some(TwinReads)),
            (Method::GET, "TWINS/d", Some(TwinReads)),
            (Method::POST, "devices/Query", Some(Queries)),
            (Method::DELETE, "devices/d/modules/m/commands", None),
            (Method::PATCH, "digitaltwins/d", Some(TwinUpdates)),
            (Method::POST, "digitaltwins/d/commands/c", None),
            (Method::POST, "digitaltwins/d/components/p/commands/c", None),
            (Method::POST, "twins/d/methods", None),
            (Method::POST, "twins/d/modules/m/methods", None),
            // A device may be called anything.
            (Method::GET, "twins/methods", Some(TwinReads)),
            (Method::PUT, "jobs/v2/j", Some(Jobs)),
            (Method::GET, "jobs/v2/query", Some(Jobs)),
            (
                Method::PUT,
                "configurations/c",
                Some(ConfigurationOperations),
            ),
            (
                Method::POST,
                "devices/d/applyConfigurationContent",
                Some(ConfigurationOperations),
            ),
            (Method::GET, "muster/v1/events", None),
        ] {
            let segments: Vec<_> = path.split('/').collect();
            let found = Quantity::of_request(&method, &segments);
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn messages_to_devices_count_when_they_are_sent_and_asked_for() {
        let sends = Some(Quantity::CloudToDeviceSends);
        let receives = Some(Quantity::CloudToDeviceReceives);
        for (method, path, expected) in [
            (Method::POST, "messages/deviceBound", sends),
            (Method::POST, "devices/d/messages/devicebound", sends),
            (
                Method::POST,
                "devices/d/modules/m/messages/devicebound",
                sends,
            ),
            (Method::GET, "devices/d/messages/deviceBound", receives),
            (
                Method::GET,
                "devices/d/modules/m/messages/deviceBound",
                receives,
            ),
            (
                Method::POST,
                "devices/d/messages/deviceBound/l/abandon",
                None,
            ),
        ] {
            let segments: Vec<_> = path.split('/').collect();
            let found = Quantity::of_request(&method, &segments);
            assert_eq!(found, expected, "{method} {path}");
        }
    }
}
