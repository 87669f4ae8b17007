use std::sync::Arc;

use ids::{Identity, Timestamp};
use store::{StoreError, TargetingChange, Tx};

use super::{follow, write_twin};
use crate::registry::watchers::Watchers;
use crate::rows;
use crate::twin::CheckedReplacement;

/// Replaces tags and desired properties within the transaction that writes the identity.
pub(crate) fn replace_twin_within(
    tx: &Tx<'_>,
    watchers: &Arc<Watchers>,
    identity: &Identity,
    replacement: &CheckedReplacement,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some((row, mut stored)) = tx.twin(identity.into())? else {
        return Err(tx.damaged("twin", "it went away within a transaction"));
    };
    // As with a PUT of the twin, what is too large to be read is empty from now on.
    let emptied = std::mem::take(&mut stored.oversized).reported;
    let mut twin = rows::twin(tx, &stored)?;
    if emptied {
        twin.reported.version += 1;
    }
    let mut touched = twin.replace(replacement, now);
    touched.reported |= emptied;
    write_twin(
        tx,
        watchers,
        identity,
        (&row, stored.version),
        &twin,
        touched,
    )?;
    // As after any other change of a twin by an operator.
    let change = match row.module_id.is_none() && !row.iot_edge {
        true => TargetingChange::Device,
        false => TargetingChange::EdgeDeviceOrModule,
    };
    follow(tx, watchers, identity, change)
}
