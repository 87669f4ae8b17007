//! How the linked hubs are: what calls to them came to, and how often one asks. Hubs of this server are well as long as it runs.

mod probes;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{HubHost, HubName, Timestamp};
use metrics::{counter, gauge};
use provisioning::{HubReach, LinkedHub, RemoteAccess};

pub use probes::run;

/// So many calls in a row have to fail before a hub counts as dead,
const FAILURES: u32 = 3;
/// and for so long: many calls that fail at once are one failure.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a hub is asked that is well, when nobody else asks it.
const WELL: Duration = Duration::from_secs(30);
/// How often one that is not.
const UNWELL: Duration = Duration::from_secs(5);

/// How a hub is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// The last call came through, or there was none yet.
    #[default]
    Healthy,
    /// Calls fail, not yet often and long enough.
    Suspect(Failing),
    /// It gets no new devices.
    Dead(Failing),
}

/// Calls that failed one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The first of them.
    pub since: Timestamp,
    /// How many.
    pub failures: u32,
    /// What the last one came to.
    pub error: String,
}

impl Health {
    /// After a call that the hub answered.
    #[must_use]
    pub fn after_success(self) -> Self {
        Self::Healthy
    }

    /// After a call that failed.
    #[must_use]
    pub fn after_failure(self, error: String, now: Timestamp) -> Self {
        let was_dead = matches!(self, Self::Dead(_));
        let (since, failures) = match self {
            Self::Healthy => (now, 1),
            Self::Suspect(failing) | Self::Dead(failing) => {
                (failing.since, failing.failures.saturating_add(1))
            }
        };
        let failing = Failing {
            since,
            failures,
            error,
        };
        match was_dead || (failures >= FAILURES && now.since(since) >= PATIENCE) {
            true => Self::Dead(failing),
            false => Self::Suspect(failing),
        }
    }

    /// The calls that failed, when the last one did.
    #[must_use]
    pub fn failing(&self) -> Option<&Failing> {
        match self {
            Self::Healthy => None,
            Self::Suspect(failing) | Self::Dead(failing) => Some(failing),
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Healthy => WELL,
            Self::Suspect(_) | Self::Dead(_) => UNWELL,
        }
    }
}

/// What is known about the remote hubs. In memory: a server that starts finds out anew.
#[derive(Default)]
pub struct HubHealth(Mutex<HashMap<HubName, Known>>);

#[derive(Clone)]
struct Known {
    /// By which link: another host or key is another chance.
    link: (HubHost, RemoteAccess),
    health: Health,
    asked: Timestamp,
}

impl HubHealth {
    /// How a linked hub is.
    #[must_use]
    pub fn of(&self, hub: &LinkedHub) -> Health {
        let Some(link) = link(hub) else {
            return Health::Healthy;
        };
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hubs.get(&hub.name).filter(|known| known.link == link);
        known.map(|known| known.health.clone()).unwrap_or_default()
    }

    /// Why a hub gets no new devices; `None` when it does.
    #[must_use]
    pub fn unhealthy_reason(&self, hub: &LinkedHub) -> Option<String> {
        // Most hubs live here, and need no lock.
        if hub.reach == HubReach::Here {
            return None;
        }
        match self.of(hub) {
            Health::Dead(failing) => Some(format!(
                "hub {} was passed over: dead since {}, last error: {}",
                hub.name, failing.since, failing.error
            )),
            Health::Healthy | Health::Suspect(_) => None,
        }
    }

    /// Takes note of a call: `None` when the hub answered, else why it does not count as an answer.
    pub fn observe(&self, hub: &LinkedHub, failure: Option<String>, now: Timestamp) {
        let Some(link) = link(hub) else {
            return;
        };
        let result = if failure.is_some() {
            "failed"
        } else {
            "answered"
        };
        let name = hub.name.to_string();
        counter!("muster_dps_linked_hub_calls_total", "hub" => name, "result" => result)
            .increment(1);
        // Held from the reading to the writing: calls that end at once all count.
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hubs.get(&hub.name).filter(|known| known.link == link);
        let before = before.map(|known| known.health.clone()).unwrap_or_default();
        let after = match failure {
            None => before.clone().after_success(),
            Some(error) => before.clone().after_failure(error, now),
        };
        let known = Known {
            link,
            health: after.clone(),
            asked: now,
        };
        hubs.insert(hub.name.clone(), known);
        drop(hubs);
        tell(hub, &before, &after);
    }

    /// How long until a hub should be asked how it is; zero when it is time.
    #[must_use]
    pub fn rest(&self, hub: &LinkedHub, now: Timestamp) -> Duration {
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hubs.get(&hub.name);
        match known.filter(|known| link(hub).as_ref() == Some(&known.link)) {
            Some(known) => (known.health.pause()).saturating_sub(now.since(known.asked)),
            None => Duration::ZERO,
        }
    }

    /// Forgets the hubs that are no longer linked.
    pub fn keep(&self, linked: &[LinkedHub]) {
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|name, _| linked.iter().any(|hub| hub.name == *name));
    }

    /// Sets a hub's gauge: 1 for a healthy one, 0 for a dead one.
    pub fn show(&self, hub: &LinkedHub) {
        let value = match self.of(hub) {
            Health::Healthy => 1.0,
            Health::Suspect(_) => 0.5,
            Health::Dead(_) => 0.0,
        };
        gauge!("muster_dps_linked_hub_health", "hub" => hub.name.to_string()).set(value);
    }
}

fn link(hub: &LinkedHub) -> Option<(HubHost, RemoteAccess)> {
    match &hub.reach {
        HubReach::Here => None,
        HubReach::Remote(access) => Some((hub.host.clone(), access.clone())),
    }
}

fn tell(hub: &LinkedHub, before: &Health, after: &Health) {
    match (before, after) {
        (Health::Suspect(_) | Health::Healthy, Health::Dead(failing)) => tracing::warn!(
            hub.name = %hub.name,
            "hub {} at {} gets no new devices: dead since {}, {} calls failed, the last one: {}",
            hub.name,
            hub.host,
            failing.since,
            failing.failures,
            failing.error,
        ),
        (Health::Dead(failing), Health::Healthy) => tracing::info!(
            hub.name = %hub.name,
            "hub {} at {} answers again; it was dead since {}",
            hub.name,
            hub.host,
            failing.since,
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
