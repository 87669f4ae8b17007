//! Which pending registrations may be resumed at the same time.

use std::collections::HashMap;
use std::hash::Hash;

use ids::{IdScope, RegistrationId, Timestamp};
use provisioning::{Busy, PendingHandle};
use tokio::task::Id;

use super::PERIOD;

/// Registrations that are resumed at the same time.
pub const AT_ONCE: usize = 256;
/// Those of them of the same service: one whose webhooks are all silent shall not stop the others.
const OF_ONE_SERVICE: usize = 64;
/// Those of them that ask the same host.
const AT_ONE_HOST: usize = 16;

/// Whose try it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    id_scope: IdScope,
    registration_id: RegistrationId,
}

/// One try of a pending registration, and the host that it asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    key: Key,
    version: (i64, i64),
    destination: String,
}

impl Try {
    pub fn new(handle: &PendingHandle) -> Self {
        Self {
            key: Key {
                id_scope: handle.id_scope.clone(),
                registration_id: handle.registration_id.clone(),
            },
            version: handle.version(),
            destination: handle.destination.clone(),
        }
    }
}

/// The tries that run, and those that ran a moment ago.
#[derive(Default)]
pub struct Slots {
    running: HashMap<Id, Try>,
    /// Tries that ended lately. One that is due again has changed nothing: it
    /// rests before it is repeated.
    ended: HashMap<Key, ((i64, i64), Timestamp)>,
}

impl Slots {
    pub fn is_free_for(&self, new: &Try) -> bool {
        let rests = self.ended.get(&new.key);
        self.running.len() < AT_ONCE
            && rests.is_none_or(|(version, _)| *version != new.version)
            && self.running.values().all(|other| other.key != new.key)
            && self.count(|other| other.destination == new.destination) < AT_ONE_HOST
            && self.count(|other| other.key.id_scope == new.key.id_scope) < OF_ONE_SERVICE
    }

    fn count(&self, is_one: impl Fn(&Try) -> bool) -> usize {
        self.running.values().filter(|other| is_one(other)).count()
    }

    pub fn occupy(&mut self, task: Id, new: Try) {
        self.running.insert(task, new);
    }

    pub fn free(&mut self, task: Id, now: Timestamp) {
        if let Some(Try { key, version, .. }) = self.running.remove(&task) {
            self.ended.insert(key, (version, now));
        }
    }

    pub fn forget_ended(&mut self, now: Timestamp) {
        self.ended.retain(|_, (_, at)| now.since(*at) < PERIOD);
    }

    /// The hosts and the services of which no further registration may be resumed now.
    pub fn busy(&self) -> Busy {
        let running = self.running.values();
        let destinations = running.clone().map(|running| &running.destination);
        let services = running.map(|running| &running.key.id_scope);
        Busy {
            destinations: at_least(AT_ONE_HOST, destinations),
            services: at_least(OF_ONE_SERVICE, services),
        }
    }
}

/// What comes at least so many times.
fn at_least<'a, T>(times: usize, all: impl Iterator<Item = &'a T>) -> Vec<T>
where
    T: Clone + Eq + Hash + 'a,
{
    let mut counts: HashMap<&T, usize> = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let often = counts.into_iter().filter(|(_, count)| *count >= times);
    often.map(|(one, _)| one.clone()).collect()
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinSet;

    use super::*;

    fn scope(service: &str) -> IdScope {
        service.parse().unwrap()
    }

    fn one(service: &str, id: usize, destination: &str) -> Try {
        Try {
            key: Key {
                id_scope: scope(service),
                registration_id: id.to_string().parse().unwrap(),
            },
            version: (1, 0),
            destination: destination.to_owned(),
        }
    }

    /// Takes as many slots as there are; returns how many.
    async fn fill(slots: &mut Slots, tries: impl IntoIterator<Item = Try>) -> usize {
        let before = slots.running.len();
        let mut tasks = JoinSet::new();
        for new in tries {
            if slots.is_free_for(&new) {
                slots.occupy(tasks.spawn(async {}).id(), new);
            }
        }
        slots.running.len() - before
    }

    /// C10: a service whose webhooks have many names does not take the slots of the others.
    #[tokio::test]
    async fn no_service_takes_all_slots() {
        let mut slots = Slots::default();
        let many = (0..1000).map(|id| one("a", id, &format!("{id}.a.example")));
        assert_eq!(fill(&mut slots, many).await, OF_ONE_SERVICE);
        assert_eq!(slots.busy().services, [scope("a")]);
        let others = (0..1000).map(|id| one("b", id, "b.example"));
        assert_eq!(fill(&mut slots, others).await, AT_ONE_HOST);
        assert_eq!(slots.busy().destinations, ["b.example"]);
        assert_eq!(slots.busy().services, [scope("a")]);
        let many = (0..10_000).map(|id| one(&(id % 20).to_string(), id, &id.to_string()));
        fill(&mut slots, many).await;
        assert_eq!(slots.running.len(), AT_ONCE);
    }

    /// D1: whatever goes wrong, the same try is not repeated at once.
    #[tokio::test]
    async fn a_try_that_changed_nothing_rests() {
        let mut slots = Slots::default();
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        let new = one("a", 1, "a.example");
        assert_eq!(fill(&mut slots, [new.clone()]).await, 1);
        assert!(!slots.is_free_for(&new), "it runs");
        let task = *slots.running.keys().next().unwrap();
        slots.free(task, at);
        assert!(!slots.is_free_for(&new), "it has just been made");
        let changed = Try {
            version: (1, 1),
            ..new.clone()
        };
        assert!(slots.is_free_for(&changed), "it has come further");
        slots.forget_ended(at.plus(PERIOD / 2));
        assert!(!slots.is_free_for(&new));
        slots.forget_ended(at.plus(PERIOD));
        assert!(slots.is_free_for(&new));
        assert!(slots.ended.is_empty());
    }
}
