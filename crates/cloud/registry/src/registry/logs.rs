//! The event logs of the hubs, each in a folder of its own: no hub pushes another's events out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use events::{EventLog, EventLogError, LogOptions, Record, v1};
use ids::HubName;
use store::DataDirectory;

use super::telemetry;
use crate::entropy::{Entropy, random};

/// How much telemetry of a hub is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelemetryLimits {
    /// Bytes on disk; the oldest events go first.
    pub bytes: u64,
    /// How long an event is kept; `None`: as long as there is room.
    pub keep: Option<Duration>,
}

impl Default for TelemetryLimits {
    /// 1 GiB, as long as there is room.
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            keep: None,
        }
    }
}

/// The same for all hubs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TelemetryRetention {
    /// What holds for a hub that is not named.
    pub usual: TelemetryLimits,
    /// What holds for single hubs.
    pub of_hubs: Vec<(HubName, TelemetryLimits)>,
}

impl TelemetryRetention {
    fn of(&self, hub: &HubName) -> TelemetryLimits {
        let named = |(name, _): &&(HubName, TelemetryLimits)| {
            name.as_str().eq_ignore_ascii_case(hub.as_str())
        };
        self.of_hubs
            .iter()
            .find(named)
            .map_or(self.usual, |(_, limits)| *limits)
    }
}

pub(super) struct HubLogs {
    folder: PathBuf,
    retention: TelemetryRetention,
    entropy: Arc<dyn Entropy>,
    open: RwLock<HashMap<HubName, EventLog>>,
    /// Those that could not be opened when they were wanted.
    refused: RwLock<BTreeSet<HubName>>,
    /// Held while one is opened or deleted.
    changing: tokio::sync::Mutex<()>,
    /// Held while a hub is made or deleted.
    hubs: tokio::sync::Mutex<()>,
    /// Folders outside the log that have a folder for each hub.
    shared: RwLock<Vec<PathBuf>>,
}

impl HubLogs {
    /// Opens the logs that are there, and takes over what an older version kept
    /// for all hubs together.
    pub(super) async fn open(
        data_dir: &Path,
        hubs: &[HubName],
        retention: TelemetryRetention,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, EventLogError> {
        let logs = Self {
            folder: DataDirectory::events(data_dir),
            retention,
            entropy,
            open: RwLock::default(),
            refused: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            hubs: tokio::sync::Mutex::default(),
            shared: RwLock::default(),
        };
        for hub in hubs.iter().filter(|hub| logs.folder_of(hub).is_dir()) {
            logs.of(hub, || true).await?;
        }
        logs.take_over(hubs).await?;
        Ok(logs)
    }

    /// Hub names have no case in host names, and none in folders.
    fn folder_of(&self, hub: &HubName) -> PathBuf {
        self.folder.join(hub.as_str().to_ascii_lowercase())
    }

    /// The log of a hub, if it is open.
    pub(super) fn opened(&self, hub: &HubName) -> Option<EventLog> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(hub).cloned()
    }

    /// All that are open.
    pub(super) fn all(&self) -> Vec<(HubName, EventLog)> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let pair = |(hub, log): (&HubName, &EventLog)| (hub.clone(), log.clone());
        open.iter().map(pair).collect()
    }

    /// The log of a hub; created when it does not exist. `is_there` tells whether the hub still is.
    pub(super) async fn of(
        &self,
        hub: &HubName,
        is_there: impl Fn() -> bool,
    ) -> Result<EventLog, EventLogError> {
        if let Some(log) = self.opened(hub) {
            return Ok(log);
        }
        let _changing = self.changing.lock().await;
        if let Some(log) = self.opened(hub) {
            return Ok(log);
        }
        let folder = self.folder_of(hub);
        if !is_there() {
            return Err(failed("opening", &folder, "the hub was deleted"));
        }
        let opened = self.open_at(folder, hub).await;
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        match &opened {
            Ok(log) => {
                refused.remove(hub);
                let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
                open.insert(hub.clone(), log.clone());
            }
            Err(_) => {
                refused.insert(hub.clone());
            }
        }
        opened
    }

    async fn open_at(&self, folder: PathBuf, hub: &HubName) -> Result<EventLog, EventLogError> {
        let limits = self.retention.of(hub);
        let options = LogOptions::with_retention(limits.bytes, limits.keep);
        let seed = u64::from_le_bytes(random(&*self.entropy));
        let opening = tokio::task::spawn_blocking(move || EventLog::open(folder, options, seed));
        let opened = opening.await;
        opened.map_err(|_| failed("opening a log in", &self.folder, "the task panicked"))?
    }

    /// Those that could not be opened when they were wanted.
    pub(super) fn refused(&self) -> Vec<HubName> {
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        refused.iter().cloned().collect()
    }

    /// As long as it is held nobody else makes or deletes a hub.
    pub(super) async fn alone(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.hubs.lock().await
    }

    /// The folder of a hub in each of these is deleted with the hub.
    pub(super) fn set_shared_folders(&self, folders: Vec<PathBuf>) {
        *self.shared.write().unwrap_or_else(PoisonError::into_inner) = folders;
    }

    /// Deletes the log and the files of a hub that is deleted, or what a hub of this name left that
    /// was deleted before: another one of the same name has nothing to do with it.
    pub(super) async fn forget(&self, hub: &HubName) {
        let _changing = self.changing.lock().await;
        let open = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            open.remove(hub)
        };
        if let Some(log) = open
            && let Err(error) = log.delete().await
        {
            tracing::warn!(hub.name = %hub, error = &error as &dyn std::error::Error, "the events of a deleted hub stay on disk");
        }
        self.refused
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(hub);
        let mut folders = vec![self.folder_of(hub)];
        {
            let shared = self.shared.read().unwrap_or_else(PoisonError::into_inner);
            folders.extend(shared.iter().map(|folder| folder.join(hub.as_str())));
        }
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            let deleted = folder.clone();
            let deleting = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(deleted));
            if let Ok(Err(error)) = deleting.await {
                let folder = folder.display();
                let what = "files of a deleted hub stay on disk";
                tracing::warn!(hub.name = %hub, %folder, %error, "{what}");
            }
        }
    }

    /// Moves what is in the shared log of older versions into the logs of its hubs. Events keep
    /// their numbers. It may end in the middle and begin again: a file is deleted once all that is
    /// in it is in the other logs, and what is there is not added twice.
    async fn take_over(&self, hubs: &[HubName]) -> Result<(), EventLogError> {
        let files = v1::files(&self.folder)?;
        if files.is_empty() {
            return Ok(());
        }
        let (mut moved, mut missing, mut strangers) = (0, 0, 0);
        for (index, file) in files.iter().enumerate() {
            let (mut read, next_file) = (file.read()?, files.get(index + 1));
            if let Some(next_file) = next_file {
                read = read.followed_by(next_file.first());
            }
            missing += read.missing;
            let mut of_hubs: BTreeMap<&HubName, Vec<Record>> = BTreeMap::new();
            for (offset, payload) in read.records {
                let event = telemetry::decode(&payload).map(|(event, _)| event);
                let hub = event
                    .as_ref()
                    .and_then(|event| hubs.iter().find(|hub| **hub == event.hub));
                let Some((hub, event)) = hub.zip(event.as_ref()) else {
                    strangers += 1;
                    continue;
                };
                moved += 1;
                of_hubs.entry(hub).or_default().push(Record {
                    offset,
                    at: event.enqueued.ticks(),
                    payload,
                });
            }
            for (hub, records) in of_hubs {
                self.of(hub, || true).await?.import(records).await?;
            }
            if next_file.is_none() {
                // All numbers were given out, those of other hubs and of what is damaged too:
                // readers of any hub may have come as far. Not before all records are moved: none
                // is to come behind a number that is larger than its own.
                for hub in hubs {
                    self.of(hub, || true).await?.advance(read.next).await?;
                }
            }
            file.remove()?;
        }
        tracing::info!(
            events.moved = moved,
            events.damaged = missing,
            events.dropped = strangers,
            "the events of the hubs were moved from their common log into one for each"
        );
        Ok(())
    }
}

fn failed(doing: &'static str, path: &Path, cause: &str) -> EventLogError {
    EventLogError::new(doing, path, std::io::Error::other(cause))
}
