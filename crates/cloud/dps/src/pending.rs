//! Resumes registrations that wait for a webhook or a remote hub: a thin loop
//! around the transactions of `provisioning`.

mod ask_webhook;
mod place_on_remote_hub;
mod resume;
pub mod signature;
mod slots;
pub mod webhook;

use std::time::Duration;

use ids::Timestamp;
use provisioning::PendingHandle;
use registry::StorageError;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::sleep;

use crate::service::Dps;

use slots::{AT_ONCE, Slots, Try};

/// How long the loop sleeps when nothing is due, and the shortest pause before the same try
/// of a registration is repeated.
const PERIOD: Duration = Duration::from_secs(5);

/// Runs until `shutdown` turns true. What is interrupted then starts again with the next process.
///
/// Level-triggered: each round starts from what is stored, so that a lost or
/// repeated wake-up does no harm.
pub async fn run(dps: &Dps, mut shutdown: watch::Receiver<bool>) {
    let mut round = Round {
        dps,
        started: dps.now(),
        running: JoinSet::new(),
        slots: Slots::default(),
    };
    while !*shutdown.borrow() {
        let rest = round.begin_due().await.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "pending registrations were not resumed");
            PERIOD
        });
        // All arms are cancel-safe: they only wait, and a task that ends while another arm wins is
        // seen in the next round.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = dps.pending() => {}
            Some(ended) = round.running.join_next_with_id(), if !round.running.is_empty() => {
                round.end(ended);
            }
            () = sleep(rest) => {}
        }
    }
}

struct Round<'a> {
    dps: &'a Dps,
    started: Timestamp,
    running: JoinSet<()>,
    slots: Slots,
}

impl Round<'_> {
    /// Begins what is due, as far as there are slots; returns for how long
    /// nothing more will be due.
    async fn begin_due(&mut self) -> Result<Duration, StorageError> {
        let provisioning = self.dps.tenants().provisioning();
        self.slots.forget_ended(self.dps.now());
        loop {
            // What runs is still due: enough for all of that and for as much again.
            let busy = self.slots.busy();
            let due = provisioning.pending_due(self.dps.now(), busy, 2 * AT_ONCE);
            let before = self.running.len();
            for handle in due.await? {
                if self.slots.is_free_for(&Try::new(&handle)) {
                    self.begin(handle);
                }
            }
            if self.running.len() == before {
                break;
            }
        }
        let now = self.dps.now();
        let next = provisioning.next_pending(now)?;
        Ok(next.map_or(PERIOD, |next| next.since(now).min(PERIOD)))
    }

    fn begin(&mut self, handle: PendingHandle) {
        let (dps, started, attempted) = (self.dps.clone(), self.started, Try::new(&handle));
        let task = self.running.spawn(async move {
            if let Err(error) = resume::resume(&dps, handle, started).await {
                // It is still due.
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a pending registration was not resumed");
            }
        });
        self.slots.occupy(task.id(), attempted);
    }

    fn end(&mut self, ended: Result<(Id, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => task,
            Err(error) => {
                tracing::error!(error = %error, "resuming a registration panicked");
                error.id()
            }
        };
        self.slots.free(task, self.dps.now());
    }
}
