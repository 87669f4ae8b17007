//! Twins: read, changed by rules of `twin.rs`, written, announced.

mod replace;
mod report;

use std::sync::Arc;

use ids::{Identity, Timestamp};
use serde_json::{Map, Value};
use store::{
    IdentityRow, Lock, SectionWrite, StoreError, TargetingChange, TwinRow, TwinWrite, Tx, Unit,
    View,
};

pub(crate) use self::replace::replace_twin_within;
use self::report::Report;
use super::Registry;
use super::act::Act;
use super::hub_events;
use super::watchers::Watchers;
use crate::change::Change;
use crate::precondition::IfMatch;
use crate::rows::{self, lock, statuses_text};
use crate::twin::{
    CheckedReport, Section, Touched, Twin, TwinError, TwinPatch, TwinRecord, TwinReplacement,
};

impl Registry {
    /// Reads a twin with its identity.
    pub async fn twin(&self, identity: &Identity) -> Result<TwinRecord, TwinError> {
        self.inner
            .store
            .read(|view| read(view, identity).map(|(_, record, _)| record))
    }

    /// A service merges into tags and desired properties.
    pub async fn patch_twin(
        &self,
        identity: &Identity,
        patch: TwinPatch,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<TwinRecord, TwinError> {
        let patch = patch.checked()?;
        self.change_twin(identity, if_match, read, move |twin| {
            twin.patch(&patch, now)
        })
        .await
    }

    /// A service replaces tags and desired properties. Whatever was too large to be read is empty
    /// from then on, also what the device reported.
    pub async fn replace_twin(
        &self,
        identity: &Identity,
        replacement: TwinReplacement,
        if_match: &IfMatch,
        now: Timestamp,
    ) -> Result<TwinRecord, TwinError> {
        let replacement = replacement.checked()?;
        self.change_twin(identity, if_match, read_emptied, move |twin| {
            Ok(twin.replace(&replacement, now))
        })
        .await
    }

    async fn change_twin<F>(
        &self,
        identity: &Identity,
        if_match: &IfMatch,
        read: Read,
        change: F,
    ) -> Result<TwinRecord, TwinError>
    where
        F: Fn(&mut Twin) -> Result<Touched, TwinError> + Send + 'static,
    {
        let target = format!("{}/{identity}", identity.hub);
        let unit = ChangeTwin {
            identity: identity.clone(),
            if_match: if_match.clone(),
            read,
            change,
            watchers: self.inner.watchers.clone(),
        };
        self.act(Act::ChangeTwin, target, unit).await
    }

    /// The device merges into its reported properties. Returns the section's new `$version`.
    /// A given `expected_version` has to be the stored one.
    pub async fn patch_reported(
        &self,
        identity: &Identity,
        patch: Map<String, Value>,
        expected_version: Option<u64>,
        now: Timestamp,
    ) -> Result<u64, TwinError> {
        let patch = CheckedReport::new(&patch)?;
        let report = Report {
            identity: identity.clone(),
            patch,
            expected_version,
            watchers: self.inner.watchers.clone(),
            now,
        };
        self.inner.store.write_without_act(report).await
    }
}

/// A service's change of a twin.
pub(super) struct ChangeTwin<F> {
    pub(super) identity: Identity,
    pub(super) if_match: IfMatch,
    pub(super) read: Read,
    pub(super) change: F,
    pub(super) watchers: Arc<Watchers>,
}

impl<F> Unit for ChangeTwin<F>
where
    F: Fn(&mut Twin) -> Result<Touched, TwinError> + Send + 'static,
{
    /// The row with the version of its twin, the new twin, what of it is new.
    type Plan = ((IdentityRow, u64), TwinRecord, Touched);
    type Output = TwinRecord;
    type Error = TwinError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.identity)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, TwinError> {
        let (row, mut record, emptied) = (self.read)(view, &self.identity)?;
        if !self.if_match.allows(&record.twin.etag) {
            return Err(TwinError::PreconditionFailed(self.identity.clone()));
        }
        let version = record.twin.version;
        if emptied {
            record.twin.reported.version += 1;
        }
        let mut touched = (self.change)(&mut record.twin)?;
        touched.reported |= emptied;
        Ok(((row, version), record, touched))
    }

    fn apply(
        &self,
        tx: &Tx<'_>,
        ((row, version), record, touched): Self::Plan,
    ) -> Result<TwinRecord, StoreError> {
        let follows = touched.tags || touched.desired.is_some();
        write_twin(
            tx,
            &self.watchers,
            &self.identity,
            (&row, version),
            &record.twin,
            touched,
        )?;
        // Configurations look at tags, and take back changes of desired properties that they own.
        if follows {
            let change = match row.module_id.is_none() && !row.iot_edge {
                true => TargetingChange::Device,
                false => TargetingChange::EdgeDeviceOrModule,
            };
            follow(tx, &self.watchers, &self.identity, change)?;
        }
        Ok(record)
    }
}

/// Reads a twin, and says whether its reported properties had to be left out.
pub(super) type Read =
    fn(&View<'_>, &Identity) -> Result<(IdentityRow, TwinRecord, bool), TwinError>;

pub(super) fn read(
    view: &View<'_>,
    identity: &Identity,
) -> Result<(IdentityRow, TwinRecord, bool), TwinError> {
    let both = stored(view, identity)?;
    require_readable(identity, &both.1)?;
    let (row, record) = whole(view, identity, both)?;
    Ok((row, record, false))
}

/// Like [`read`], with nothing in place of what is too large to be read.
fn read_emptied(
    view: &View<'_>,
    identity: &Identity,
) -> Result<(IdentityRow, TwinRecord, bool), TwinError> {
    let mut both = stored(view, identity)?;
    let oversized = std::mem::take(&mut both.1.oversized);
    let (row, record) = whole(view, identity, both)?;
    Ok((row, record, oversized.reported))
}

fn require_readable(identity: &Identity, twin: &TwinRow) -> Result<(), TwinError> {
    match twin.oversized.part() {
        Some(part) => Err(TwinError::TooLarge {
            identity: identity.clone(),
            part,
        }),
        None => Ok(()),
    }
}

fn stored(view: &View<'_>, identity: &Identity) -> Result<(IdentityRow, TwinRow), TwinError> {
    view.twin(identity.into())?
        .ok_or_else(|| TwinError::NotFound(identity.clone()))
}

fn whole(
    view: &View<'_>,
    identity: &Identity,
    both: (IdentityRow, TwinRow),
) -> Result<(IdentityRow, TwinRecord), TwinError> {
    let device_enabled = match identity.module {
        None => both.0.enabled,
        Some(_) => view
            .device_enabled(&identity.hub, identity.device.as_str())?
            .unwrap_or(false),
    };
    let row = both.0.clone();
    Ok((row, rows::twin_record(view, both, device_enabled)?))
}

/// Writes what a change touched and tells sessions of new desired properties.
pub(crate) fn write_twin(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    identity: &Identity,
    (row, version): (&IdentityRow, u64),
    twin: &Twin,
    touched: Touched,
) -> Result<(), StoreError> {
    if !touched.anything() {
        return Ok(());
    }
    hub_events::twin_changed(tx, watchers, identity, twin, &touched)?;
    let section = |section: &Section| SectionWrite {
        document: text(&section.document),
        metadata: text(&section.metadata),
        version: section.version,
    };
    let write = TwinWrite {
        version: twin.version,
        tags: touched.tags.then(|| text(&twin.tags)),
        desired: touched.desired.is_some().then(|| section(&twin.desired)),
        reported: touched.reported.then(|| section(&twin.reported)),
        configurations: touched
            .configurations
            .then(|| statuses_text(&twin.configurations)),
    };
    tx.update_twin(row, version, &write)?;
    if let Some(patch) = touched.desired {
        let change = Change::Desired {
            identity: identity.clone(),
            patch,
            version: twin.desired.version,
        };
        watchers.tell(tx, change);
    }
    Ok(())
}

fn text(document: &Map<String, Value>) -> String {
    // A map of JSON values has nothing that cannot be written.
    serde_json::to_string(document).unwrap_or_default()
}

/// Has configurations evaluated for a device, when anything could follow from a change.
pub(crate) fn follow(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    identity: &Identity,
    change: TargetingChange,
) -> Result<(), StoreError> {
    if tx.targeting_follows(&identity.hub, change)? {
        tx.queue_device(&identity.hub, &identity.device)?;
        watchers.tell(
            tx,
            Change::Targeting {
                hub: identity.hub.clone(),
            },
        );
    }
    Ok(())
}
