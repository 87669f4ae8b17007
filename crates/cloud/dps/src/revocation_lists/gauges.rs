//! The gauges of revocation lists.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use ids::{IdScope, Timestamp};
use metrics::{Gauge, gauge};
use provisioning::RevocationListRecord;

/// A list by its ID scope and name.
type Key = (String, String);

/// The lists that have gauges.
#[derive(Debug, Default)]
pub struct ListGauges(Mutex<HashSet<Key>>);

struct Gauges {
    age: Gauge,
    entries: Gauge,
    stale: Gauge,
}

impl Gauges {
    fn of((id_scope, list): &Key) -> Self {
        let labels = [("id_scope", id_scope.clone()), ("list", list.clone())];
        Self {
            age: gauge!("muster_dps_revocation_list_age_seconds", &labels),
            entries: gauge!("muster_dps_revocation_list_entries", &labels),
            stale: gauge!("muster_dps_revocation_list_stale", &labels),
        }
    }
}

impl ListGauges {
    /// Sets the gauges of all lists. Those of a list that is gone have no number any more.
    pub(super) fn update(&self, lists: &[(IdScope, RevocationListRecord)], now: Timestamp) {
        let key = |(id_scope, list): &(IdScope, RevocationListRecord)| {
            (id_scope.to_string(), list.name.to_string())
        };
        let present: HashSet<Key> = lists.iter().map(key).collect();
        let mut printed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in printed.difference(&present) {
            let gauges = Gauges::of(gone);
            for gauge in [gauges.age, gauges.entries, gauges.stale] {
                gauge.set(f64::NAN);
            }
        }
        for listed in lists {
            let (gauges, list) = (Gauges::of(&key(listed)), &listed.1);
            let (mut age, mut entries) = (f64::NAN, f64::NAN);
            if let Some(content) = &list.content {
                let made = Timestamp::from_ticks(content.this_update);
                age = now.since(made).as_secs_f64();
                entries = f64::from(content.entries);
            }
            gauges.age.set(age);
            gauges.entries.set(entries);
            let stale = list.age().is_stale(now);
            gauges.stale.set(f64::from(u8::from(stale)));
        }
        *printed = present;
    }
}
