//! When devices and modules were last heard of, for display: noted late and many at once.

use ids::{Identity, Timestamp};
use store::{PresenceRow, View, unit};

use super::Registry;
use crate::error::StorageError;
use crate::rows::lock;

/// More than so many are read on a thread of their own.
pub(super) const INLINE: usize = 64;

/// What is shown of the connections of a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSeen {
    /// When it connected or disconnected last.
    pub changed: Timestamp,
    /// When it was heard of last.
    pub active: Timestamp,
    /// The Plug and Play model that it announced; `None` leaves what it announced before.
    pub model_id: Option<String>,
}

impl LastSeen {
    /// Of somebody who was never heard of.
    pub const NEVER: Self = Self {
        changed: Timestamp::NEVER,
        active: Timestamp::NEVER,
        model_id: None,
    };
}

impl Registry {
    /// Notes what is later than what is noted, behind everything that somebody waits for. Who does
    /// not exist is skipped.
    pub async fn note_seen(&self, seen: Vec<(Identity, LastSeen)>) -> Result<(), StorageError> {
        let note = unit(
            seen,
            |seen| seen.iter().map(|(identity, _)| lock(identity)).collect(),
            |_, _| Ok::<_, StorageError>(()),
            |seen, tx, ()| {
                seen.iter().try_for_each(|(identity, seen)| {
                    let row = PresenceRow {
                        changed: seen.changed.ticks(),
                        active: seen.active.ticks(),
                        model_id: seen.model_id.clone(),
                    };
                    tx.note_presence(identity.into(), &row)
                })
            },
        );
        self.inner.store.write_in_background(note).await
    }

    /// What is noted of each, in their order.
    pub async fn last_seen(&self, of: &[Identity]) -> Result<Vec<LastSeen>, StorageError> {
        if of.len() <= INLINE {
            return self.inner.store.read(|view| seen(view, of));
        }
        let of = of.to_vec();
        self.inner.store.scan(move |view| seen(view, &of)).await
    }
}

fn seen(view: &View<'_>, of: &[Identity]) -> Result<Vec<LastSeen>, StorageError> {
    let one = |identity: &Identity| {
        let row = view.presence(identity.into())?;
        Ok(row.map_or(LastSeen::NEVER, |row| LastSeen {
            changed: Timestamp::from_ticks(row.changed),
            active: Timestamp::from_ticks(row.active),
            model_id: row.model_id,
        }))
    };
    of.iter().map(one).collect()
}
