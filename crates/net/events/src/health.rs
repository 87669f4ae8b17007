//! Whether the log can be written, and when a failed disk is tried again.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::EventLogError;

#[derive(Debug, Clone)]
pub(crate) enum Health {
    Good,
    /// The last write failed; it is tried again with the next record.
    Failing(EventLogError),
}

/// The writer's side of [`Health`].
pub(crate) struct HealthReport {
    folder: Arc<Path>,
    retry_interval: Duration,
    failed_at: Option<Instant>,
    health: watch::Sender<Health>,
}

impl HealthReport {
    pub(crate) fn new(folder: Arc<Path>, retry_interval: Duration) -> Self {
        Self {
            folder,
            retry_interval,
            failed_at: None,
            health: watch::Sender::new(Health::Good),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub(crate) fn is_failing(&self) -> bool {
        matches!(*self.health.borrow(), Health::Failing(_))
    }

    /// The failure of a disk that is not tried again yet.
    pub(crate) fn refusal(&self) -> Option<EventLogError> {
        let waited = |at: Instant| at.elapsed() >= self.retry_interval;
        match &*self.health.borrow() {
            Health::Failing(error) if !self.failed_at.is_none_or(waited) => Some(error.clone()),
            _ => None,
        }
    }

    /// Publishes the result of a write.
    pub(crate) fn publish(&mut self, failure: Option<EventLogError>) {
        self.failed_at = failure.is_some().then(Instant::now);
        let was_failing = self.is_failing();
        match failure {
            Some(error) => {
                if !was_failing {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        folder = %self.folder.display(),
                        "the event log cannot be written; what is sent waits for its \
                         acknowledgement"
                    );
                }
                self.health.send_replace(Health::Failing(error));
            }
            None if was_failing => {
                tracing::info!(
                    folder = %self.folder.display(),
                    "the event log can be written again"
                );
                self.health.send_replace(Health::Good);
            }
            None => {}
        }
    }
}
