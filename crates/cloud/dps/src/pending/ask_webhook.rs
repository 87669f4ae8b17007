//! A webhook chooses the hub of a registration.

use provisioning::{RegistrationFailure, WebhookQuestion};
use registry::StorageError;
use wire::error::DpsErrorCode;

use super::signature::WebhookKey;
use super::webhook::{self, Asked};
use super::{Attempt, AttemptError};
use crate::registration::{assign, result};

/// One try.
pub async fn go_on(attempt: Attempt<'_>, question: &WebhookQuestion) -> Result<(), StorageError> {
    let dps = attempt.dps;
    if attempt.pending.is_stale(dps.now()) {
        let fault = "Custom allocation failed with status code: 503: too many registrations wait for webhooks";
        let error = AttemptError {
            failure: failure(fault),
            may_pass: false,
            note: webhook::unasked(question, fault),
        };
        return attempt.give_up(error).await;
    }
    let service = attempt.tenant.service();
    let key = WebhookKey::of(service.operation_key.reveal());
    let caller = (dps.outbound(), dps.on_behalf(&service.id_scope));
    let Asked { outcome, note } = webhook::ask(caller, question, &key, dps.now()).await;
    match outcome {
        Ok(choice) => {
            let as_failure = assign::assignment_failure;
            let registry = attempt.registry().clone();
            let settled =
                registry.finish_pending(attempt.handle, choice, note, as_failure, dps.now());
            if let Some(record) = settled.await? {
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
            attempt.again_or_never(error).await
        }
    }
}

fn failure(why: &str) -> RegistrationFailure {
    RegistrationFailure {
        code: DpsErrorCode::CustomAllocationFailed.code(),
        message: why.to_owned(),
    }
}
