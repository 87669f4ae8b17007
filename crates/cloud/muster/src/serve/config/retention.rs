//! The `[audit]`, `[refusals]`, `[certificates]` and `[telemetry]` tables of the configuration file.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use ids::HubName;
use provisioning::Retention;
use registry::{AuditLimits, TelemetryLimits, TelemetryRetention};
use serde::Deserialize;
use transport::pace::Pace;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much of the audit is kept. Every key is optional; unknown keys are errors, and so is 0 where
/// nothing would be kept.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditTable {
    acts_mib: Option<NonZeroU32>,
    decisions_mib: Option<NonZeroU32>,
    refusals_mib: Option<NonZeroU32>,
    keep_days: Option<u32>,
}

/// How long the list of refusals goes back.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusalsTable {
    keep_days: Option<NonZeroU32>,
}

/// How long certificates stay listed after they expired.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatesTable {
    keep_expired_days: Option<ExpiredDays>,
}

/// 0, or at least 30: revocation lists name a certificate until 14 days after its end.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
struct ExpiredDays(u32);

impl TryFrom<u32> for ExpiredDays {
    type Error = String;

    fn try_from(days: u32) -> Result<Self, String> {
        match days {
            1..30 => Err(format!(
                "{days} days are too few; 30 at least, or 0 for no limit"
            )),
            days => Ok(Self(days)),
        }
    }
}

/// How much telemetry of each hub is kept, and how long.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryTable {
    mib_per_hub: Option<NonZeroU32>,
    #[serde(default)]
    mib_of: BTreeMap<HubName, NonZeroU32>,
    keep_days: Option<u32>,
    #[serde(default)]
    keep_days_of: BTreeMap<HubName, u32>,
    kib_per_second_of_a_device: Option<u64>,
    kib_per_second_of_a_hub: Option<u64>,
}

impl TelemetryTable {
    /// How fast devices may send telemetry.
    pub fn pace(&self) -> Pace {
        let usual = Pace::default();
        // 0 is no limit.
        let bytes = |kib: u64| NonZeroU64::new(kib.saturating_mul(1024));
        Pace {
            per_device: self
                .kib_per_second_of_a_device
                .map_or(usual.per_device, bytes),
            per_hub: self.kib_per_second_of_a_hub.map_or(usual.per_hub, bytes),
        }
    }

    fn retention(self) -> TelemetryRetention {
        let bytes = |mib: NonZeroU32| u64::from(mib.get()) << 20;
        let default = TelemetryLimits::default();
        let usual = TelemetryLimits {
            bytes: self.mib_per_hub.map_or(default.bytes, bytes),
            keep: keep(self.keep_days),
        };
        let named: std::collections::BTreeSet<_> =
            self.mib_of.keys().chain(self.keep_days_of.keys()).collect();
        let limits = |hub: &&HubName| TelemetryLimits {
            bytes: self.mib_of.get(*hub).copied().map_or(usual.bytes, bytes),
            keep: match self.keep_days_of.get(*hub) {
                Some(days) => keep(Some(*days)),
                None => usual.keep,
            },
        };
        TelemetryRetention {
            usual,
            of_hubs: named
                .iter()
                .map(|hub| ((*hub).clone(), limits(hub)))
                .collect(),
        }
    }
}

/// 0 days is no limit.
fn keep(days: Option<u32>) -> Option<Duration> {
    days.filter(|days| *days > 0).map(|days| DAY * days)
}

/// The tables over the defaults.
pub fn of(
    audit: AuditTable,
    refusals: RefusalsTable,
    certificates: CertificatesTable,
    telemetry: TelemetryTable,
) -> Retention {
    let usual = Retention::default();
    let bytes =
        |mib: Option<NonZeroU32>, usual| mib.map_or(usual, |mib| u64::from(mib.get()) << 20);
    let kept = &usual.registry.audit;
    Retention {
        refusals: refusals
            .keep_days
            .map_or(usual.refusals, |days| DAY * days.get()),
        expired_certificates: match certificates.keep_expired_days {
            Some(ExpiredDays(days)) => keep(Some(days)),
            None => usual.expired_certificates,
        },
        registry: registry::Retention {
            audit: AuditLimits {
                acts: bytes(audit.acts_mib, kept.acts),
                decisions: bytes(audit.decisions_mib, kept.decisions),
                refusals: bytes(audit.refusals_mib, kept.refusals),
                keep: keep(audit.keep_days),
                segment: kept.segment,
            },
            telemetry: telemetry.retention(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_certificates_are_kept_for_a_month_at_least_or_for_ever() {
        let kept = |text: &str| {
            let certificates = toml::from_str::<CertificatesTable>(text);
            let (audit, refusals) = (AuditTable::default(), RefusalsTable::default());
            let retention = |certificates| {
                of(audit, refusals, certificates, TelemetryTable::default()).expired_certificates
            };
            certificates
                .map(retention)
                .map_err(|error| error.to_string())
        };
        assert_eq!(kept(""), Ok(Some(DAY * 365)));
        assert_eq!(kept("keep_expired_days = 30"), Ok(Some(DAY * 30)));
        assert_eq!(kept("keep_expired_days = 0"), Ok(None));
        let refused = kept("keep_expired_days = 29").unwrap_err();
        assert!(refused.contains("29 days are too few"), "{refused}");
        assert!(kept("keep_days = 30").is_err());
    }

    // B1.
    #[test]
    fn telemetry_is_kept_by_size_and_age_and_hub() {
        let table: TelemetryTable = toml::from_str(
            "mib_per_hub = 10\nkeep_days = 7\nmib_of = { a = 20 }\nkeep_days_of = { a = 0, b = 1 }",
        )
        .unwrap();
        let limits = |mib: u64, days: Option<u32>| TelemetryLimits {
            bytes: mib << 20,
            keep: days.map(|days| DAY * days),
        };
        let retention = table.retention();
        assert_eq!(retention.usual, limits(10, Some(7)));
        let hub = |name: &str| HubName::parse(name).unwrap();
        let named = [
            (hub("a"), limits(20, None)),
            (hub("b"), limits(10, Some(1))),
        ];
        assert_eq!(retention.of_hubs, named);
        assert!(toml::from_str::<TelemetryTable>("mib_per_hub = 0").is_err());
        assert!(toml::from_str::<TelemetryTable>("keep_hours = 1").is_err());
    }
}
