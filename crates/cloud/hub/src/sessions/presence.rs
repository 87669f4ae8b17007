//! When identities were last heard of: what this process saw, merged with what is stored. New
//! values are stored some seconds later, many at once, so that a connection costs no commit.

use std::time::Duration;

use ids::Identity;
use registry::query::Connection;
use registry::{LastSeen, StorageError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use transport::sessions::Presence;

use crate::service::Hub;

pub(crate) mod unsaved;

/// How often new values are stored.
const PERIOD: Duration = Duration::from_secs(2);
/// Identities of one write, and the pause after it, in which registrations go first.
const BATCH: usize = 64;
const PAUSE: Duration = Duration::from_millis(50);
/// The same at shutdown, and how long that may take.
const LAST_BATCH: usize = 1024;
const LAST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest model id that is kept, in bytes.
const MAX_MODEL_ID: usize = 256;

/// What the service API says of an identity's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionView {
    pub(crate) presence: Presence,
    /// The Plug and Play model; empty when none was announced.
    pub(crate) model_id: String,
    /// Cloud-to-device messages in the queue.
    pub(crate) messages: u64,
}

impl From<ConnectionView> for Connection {
    fn from(view: ConnectionView) -> Self {
        Self {
            connected: view.presence.connected,
            last_activity: view.presence.last_activity,
            model_id: view.model_id,
            pending_messages: view.messages,
        }
    }
}

impl Hub {
    /// One view for each identity, in the same order.
    pub(crate) async fn connection_views(
        &self,
        identities: Vec<Identity>,
    ) -> Result<Vec<ConnectionView>, StorageError> {
        let stored = self.registry().last_seen(&identities).await?;
        let messages = self.registry().message_counts(&identities).await?;
        let view = |((identity, stored), messages)| self.merged_view(identity, stored, messages);
        let known = identities.iter().zip(stored).zip(messages);
        Ok(known.map(view).collect())
    }

    /// What is stored of an identity, with what this process knows since.
    pub(crate) fn merged_view(
        &self,
        identity: &Identity,
        stored: LastSeen,
        messages: u64,
    ) -> ConnectionView {
        let mut presence = self.sessions().presence(identity);
        presence.updated = presence.updated.max(stored.changed);
        presence.last_activity = presence.last_activity.max(stored.active);
        let unsaved = self.unsaved_presences().get(identity);
        let announced = unsaved.and_then(|seen| seen.model_id);
        ConnectionView {
            presence,
            model_id: announced.or(stored.model_id).unwrap_or_default(),
            messages,
        }
    }

    pub(crate) async fn connection_view(
        &self,
        identity: Identity,
    ) -> Result<ConnectionView, StorageError> {
        let view = self.connection_views(vec![identity]).await?.pop();
        Ok(view.unwrap_or(ConnectionView {
            presence: Presence::UNKNOWN,
            model_id: String::new(),
            messages: 0,
        }))
    }

    /// Keeps the model id that a client announced in its CONNECT; `false` when it is no model id.
    pub(crate) fn note_model_id(&self, identity: &Identity, model: &str) -> bool {
        if model.is_empty() || model.len() > MAX_MODEL_ID || model.chars().any(char::is_control) {
            tracing::info!(
                hub.name = %identity.hub,
                device.id = %identity.device,
                "an invalid model id was ignored"
            );
            return false;
        }
        let seen = LastSeen {
            model_id: Some(model.to_owned()),
            ..LastSeen::NEVER
        };
        self.unsaved_presences().add(identity, seen);
        true
    }
}

/// Stores new values every few seconds, and once more when the sessions have ended.
pub(crate) async fn run(hub: &Hub, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        // Cancel-safe: both arms only wait.
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => {}
            () = sleep(PERIOD) => {}
        }
        store(hub, BATCH, PAUSE).await;
    }
    let rest = async {
        loop {
            store(hub, LAST_BATCH, Duration::ZERO).await;
            if hub.connected() == 0 && hub.unsaved_presences().is_empty() {
                return;
            }
            sleep(PAUSE).await;
        }
    };
    if timeout(LAST_TIMEOUT, rest).await.is_err() {
        tracing::warn!("when some devices were last heard of was not written");
    }
}

async fn store(hub: &Hub, batch: usize, pause: Duration) {
    let unsaved = hub.unsaved_presences();
    loop {
        let some = unsaved.up_to(batch);
        if some.is_empty() {
            return;
        }
        if let Err(error) = hub.registry().note_seen(some.clone()).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                devices = some.len(),
                "when devices were last heard of was not written"
            );
            return;
        }
        unsaved.mark_saved(&some);
        sleep(pause).await;
    }
}
