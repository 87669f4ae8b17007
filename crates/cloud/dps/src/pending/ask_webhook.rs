//! A webhook chooses the hub of a registration.

use provisioning::{RegistrationFailure, WebhookQuestion};
use registry::StorageError;
use wire::error::DpsErrorCode;

use super::resume::{Attempt, AttemptError};
use super::signature::WebhookKey;
use super::webhook::{self, Answered};
use crate::registration::{assign, result};

pub async fn resume(attempt: Attempt<'_>, question: &WebhookQuestion) -> Result<(), StorageError> {
    let dps = attempt.dps;
    if attempt.pending.is_stale(dps.now()) {
        let fault = "Custom allocation failed with status code: 503: too many registrations wait \
                     for \
                     webhooks";
        let error = AttemptError {
            failure: failure(fault),
            may_pass: false,
            note: webhook::unasked(question, fault),
        };
        return attempt.fail(error).await;
    }
    let service = attempt.tenant.service();
    let key = WebhookKey::derive(service.operation_key.reveal());
    let caller = (dps.outbound(), dps.on_behalf(&service.id_scope));
    let Answered { choice, note } = webhook::ask(caller, question, &key, dps.now()).await;
    match choice {
        Ok(choice) => {
            let as_failure = assign::assignment_failure;
            let (provisioning, now) = (attempt.provisioning().clone(), dps.now());
            let handle = attempt.handle;
            let ended = provisioning.finish_pending(handle, choice, note, as_failure, now);
            if let Some(record) = ended.await? {
                result::log_assigned(&record);
            }
            Ok(())
        }
        Err(fault) => {
            let error = AttemptError {
                failure: failure(&fault.to_string()),
                may_pass: fault.may_pass(),
                note,
            };
            attempt.retry_or_fail(error).await
        }
    }
}

fn failure(why: &str) -> RegistrationFailure {
    RegistrationFailure {
        code: DpsErrorCode::CustomAllocationFailed.code(),
        message: why.to_owned(),
    }
}
