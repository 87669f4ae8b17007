//! A pending registration as it was read, and steps that count only while it is unchanged.

use ids::{IdScope, RegistrationId, Timestamp};
use registry::StorageError;
use store::{Lock, PendingRow, StoreError, Tx, Unit, View};

use super::{EndPending, is_assigning, write};
use crate::pending::PendingRegistration;
use crate::provisioning::Provisioning;
use crate::registration::{Assign, Choice, FailRegistration, RegistrationFailure};

/// A pending registration as it was read: what is done with it counts only if it
/// has not changed since.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingHandle {
    pub id_scope: IdScope,
    pub registration_id: RegistrationId,
    /// The webhook or remote hub that is asked.
    pub destination: String,
    pub pending: PendingRegistration,
    /// Of its row: never given out twice.
    id: i64,
    revision: i64,
}

impl Provisioning {
    /// Whether a pending registration is unchanged since its handle was read.
    pub fn is_as_before(&self, handle: &PendingHandle) -> Result<bool, StorageError> {
        self.registry.store().read(|view| handle.is_current(view))
    }
}

/// How a handle compares with what is stored.
enum Standing {
    Current,
    /// Another attempt is stored, or none.
    Gone,
    /// A row that no record waits for. It ends, and the record stays.
    Orphaned(EndPending),
}

impl PendingHandle {
    pub(super) fn new(pending: PendingRegistration, row: PendingRow) -> Self {
        Self {
            registration_id: pending.registrant.registration_id.clone(),
            pending,
            id_scope: row.id_scope,
            destination: row.destination,
            id: row.id,
            revision: row.revision,
        }
    }

    /// Tells one attempt from another: also from one of the same registration id that was begun
    /// after this one had ended.
    #[must_use]
    pub fn version(&self) -> (i64, i64) {
        (self.id, self.revision)
    }

    fn is_current(&self, view: &View<'_>) -> Result<bool, StorageError> {
        let stored = view.pending(self.id_scope.as_str(), &self.registration_id)?;
        Ok(stored.is_some_and(|stored| (stored.id, stored.revision) == self.version()))
    }

    fn standing(&self, view: &View<'_>) -> Result<Standing, StorageError> {
        if !self.is_current(view)? {
            return Ok(Standing::Gone);
        }
        let (id_scope, id) = (self.id_scope.as_str(), &self.registration_id);
        let stored = view.registration(id_scope, id)?;
        if stored.as_ref().is_some_and(is_assigning) {
            return Ok(Standing::Current);
        }
        let at = stored.and_then(|row| row.device);
        let end = EndPending::decide(view, id_scope, id, at.as_ref())?;
        Ok(end.map_or(Standing::Gone, Standing::Orphaned))
    }

    pub(in super::super) fn assign(&self, choice: &Choice) -> Assign {
        Assign {
            registrant: self.pending.registrant.clone(),
            choice: choice.clone(),
        }
    }

    pub(in super::super) fn failed(&self, failure: RegistrationFailure) -> FailRegistration {
        let registrant = &self.pending.registrant;
        FailRegistration {
            registration_id: registrant.registration_id.clone(),
            enrollment: registrant.enrollment.clone(),
            failure,
        }
    }

    /// Writes the same registration, changed; returns the handle for it.
    pub(in super::super) fn rewrite(
        &self,
        tx: &Tx<'_>,
        pending: &PendingRegistration,
    ) -> Result<Self, StoreError> {
        let next = (self.id, self.revision + 1);
        let row = write(tx, &self.id_scope, next, pending)?;
        tx.update_pending(&row)?;
        Ok(Self {
            revision: row.revision,
            destination: row.destination,
            pending: pending.clone(),
            ..self.clone()
        })
    }
}

/// What is done with a pending registration.
pub(in super::super) trait HandleStep: Send + 'static {
    type Plan;
    type Output: Send + 'static;

    fn locks_of_plan<'a>(&'a self, plan: &'a Self::Plan) -> Vec<Lock<'a>> {
        let _ = plan;
        Vec::new()
    }

    fn decide(&self, handle: &PendingHandle, view: &View<'_>) -> Result<Self::Plan, StorageError>;

    fn apply(
        &self,
        handle: &PendingHandle,
        tx: &Tx<'_>,
        plan: Self::Plan,
    ) -> Result<Self::Output, StoreError>;
}

/// A step on a handle. Its output is `None` when the handle is not current: nothing is done then.
pub(in super::super) struct OnHandle<S> {
    pub(in super::super) handle: PendingHandle,
    pub(in super::super) step: S,
    pub(in super::super) now: Timestamp,
}

pub(in super::super) enum OnHandlePlan<P> {
    Run(P),
    Gone,
    Orphaned(EndPending),
}

impl<S: HandleStep> Unit for OnHandle<S> {
    type Plan = OnHandlePlan<S::Plan>;
    type Output = Option<S::Output>;
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.handle.id_scope.as_str();
        let folded = self.handle.registration_id.folded();
        vec![
            Lock::Registration { id_scope, folded },
            Lock::AllocationLog { id_scope },
        ]
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a Self::Plan) -> Vec<Lock<'a>> {
        match plan {
            OnHandlePlan::Run(plan) => self.step.locks_of_plan(plan),
            OnHandlePlan::Orphaned(end) => end.locks(),
            OnHandlePlan::Gone => Vec::new(),
        }
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        Ok(match self.handle.standing(view)? {
            Standing::Current => OnHandlePlan::Run(self.step.decide(&self.handle, view)?),
            Standing::Gone => OnHandlePlan::Gone,
            Standing::Orphaned(end) => OnHandlePlan::Orphaned(end),
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: Self::Plan) -> Result<Option<S::Output>, StoreError> {
        match plan {
            OnHandlePlan::Run(plan) => self.step.apply(&self.handle, tx, plan).map(Some),
            OnHandlePlan::Gone => Ok(None),
            OnHandlePlan::Orphaned(end) => {
                let id = self.handle.registration_id.clone();
                tx.after_commit(move || log_orphaned(&id));
                end.apply(tx, self.now)?;
                Ok(None)
            }
        }
    }
}

fn log_orphaned(id: &RegistrationId) {
    tracing::error!(
        registration.id = %id,
        "registration {id} was pending although its record did not wait for it; the attempt is dropped"
    );
}
