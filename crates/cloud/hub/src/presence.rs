//! What is shown of connections: what this process saw, and what is stored of the time before. It is written some seconds later, many
//! at once, so that a connection costs no commit.

use std::time::Duration;

use ids::Identity;
use registry::{LastSeen, StorageError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use transport::sessions::Presence;

use crate::Hub;

/// How often what is new is written.
const PERIOD: Duration = Duration::from_secs(2);
/// Identities of one write, and the pause after it: what registers meanwhile goes first.
const STEP: usize = 64;
const PAUSE: Duration = Duration::from_millis(50);
/// Identities of one write at the end, and how long the end may take.
const LAST_STEP: usize = 1024;
const LAST: Duration = Duration::from_secs(5);
/// Longest model id that is kept.
const MAX_MODEL: usize = 256;

/// What is shown of one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) presence: Presence,
    /// Empty when none was announced.
    pub(crate) model_id: String,
}

impl Hub {
    /// What is shown of each, in their order.
    pub(crate) async fn shown(&self, of: Vec<Identity>) -> Result<Vec<Shown>, StorageError> {
        let stored = self.registry().last_seen(&of).await?;
        let notes = self.notes();
        let one = |(identity, stored): (Identity, LastSeen)| {
            let mut presence = self.sessions().presence(&identity);
            presence.updated = presence.updated.max(stored.changed);
            presence.last_activity = presence.last_activity.max(stored.active);
            let announced = notes.of(&identity).and_then(|seen| seen.model_id);
            Shown {
                presence,
                model_id: announced.or(stored.model_id).unwrap_or_default(),
            }
        };
        Ok(of.into_iter().zip(stored).map(one).collect())
    }

    /// What is shown of one.
    pub(crate) async fn shown_of(&self, identity: Identity) -> Result<Shown, StorageError> {
        let shown = self.shown(vec![identity]).await?.pop();
        Ok(shown.unwrap_or(Shown {
            presence: Presence::UNKNOWN,
            model_id: String::new(),
        }))
    }

    /// Notes the model that a connection announced.
    pub(crate) fn announced(&self, identity: &Identity, model: &str) {
        if model.is_empty() || model.len() > MAX_MODEL || model.chars().any(char::is_control) {
            tracing::info!(hub.name = %identity.hub, device.id = %identity.device, "a model id that is none was passed over");
            return;
        }
        let seen = LastSeen {
            model_id: Some(model.to_owned()),
            ..LastSeen::NEVER
        };
        self.notes().add(identity, seen);
    }
}

/// Writes what is new every few seconds, and once more when the sessions have ended.
pub(crate) async fn keep(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        // Both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = sleep(PERIOD) => {}
        }
        write(hub, STEP, PAUSE).await;
    }
    let rest = async {
        loop {
            write(hub, LAST_STEP, Duration::ZERO).await;
            if hub.connected() == 0 && hub.notes().is_empty() {
                return;
            }
            sleep(PAUSE).await;
        }
    };
    if timeout(LAST, rest).await.is_err() {
        tracing::warn!("when some devices were last heard of was not written");
    }
}

async fn write(hub: &Hub, step: usize, pause: Duration) {
    let notes = hub.notes();
    loop {
        let some = notes.some(step);
        if some.is_empty() {
            return;
        }
        match hub.registry().note_seen(some.clone()).await {
            Ok(()) => notes.written(&some),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    devices = some.len(),
                    "when devices were last heard of was not written"
                );
                return;
            }
        }
        sleep(pause).await;
    }
}
