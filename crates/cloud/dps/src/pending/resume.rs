//! One try of a pending registration.

use std::sync::Arc;

use ids::Timestamp;
use provisioning::{
    AllocationNote, PendingHandle, PendingRegistration, PendingStep, Provisioning,
    RegistrationFailure,
};
use registry::StorageError;
use wire::error::DpsErrorCode;

use super::{ask_webhook, place_on_remote_hub};
use crate::service::Dps;
use crate::service::tenants::Tenant;

/// A pending registration as one try sees it.
pub struct Attempt<'a> {
    pub dps: &'a Dps,
    pub tenant: Arc<Tenant>,
    pub handle: PendingHandle,
    /// With times counted from the start of this process.
    pub pending: PendingRegistration,
}

/// Why a try failed.
pub struct AttemptError {
    pub failure: RegistrationFailure,
    /// Whether another try may help.
    pub may_pass: bool,
    pub note: AllocationNote,
}

/// Makes one attempt at the next step of a pending registration.
pub async fn resume(
    dps: &Dps,
    handle: PendingHandle,
    started: Timestamp,
) -> Result<(), StorageError> {
    let Some(tenant) = dps.tenants().by_scope(handle.id_scope.as_str()) else {
        return Ok(());
    };
    let provisioning = tenant.context.provisioning.clone();
    let attempt = Attempt {
        dps,
        tenant,
        pending: handle.pending.clone().resumed(started),
        handle: handle.clone(),
    };
    match attempt.pending.step.clone() {
        PendingStep::AskWebhook(question) => ask_webhook::resume(attempt, &question).await,
        PendingStep::PlaceOnRemoteHub(placement) => {
            place_on_remote_hub::resume(attempt, *placement).await
        }
    }?;
    end_unchanged(dps, &provisioning, handle).await
}

/// A try ends the pending registration or changes its version. One that did neither would be
/// repeated for ever: that is a fault of this program, and the registration fails of it.
async fn end_unchanged(
    dps: &Dps,
    provisioning: &Provisioning,
    handle: PendingHandle,
) -> Result<(), StorageError> {
    if !provisioning.is_as_before(&handle)? {
        return Ok(());
    }
    tracing::error!(
        registration.id = %handle.registration_id,
        "registration {} was resumed and nothing became of it; it has failed",
        handle.registration_id
    );
    let failure = RegistrationFailure {
        code: DpsErrorCode::InternalServerError.code(),
        message: "the registration could not be resumed; register again".to_owned(),
    };
    let note = AllocationNote {
        failure: Some(failure.message.clone()),
        ..AllocationNote::default()
    };
    let ended = provisioning.give_up_pending(handle, failure, note, dps.now());
    ended.await.map(drop)
}

impl Attempt<'_> {
    pub fn provisioning(&self) -> &Provisioning {
        &self.tenant.context.provisioning
    }

    /// Tries again later, or lets the registration fail.
    pub async fn retry_or_fail(self, error: AttemptError) -> Result<(), StorageError> {
        let chance = rand::random_range(0.0..1.0);
        let next = error
            .may_pass
            .then(|| self.pending.clone().postponed(self.dps.now(), chance));
        match next.flatten() {
            Some(mut next) => {
                tracing::debug!(
                    registration.id = %next.registrant.registration_id,
                    "a registration is resumed later: {}",
                    error.failure.message
                );
                // A plan that this try has made stays.
                next.plan.clone_from(&self.handle.pending.plan);
                let provisioning = self.dps.tenants().provisioning();
                let now = self.dps.now();
                provisioning.postpone_pending(self.handle, next, now).await
            }
            None => self.fail(error).await,
        }
    }

    pub async fn fail(self, error: AttemptError) -> Result<(), StorageError> {
        let id = self.pending.registrant.registration_id.clone();
        let AttemptError { failure, note, .. } = error;
        let (code, why) = (failure.code, failure.message.clone());
        let provisioning = self.provisioning().clone();
        let written = provisioning.give_up_pending(self.handle, failure, note, self.dps.now());
        if written.await?.is_some() {
            tracing::warn!(
                registration.id = %id,
                error.code = code,
                "registration {id} failed: {why}"
            );
            self.dps.wake_remote_tasks();
        }
        Ok(())
    }
}
