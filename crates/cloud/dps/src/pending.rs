//! Goes on with registrations that wait for somebody outside: a thin loop around the registry's transactions.

mod ask_webhook;
mod place_on_remote_hub;
pub(crate) mod signature;
pub(crate) mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ids::Timestamp;
use provisioning::{
    AllocationNote, Busy, PendingHandle, PendingRegistration, PendingStep, Provisioning,
    RegistrationFailure,
};
use registry::StorageError;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;
use wire::error::DpsErrorCode;

use crate::service::Dps;
use crate::service::tenants::Tenant;

/// Registrations that are gone on with at once.
const AT_ONCE: usize = 256;
/// Those of them of the same service: one whose webhooks are all silent shall not stop the others.
const OF_ONE_SERVICE: usize = 64;
/// Those of them that ask the same host.
const AT_ONE_HOST: usize = 16;
/// How long the loop sleeps when nothing is due; and the pause at least before the same try of a registration is made again.
const PERIOD: Duration = Duration::from_secs(5);

/// What a task goes on with.
type Key = (String, String);

/// Runs until `shutdown` turns true. What is cut off then is begun again at the next start.
///
/// Level-triggered: each round starts from what is stored, so that a lost or repeated wake-up does no harm.
pub(crate) async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    let mut round = Round {
        dps,
        started: dps.now(),
        running: JoinSet::new(),
        places: Places::default(),
    };
    while !*shutdown.borrow() {
        let rest = match round.begin_due().await {
            Ok(rest) => rest,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "registrations under way were not gone on with"
                );
                PERIOD
            }
        };
        // All arms are cancel-safe: they only wait, and a task that ends while another arm wins is seen in the next round.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = dps.pending() => {}
            Some(ended) = round.running.join_next_with_id(), if !round.running.is_empty() => {
                round.forget(ended);
            }
            () = sleep(rest) => {}
        }
    }
}

struct Round<'a> {
    dps: &'a Dps,
    started: Timestamp,
    running: JoinSet<()>,
    places: Places,
}

impl Round<'_> {
    /// Begins what is due, as far as there is room; how long nothing more will be.
    async fn begin_due(&mut self) -> Result<Duration, StorageError> {
        let registry = self.dps.tenants().registry();
        self.places.clear_tried(self.dps.now());
        loop {
            // What runs is still due: enough for all of that and for as much again.
            let due = registry.pending_due(self.dps.now(), self.places.busy(), 2 * AT_ONCE);
            let before = self.running.len();
            for handle in due.await? {
                if self.places.has_room_for(&handle) {
                    self.begin(handle);
                }
            }
            if self.running.len() == before {
                break;
            }
        }
        let now = self.dps.now();
        let next = registry.next_pending(now)?;
        Ok(next.map_or(PERIOD, |next| next.since(now).min(PERIOD)))
    }

    fn begin(&mut self, handle: PendingHandle) {
        let (dps, started, of) = (self.dps.clone(), self.started, Try::of(&handle));
        let task = self.running.spawn(async move {
            if let Err(error) = go_on(&dps, handle, started).await {
                // It is still due.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a registration under way was not gone on with"
                );
            }
        });
        self.places.running.insert(task.id(), of);
    }

    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = %error, "going on with a registration panicked");
                error.id()
            }
        };
        self.places.end(task, self.dps.now());
    }
}

/// What one task goes on with, and whom it asks.
#[derive(Debug, Clone, PartialEq)]
struct Try {
    key: Key,
    version: (i64, i64),
    destination: String,
}

impl Try {
    fn of(handle: &PendingHandle) -> Self {
        Self {
            key: (handle.id_scope.clone(), handle.folded.clone()),
            version: handle.version(),
            destination: handle.destination.clone(),
        }
    }
}

/// What is gone on with, and what was a moment ago.
#[derive(Default)]
struct Places {
    running: HashMap<Id, Try>,
    /// Tries that ended lately. Whoever finds the same one due again, found nothing changed by it: it rests before it is made again.
    tried: HashMap<Key, ((i64, i64), Timestamp)>,
}

impl Places {
    fn has_room_for(&self, handle: &PendingHandle) -> bool {
        self.has_room(&Try::of(handle))
    }

    fn has_room(&self, new: &Try) -> bool {
        let rests = self.tried.get(&new.key);
        self.running.len() < AT_ONCE
            && rests.is_none_or(|(version, _)| *version != new.version)
            && self.running.values().all(|other| other.key != new.key)
            && self.count(|other| other.destination == new.destination) < AT_ONE_HOST
            && self.count(|other| other.key.0 == new.key.0) < OF_ONE_SERVICE
    }

    fn count(&self, is_one: impl Fn(&Try) -> bool) -> usize {
        self.running.values().filter(|other| is_one(other)).count()
    }

    fn end(&mut self, task: Id, now: Timestamp) {
        if let Some(Try { key, version, .. }) = self.running.remove(&task) {
            self.tried.insert(key, (version, now));
        }
    }

    fn clear_tried(&mut self, now: Timestamp) {
        self.tried.retain(|_, (_, at)| now.since(*at) < PERIOD);
    }

    /// Hosts that are asked by as many as may ask them, and services of which as many are gone on with as may be.
    fn busy(&self) -> Busy {
        let full = |of: fn(&Try) -> &String, most: usize| {
            let mut counts: HashMap<&String, usize> = HashMap::new();
            for running in self.running.values() {
                *counts.entry(of(running)).or_default() += 1;
            }
            let full = counts.into_iter().filter(|(_, count)| *count >= most);
            full.map(|(name, _)| name.clone()).collect()
        };
        Busy {
            destinations: full(|of| &of.destination, AT_ONE_HOST),
            services: full(|of| &of.key.0, OF_ONE_SERVICE),
        }
    }
}

/// One try.
async fn go_on(dps: &Dps, handle: PendingHandle, started: Timestamp) -> Result<(), StorageError> {
    let Some(tenant) = dps.tenants().by_scope(&handle.id_scope) else {
        return Ok(());
    };
    let registry = tenant.context.provisioning.clone();
    let attempt = Attempt {
        dps,
        tenant,
        pending: handle.pending.clone().resumed(started),
        handle: handle.clone(),
    };
    match attempt.pending.question.clone() {
        PendingStep::AskWebhook(question) => ask_webhook::go_on(attempt, &question).await,
        PendingStep::PlaceOnRemoteHub(placing) => {
            place_on_remote_hub::go_on(attempt, *placing).await
        }
    }?;
    end_unchanged(dps, &registry, handle).await
}

/// A try ends with another version of what is under way, or with none. One that left it as it was would be made again for ever:
/// that is a fault of this program, and the registration fails of it.
async fn end_unchanged(
    dps: &Dps,
    registry: &Provisioning,
    handle: PendingHandle,
) -> Result<(), StorageError> {
    if !registry.is_as_before(&handle)? {
        return Ok(());
    }
    tracing::error!(
        registration.id = handle.folded,
        "registration {} was gone on with and nothing became of it; it has failed",
        handle.folded
    );
    let failure = RegistrationFailure {
        code: DpsErrorCode::InternalServerError.code(),
        message: "the registration could not be gone on with; register again".to_owned(),
    };
    let note = AllocationNote {
        failure: Some(failure.message.clone()),
        ..AllocationNote::default()
    };
    let ended = registry.give_up_pending(handle, failure, note, dps.now());
    ended.await.map(drop)
}

/// One registration under way, as one try sees it.
struct Attempt<'a> {
    dps: &'a Dps,
    tenant: Arc<Tenant>,
    handle: PendingHandle,
    /// As this process counts its time.
    pending: PendingRegistration,
}

/// Why a try came to nothing.
struct AttemptError {
    failure: RegistrationFailure,
    /// Whether another try may help.
    may_pass: bool,
    note: AllocationNote,
}

impl Attempt<'_> {
    fn registry(&self) -> &Provisioning {
        &self.tenant.context.provisioning
    }

    /// Tries again later, or gives up.
    async fn again_or_never(self, error: AttemptError) -> Result<(), StorageError> {
        let chance = rand::random_range(0.0..1.0);
        let next = error
            .may_pass
            .then(|| self.pending.clone().postponed(self.dps.now(), chance));
        match next.flatten() {
            Some(mut next) => {
                tracing::debug!(
                    registration.id = %next.registrant.registration_id,
                    "a registration is gone on with later: {}",
                    error.failure.message
                );
                // A plan that this try has made stays.
                next.plan.clone_from(&self.handle.pending.plan);
                let registry = self.dps.tenants().registry();
                let now = self.dps.now();
                registry.postpone_pending(self.handle, next, now).await
            }
            None => self.give_up(error).await,
        }
    }

    async fn give_up(self, error: AttemptError) -> Result<(), StorageError> {
        let id = self.pending.registrant.registration_id.clone();
        let AttemptError { failure, note, .. } = error;
        let (code, why) = (failure.code, failure.message.clone());
        let registry = self.registry().clone();
        let written = registry.give_up_pending(self.handle, failure, note, self.dps.now());
        if written.await?.is_some() {
            tracing::warn!(registration.id = %id, error.code = code, "registration {id} failed: {why}");
            self.dps.wake_remote_tasks();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(service: &str, id: usize, destination: &str) -> Try {
        Try {
            key: (service.to_owned(), id.to_string()),
            version: (1, 0),
            destination: destination.to_owned(),
        }
    }

    /// Fills `places` with what there is room for; how many were let in.
    async fn fill(places: &mut Places, tries: impl IntoIterator<Item = Try>) -> usize {
        let before = places.running.len();
        let mut tasks = JoinSet::new();
        for new in tries {
            if places.has_room(&new) {
                places.running.insert(tasks.spawn(async {}).id(), new);
            }
        }
        places.running.len() - before
    }

    /// C10: a service whose webhooks have many names does not take the places of the others.
    #[tokio::test]
    async fn no_service_takes_all_places() {
        let mut places = Places::default();
        let many = (0..1000).map(|id| one("a", id, &format!("{id}.a.example")));
        assert_eq!(fill(&mut places, many).await, OF_ONE_SERVICE);
        assert_eq!(places.busy().services, ["a"]);
        let others = (0..1000).map(|id| one("b", id, "b.example"));
        assert_eq!(fill(&mut places, others).await, AT_ONE_HOST);
        assert_eq!(places.busy().destinations, ["b.example"]);
        assert_eq!(places.busy().services, ["a"]);
        let many = (0..10_000).map(|id| one(&(id % 20).to_string(), id, &id.to_string()));
        fill(&mut places, many).await;
        assert_eq!(places.running.len(), AT_ONCE);
    }

    /// D1: whatever goes wrong, the same try is not made again at once.
    #[tokio::test]
    async fn a_try_that_changed_nothing_rests() {
        let mut places = Places::default();
        let at = Timestamp::from_unix_seconds(1_700_000_000);
        let new = one("a", 1, "a.example");
        assert_eq!(fill(&mut places, [new.clone()]).await, 1);
        assert!(!places.has_room(&new), "it runs");
        let task = *places.running.keys().next().unwrap();
        places.end(task, at);
        assert!(!places.has_room(&new), "it has just been made");
        let changed = Try {
            version: (1, 1),
            ..new.clone()
        };
        assert!(places.has_room(&changed), "it has come further");
        places.clear_tried(at.plus(PERIOD / 2));
        assert!(!places.has_room(&new));
        places.clear_tried(at.plus(PERIOD));
        assert!(places.has_room(&new));
        assert!(places.tried.is_empty());
    }
}
