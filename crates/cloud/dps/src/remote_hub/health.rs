//! The health of linked hubs, from the outcome of calls to them. Hubs of this server are healthy
//! as long as it runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ids::{HubHost, HubName, Timestamp};
use metrics::{counter, gauge};
use provisioning::{HubAccess, LinkedHub, RemoteAccess};

/// A hub is unhealthy after so many calls in a row that failed,
const FAILURES: u32 = 3;
/// over at least this time: many calls that fail at the same time are one failure.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between probes of a healthy hub that is not called otherwise.
const HEALTHY_PAUSE: Duration = Duration::from_secs(30);
/// The same for one that is not healthy.
const FAILING_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Health {
    /// The last call was answered, or there was none yet.
    #[default]
    Healthy,
    /// Calls fail, not yet often and long enough.
    Suspect(Failing),
    /// It gets no new devices.
    Unhealthy(Failing),
}

/// Calls that failed one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    pub since: Timestamp,
    pub failures: u32,
    /// Of the last one.
    pub error: String,
}

impl Health {
    pub fn after_success(self) -> Self {
        Self::Healthy
    }

    pub fn after_failure(self, error: String, now: Timestamp) -> Self {
        let was_unhealthy = matches!(self, Self::Unhealthy(_));
        let (since, failures) = match self {
            Self::Healthy => (now, 1),
            Self::Suspect(failing) | Self::Unhealthy(failing) => {
                (failing.since, failing.failures.saturating_add(1))
            }
        };
        let failing = Failing {
            since,
            failures,
            error,
        };
        match was_unhealthy || (failures >= FAILURES && now.since(since) >= PATIENCE) {
            true => Self::Unhealthy(failing),
            false => Self::Suspect(failing),
        }
    }

    pub fn failing(&self) -> Option<&Failing> {
        match self {
            Self::Healthy => None,
            Self::Suspect(failing) | Self::Unhealthy(failing) => Some(failing),
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Healthy => HEALTHY_PAUSE,
            Self::Suspect(_) | Self::Unhealthy(_) => FAILING_PAUSE,
        }
    }
}

/// The health of the remote hubs. In memory: a server that starts finds out anew.
#[derive(Default)]
pub struct HubHealth(Mutex<HashMap<HubName, Known>>);

#[derive(Clone)]
struct Known {
    /// Another host or key is another chance.
    link: (HubHost, RemoteAccess),
    health: Health,
    called: Timestamp,
}

impl HubHealth {
    pub fn get(&self, hub: &LinkedHub) -> Health {
        let Some(link) = link(hub) else {
            return Health::Healthy;
        };
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hubs.get(&hub.name).filter(|known| known.link == link);
        known.map(|known| known.health.clone()).unwrap_or_default()
    }

    /// Why a hub gets no new devices; `None` when it does.
    pub fn unhealthy_reason(&self, hub: &LinkedHub) -> Option<String> {
        // Most hubs are of this server, and need no lock.
        if hub.access == HubAccess::Local {
            return None;
        }
        match self.get(hub) {
            Health::Unhealthy(failing) => Some(format!(
                "hub {} was skipped: unhealthy since {}, last error: {}",
                hub.name,
                failing.since.in_seconds(),
                failing.error
            )),
            Health::Healthy | Health::Suspect(_) => None,
        }
    }

    /// Notes the outcome of a call: `failure` is `None` when the hub answered.
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
        // Held from the reading to the writing: calls that end at the same time all count.
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
            called: now,
        };
        hubs.insert(hub.name.clone(), known);
        drop(hubs);
        log_change(hub, &before, &after);
    }

    /// How long until a hub is to be probed; zero when it is due.
    pub fn next_probe_in(&self, hub: &LinkedHub, now: Timestamp) -> Duration {
        let hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hubs.get(&hub.name);
        match known.filter(|known| link(hub).as_ref() == Some(&known.link)) {
            Some(known) => (known.health.pause()).saturating_sub(now.since(known.called)),
            None => Duration::ZERO,
        }
    }

    /// Forgets the hubs that are no longer linked.
    pub fn retain(&self, linked: &[LinkedHub]) {
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|name, _| linked.iter().any(|hub| hub.name == *name));
    }

    /// Sets a hub's gauge: 1 for a healthy one, 0 for an unhealthy one.
    pub fn update_gauge(&self, hub: &LinkedHub) {
        let value = match self.get(hub) {
            Health::Healthy => 1.0,
            Health::Suspect(_) => 0.5,
            Health::Unhealthy(_) => 0.0,
        };
        gauge!("muster_dps_linked_hub_health", "hub" => hub.name.to_string()).set(value);
    }
}

fn link(hub: &LinkedHub) -> Option<(HubHost, RemoteAccess)> {
    match &hub.access {
        HubAccess::Local => None,
        HubAccess::Remote(access) => Some((hub.host.clone(), access.clone())),
    }
}

fn log_change(hub: &LinkedHub, before: &Health, after: &Health) {
    match (before, after) {
        (Health::Suspect(_) | Health::Healthy, Health::Unhealthy(failing)) => tracing::warn!(
            hub.name = %hub.name,
            "hub {} at {} gets no new devices: unhealthy since {}, {} calls failed, the last one: {}",
            hub.name,
            hub.host,
            failing.since.in_seconds(),
            failing.failures,
            failing.error,
        ),
        (Health::Unhealthy(failing), Health::Healthy) => tracing::info!(
            hub.name = %hub.name,
            "hub {} at {} answers again; it was unhealthy since {}",
            hub.name,
            hub.host,
            failing.since.in_seconds(),
        ),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
