//! The age of revocation lists: as metrics, and as warnings before it is too late.

use std::collections::HashMap;
use std::time::Duration;

use ids::{IdScope, Timestamp};
use provisioning::RevocationListRecord;
use registry::StalePolicy;
use registry::revocation::ListAge;

use crate::service::Dps;

/// The rest of a list's time in which there should be a newer one: a tenth, and an hour at least.
const LAST_PART: u32 = 10;
const LAST_HOUR: Duration = Duration::from_secs(3600);

/// How old a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    Absent,
    Current,
    /// It ends soon.
    Late,
    Ended,
}

fn age(list: &RevocationListRecord, now: Timestamp) -> Age {
    let age = list.age();
    match (&list.content, age) {
        (None, _) | (_, ListAge::Absent) => Age::Absent,
        (_, age) if age.is_stale(now) => Age::Ended,
        (Some(content), ListAge::Until(end)) => {
            let whole = end.since(Timestamp::from_ticks(content.this_update));
            let last_part = LAST_HOUR.max(whole / LAST_PART).min(whole / 2);
            match end.since(now) < last_part {
                true => Age::Late,
                false => Age::Current,
            }
        }
        (Some(_), ListAge::Unlimited) => Age::Current,
    }
}

/// The ages that were said, by service and name in lower case: each is said once.
#[derive(Default)]
pub(super) struct Ages(HashMap<(IdScope, String), Age>);

impl Ages {
    pub(super) fn warn(&mut self, dps: &Dps) {
        let now = dps.now();
        let mut ages = HashMap::new();
        for (id_scope, list) in lists(dps) {
            let (age, key) = (age(&list, now), (id_scope, list.name.folded()));
            if self.0.get(&key) != Some(&age) {
                log(&key.0, &list, age);
            }
            ages.insert(key, age);
        }
        self.0 = ages;
    }
}

fn log(id_scope: &IdScope, list: &RevocationListRecord, age: Age) {
    let name = &list.name;
    let end = match list.age() {
        ListAge::Until(end) => end.in_seconds().to_string(),
        ListAge::Absent | ListAge::Unlimited => String::new(),
    };
    let meanwhile = match list.stale {
        StalePolicy::Accept => "what it does not name is accepted",
        StalePolicy::Refuse => "the CA's certificates are refused",
    };
    match age {
        Age::Current => {}
        Age::Absent => tracing::warn!(
            %id_scope, revocation_list = %name,
            "there is no revocation list {name} yet: {meanwhile}"
        ),
        Age::Late => tracing::warn!(
            %id_scope, revocation_list = %name,
            "the revocation list {name} ends at {end}, and there is no newer one"
        ),
        Age::Ended => tracing::warn!(
            %id_scope, revocation_list = %name,
            "the revocation list {name} ended at {end}: {meanwhile}"
        ),
    }
}

/// Sets the gauges of the metrics recorder.
pub fn update_gauges(dps: &Dps) {
    dps.list_gauges().update(&lists(dps), dps.now());
}

/// The lists of all services. What cannot be read now is not looked at.
fn lists(dps: &Dps) -> Vec<(IdScope, RevocationListRecord)> {
    let services = dps.tenants().provisioning().services();
    let mut all = Vec::new();
    for service in services.iter() {
        let Some(tenant) = dps.tenants().by_scope(service.id_scope.as_str()) else {
            continue;
        };
        let lists = tenant.context.provisioning.revocation_lists();
        let lists = lists.unwrap_or_default().into_iter();
        all.extend(lists.map(|list| (service.id_scope.clone(), list)));
    }
    all
}
