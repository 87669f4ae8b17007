//! Goes on with registrations that wait for somebody outside: a thin loop around the registry's transactions.

mod asking;
mod placing;
pub(crate) mod signature;
pub(crate) mod webhook;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ids::Timestamp;
use registry::{
    AllocationNote, Question, RegistrationFailure, Registry, StorageError, Ticket, Underway,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Dps;
use crate::tenants::Tenant;

/// Registrations that are gone on with at once.
const AT_ONCE: usize = 64;
/// Those of them that ask the same host: one that is silent shall not stop the others.
const AT_ONE_HOST: usize = 16;
/// How long the loop sleeps when nothing is due.
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
        hosts: HashMap::new(),
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
            () = dps.woken() => {}
            Some(ended) = round.running.join_next(), if !round.running.is_empty() => {
                round.forget(ended);
            }
            () = sleep(rest) => {}
        }
    }
}

struct Round<'a> {
    dps: &'a Dps,
    started: Timestamp,
    running: JoinSet<Key>,
    /// Whom each running task asks.
    hosts: HashMap<Key, String>,
}

impl Round<'_> {
    /// Begins what is due, as far as there is room; how long nothing more will be.
    async fn begin_due(&mut self) -> Result<Duration, StorageError> {
        let registry = self.dps.tenants().registry();
        loop {
            // What runs is still due: enough for all of that and for as much again.
            let due = registry.underway_due(self.dps.now(), self.busy(), 2 * AT_ONCE);
            let before = self.running.len();
            for ticket in due.await? {
                if self.has_room_for(&ticket) {
                    self.begin(ticket);
                }
            }
            if self.running.len() == before {
                break;
            }
        }
        let now = self.dps.now();
        let next = registry.next_underway(now)?;
        Ok(next.map_or(PERIOD, |next| next.since(now).min(PERIOD)))
    }

    fn has_room_for(&self, ticket: &Ticket) -> bool {
        self.running.len() < AT_ONCE
            && !self.hosts.contains_key(&key(ticket))
            && self.asking(&ticket.destination) < AT_ONE_HOST
    }

    fn begin(&mut self, ticket: Ticket) {
        let (dps, started) = (self.dps.clone(), self.started);
        let key = key(&ticket);
        self.hosts.insert(key.clone(), ticket.destination.clone());
        self.running.spawn(async move {
            if let Err(error) = go_on(&dps, ticket, started).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a registration under way was not gone on with"
                );
                // It is still due: not at once again.
                sleep(PERIOD).await;
            }
            key
        });
    }

    fn forget(&mut self, ended: Result<Key, tokio::task::JoinError>) {
        match ended {
            Ok(key) => drop(self.hosts.remove(&key)),
            // Which one it was is not told; what still runs is found by its absence when all have ended.
            Err(error) => {
                tracing::error!(error = %error, "going on with a registration panicked");
                if self.running.is_empty() {
                    self.hosts.clear();
                }
            }
        }
    }

    /// Hosts that are asked by as many as may ask them.
    fn busy(&self) -> Vec<String> {
        let hosts: HashSet<&String> = self.hosts.values().collect();
        let full = hosts
            .into_iter()
            .filter(|host| self.asking(host) >= AT_ONE_HOST);
        full.cloned().collect()
    }

    fn asking(&self, host: &str) -> usize {
        self.hosts.values().filter(|other| *other == host).count()
    }
}

fn key(ticket: &Ticket) -> Key {
    (ticket.id_scope.clone(), ticket.folded.clone())
}

/// One try.
async fn go_on(dps: &Dps, ticket: Ticket, started: Timestamp) -> Result<(), StorageError> {
    let Some(tenant) = dps.tenants().by_scope(&ticket.id_scope) else {
        return Ok(());
    };
    let attempt = Attempt {
        dps,
        tenant,
        underway: ticket.underway.clone().resumed(started),
        ticket,
    };
    match attempt.underway.question.clone() {
        Question::Webhook(question) => asking::go_on(attempt, &question).await,
        Question::Place(placing) => placing::go_on(attempt, *placing).await,
    }
}

/// One registration under way, as one try sees it.
struct Attempt<'a> {
    dps: &'a Dps,
    tenant: Arc<Tenant>,
    ticket: Ticket,
    /// As this process counts its time.
    underway: Underway,
}

/// Why a try came to nothing.
struct Setback {
    failure: RegistrationFailure,
    /// Whether another try may help.
    may_pass: bool,
    note: AllocationNote,
}

impl Attempt<'_> {
    fn registry(&self) -> &Registry {
        &self.tenant.deps.registry
    }

    /// Tries again later, or gives up.
    async fn again_or_never(self, setback: Setback) -> Result<(), StorageError> {
        let chance = rand::random_range(0.0..1.0);
        let next = setback
            .may_pass
            .then(|| self.underway.clone().postponed(self.dps.now(), chance));
        match next.flatten() {
            Some(mut next) => {
                tracing::debug!(
                    registration.id = %next.registrant.registration_id,
                    "a registration is gone on with later: {}",
                    setback.failure.message
                );
                // A plan that this try has made stays.
                next.plan.clone_from(&self.ticket.underway.plan);
                let registry = self.dps.tenants().registry();
                registry.postpone_underway(self.ticket, next).await
            }
            None => self.give_up(setback).await,
        }
    }

    async fn give_up(self, setback: Setback) -> Result<(), StorageError> {
        let id = self.underway.registrant.registration_id.clone();
        let Setback { failure, note, .. } = setback;
        let (code, why) = (failure.code, failure.message.clone());
        let registry = self.registry().clone();
        let written = registry.give_up_underway(self.ticket, failure, note, self.dps.now());
        if written.await?.is_some() {
            tracing::warn!(registration.id = %id, error.code = code, "registration {id} failed: {why}");
            self.dps.wake_errands();
        }
        Ok(())
    }
}
