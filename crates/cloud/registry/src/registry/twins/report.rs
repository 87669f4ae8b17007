//! The unit that writes what a device reports.

use std::sync::Arc;

use ids::{Identity, Timestamp};
use store::{IdentityRow, Lock, StoreError, TargetingChange, Tx, Unit, View};

use super::{follow, require_readable, stored, write_twin};
use crate::registry::watchers::Watchers;
use crate::rows::{self, lock};
use crate::twin::{CheckedReport, Touched, Twin, TwinError};

/// A device's change of its reported properties.
pub(super) struct Report {
    pub(super) identity: Identity,
    pub(super) patch: CheckedReport,
    pub(super) expected_version: Option<u64>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) now: Timestamp,
}

impl Unit for Report {
    /// The row with the version of its twin, the new twin, what of it is new.
    type Plan = ((IdentityRow, u64), Twin, Touched);
    type Output = u64;
    type Error = TwinError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![lock(&self.identity)]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, TwinError> {
        let (row, twin) = stored(view, &self.identity)?;
        require_readable(&self.identity, &twin)?;
        let version = twin.version;
        let mut twin = rows::twin(view, &twin)?;
        let expected = self.expected_version;
        if expected.is_some_and(|expected| expected != twin.reported.version) {
            return Err(TwinError::PreconditionFailed(self.identity.clone()));
        }
        let touched = twin.report(&self.patch, self.now)?;
        Ok(((row, version), twin, touched))
    }

    fn apply(
        &self,
        tx: &Tx<'_>,
        ((row, version), twin, touched): Self::Plan,
    ) -> Result<u64, StoreError> {
        write_twin(
            tx,
            &self.watchers,
            &self.identity,
            (&row, version),
            &twin,
            touched,
        )?;
        let change = match (row.module_id.is_none(), row.iot_edge) {
            (true, true) => TargetingChange::ReportedOfEdgeDevice,
            (true, false) => TargetingChange::ReportedOfDevice,
            (false, _) => TargetingChange::ReportedOfModule,
        };
        follow(tx, &self.watchers, &self.identity, change)?;
        Ok(twin.reported.version)
    }
}
