//! Consumer groups of a hub's built-in endpoint, and their checkpoints.

use ids::{ConsumerGroup, HubName, Timestamp};
use store::{ConsumerGroupRow, Lock, StoreError, View, unit};
use wire::muster_api::consumer_group::MAX_CONSUMER_GROUPS;

use super::Registry;
use super::act::Act;
use super::readers::kept;
use crate::error::StorageError;

/// A group of readers, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerGroupRecord {
    pub name: ConsumerGroup,
    /// `None` for `$Default`, as long as it has no checkpoint.
    pub created: Option<Timestamp>,
    /// The offset of the last event that is done, and when that was said.
    pub checkpoint: Option<(u64, Timestamp)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConsumerGroupError {
    #[error("consumer group {0} does not exist")]
    NotFound(ConsumerGroup),
    #[error("the hub has {MAX_CONSUMER_GROUPS} consumer groups, and no more are kept")]
    TooMany,
    #[error("consumer group {0} cannot be deleted")]
    Default(ConsumerGroup),
    #[error("offset {offset} has not been given out yet; the newest event has {last}")]
    Ahead { offset: u64, last: u64 },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<StoreError> for ConsumerGroupError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

fn lock(hub: &HubName) -> Vec<Lock<'_>> {
    vec![Lock::Hub { hub: hub.as_str() }]
}

/// `$Default` first, which is there without a row.
fn read(view: &View<'_>, hub: &HubName) -> Result<Vec<ConsumerGroupRecord>, StorageError> {
    let rows = view.consumer_groups(hub.as_str())?;
    let record = |row: ConsumerGroupRow| ConsumerGroupRecord {
        name: row.name,
        created: Some(Timestamp::from_ticks(row.created)),
        checkpoint: row
            .checkpoint
            .map(|(offset, at)| (offset, Timestamp::from_ticks(at))),
    };
    let rows = kept(rows, hub, "a consumer group");
    let mut records: Vec<_> = rows.into_iter().map(record).collect();
    if !records.iter().any(|record| record.name.is_default()) {
        records.insert(
            0,
            ConsumerGroupRecord {
                name: ConsumerGroup::built_in(),
                created: None,
                checkpoint: None,
            },
        );
    }
    Ok(records)
}

impl Registry {
    /// All consumer groups of a hub.
    pub async fn consumer_groups(
        &self,
        hub: &HubName,
    ) -> Result<Vec<ConsumerGroupRecord>, StorageError> {
        self.inner.store.read(|view| read(view, hub))
    }

    pub async fn consumer_group(
        &self,
        hub: &HubName,
        name: &ConsumerGroup,
    ) -> Result<ConsumerGroupRecord, ConsumerGroupError> {
        let mut all = self.consumer_groups(hub).await?.into_iter();
        let found = all.find(|group| group.name == *name);
        found.ok_or_else(|| ConsumerGroupError::NotFound(name.clone()))
    }

    /// Creates a consumer group; one that exists stays as it is.
    pub async fn put_consumer_group(
        &self,
        hub: &HubName,
        name: &ConsumerGroup,
        now: Timestamp,
    ) -> Result<ConsumerGroupRecord, ConsumerGroupError> {
        let put = unit(
            (hub.clone(), name.clone()),
            |(hub, _)| lock(hub),
            |(hub, name), view| {
                let all = read(view, hub)?;
                match all.iter().find(|group| group.name == *name) {
                    Some(found) => Ok(Some(found.clone())),
                    None if all.len() >= MAX_CONSUMER_GROUPS => Err(ConsumerGroupError::TooMany),
                    None => Ok(None),
                }
            },
            move |(hub, name), tx, found| {
                if let Some(found) = found {
                    return Ok(found);
                }
                let row = fresh(name, now);
                tx.insert_consumer_group(hub.as_str(), &row)?;
                Ok(ConsumerGroupRecord {
                    name: name.clone(),
                    created: Some(now),
                    checkpoint: None,
                })
            },
        );
        let target = format!("{hub}/{name}");
        self.act(Act::PutConsumerGroup, target, put).await
    }

    /// Deletes a consumer group with its checkpoint.
    pub async fn delete_consumer_group(
        &self,
        hub: &HubName,
        name: &ConsumerGroup,
    ) -> Result<(), ConsumerGroupError> {
        let delete = unit(
            (hub.clone(), name.clone()),
            |(hub, _)| lock(hub),
            |(hub, name), view| {
                if name.is_default() {
                    return Err(ConsumerGroupError::Default(name.clone()));
                }
                match read(view, hub)?.iter().any(|group| group.name == *name) {
                    true => Ok(()),
                    false => Err(ConsumerGroupError::NotFound(name.clone())),
                }
            },
            |(hub, name), tx, ()| tx.delete_consumer_group(hub.as_str(), name.as_str()),
        );
        let target = format!("{hub}/{name}");
        self.act(Act::DeleteConsumerGroup, target, delete).await
    }

    /// Keeps how far a consumer group is. It may go back.
    pub async fn checkpoint(
        &self,
        hub: &HubName,
        name: &ConsumerGroup,
        offset: u64,
        now: Timestamp,
    ) -> Result<(), ConsumerGroupError> {
        let last = self.last_event(hub);
        if offset > last {
            return Err(ConsumerGroupError::Ahead { offset, last });
        }
        let keep = unit(
            (hub.clone(), name.clone()),
            |(hub, _)| lock(hub),
            |(hub, name), view| {
                let mut all = read(view, hub)?.into_iter();
                let found = all.find(|group| group.name == *name);
                found.ok_or_else(|| ConsumerGroupError::NotFound(name.clone()))
            },
            move |(hub, name), tx, found: ConsumerGroupRecord| {
                let row = ConsumerGroupRow {
                    checkpoint: Some((offset, now.ticks())),
                    ..fresh(name, found.created.unwrap_or(now))
                };
                match found.created {
                    Some(_) => tx.update_checkpoint(hub.as_str(), &row),
                    None => tx.insert_consumer_group(hub.as_str(), &row),
                }
            },
        );
        self.inner.store.write_without_act(keep).await
    }
}

fn fresh(name: &ConsumerGroup, created: Timestamp) -> ConsumerGroupRow {
    ConsumerGroupRow {
        name: name.clone(),
        created: created.ticks(),
        checkpoint: None,
    }
}
