//! The last step: what a registration comes to is written in one transaction.

use ids::{RegistrationId, Timestamp};
use provisioning::{
    AssignError, AssignOutcome, Assigned, FailRegistration, PendingRegistration, PendingStep,
    Placement, Provisioning, WebhookQuestion,
};
use registry::StorageError;
use serde_json::Value;

use crate::registration::allocate::{Allocation, CustomAllocation, Route};
use crate::registration::attest::AttestedDevice;
use crate::registration::issue::Issued;
use crate::registration::not_proven::NotProven;
use crate::registration::unregistered::{Failure, Unassigned, Unregistered};

mod record;

pub use record::{assignment, assignment_failure, failure, is_by_secondary};

/// What a registration has come to. It is durable.
#[derive(Debug)]
pub enum Registered {
    Assigned(Box<Assigned>),
    /// A webhook or a remote hub has to be asked first; the device polls until that is over.
    Pending,
    /// The device is let in, and cannot be assigned; it reads why when it polls.
    Failed(Box<FailRegistration>, Failure),
}

/// What is written for a route.
pub enum Next<'r> {
    ToHub(&'r Allocation),
    /// The webhook is asked later, by what is pending.
    AskWebhook(&'r CustomAllocation, WebhookQuestion),
}

impl<'r> Next<'r> {
    fn device(&self) -> &'r AttestedDevice {
        match self {
            Self::ToHub(allocation) => allocation.device(),
            Self::AskWebhook(custom, _) => custom.device(),
        }
    }
}

/// Reads what a webhook will be asked. Before a certificate is issued: an enrollment that has
/// changed since the device proved itself costs none.
pub async fn prepare<'r>(
    route: &'r Route,
    payload: Option<&Value>,
    provisioning: &Provisioning,
) -> Result<Next<'r>, Unregistered> {
    let custom = match route {
        Route::Chosen(allocation) => return Ok(Next::ToHub(allocation)),
        Route::Custom(custom) => custom,
    };
    match custom.question(provisioning, payload).await? {
        Some(question) => Ok(Next::AskWebhook(custom, question)),
        None => Err(Unregistered::Unassigned(Unassigned {
            enrolled_by: custom.device().matched().enrolled_by(),
            cause: AssignError::EnrollmentChanged.into(),
        })),
    }
}

/// Writes the assignment, or that a webhook or a remote hub has to be asked first.
///
/// Fails when the device cannot be assigned, or what is stored cannot be
/// read. Nothing is written then.
pub async fn assign(
    next: Next<'_>,
    issued: Option<&Issued>,
    provisioning: &Provisioning,
    now: Timestamp,
) -> Result<Registered, Unregistered> {
    let device = next.device();
    let assigned = match next {
        Next::ToHub(allocation) => to_hub(allocation, issued, provisioning, now).await,
        Next::AskWebhook(custom, question) => {
            let step = PendingStep::AskWebhook(question);
            ask_webhook(custom, issued, step, provisioning, now).await
        }
    };
    assigned.map_err(|error| match error {
        AssignError::Storage(error) => NotProven::Storage(error).into(),
        error => Unregistered::Unassigned(Unassigned {
            enrolled_by: device.matched().enrolled_by(),
            cause: error.into(),
        }),
    })
}

async fn to_hub(
    allocation: &Allocation,
    issued: Option<&Issued>,
    provisioning: &Provisioning,
    now: Timestamp,
) -> Result<Registered, AssignError> {
    match provisioning
        .assign(assignment(allocation, issued), now)
        .await?
    {
        AssignOutcome::Assigned(assigned) => Ok(Registered::Assigned(Box::new(assigned))),
        AssignOutcome::NeedsRemoteHub => {
            let assign = assignment(allocation, issued);
            let placement = Placement {
                choice: assign.choice,
                note: None,
            };
            let step = PendingStep::PlaceOnRemoteHub(Box::new(placement));
            let pending = PendingRegistration::new(assign.registrant, step, now);
            provisioning.begin_pending(pending, now).await?;
            Ok(Registered::Pending)
        }
    }
}

/// The certificate is issued before the webhook is asked: its answer does not change the
/// certificate, and the request need not be stored.
async fn ask_webhook(
    custom: &CustomAllocation,
    issued: Option<&Issued>,
    step: PendingStep,
    provisioning: &Provisioning,
    now: Timestamp,
) -> Result<Registered, AssignError> {
    let registrant = record::registrant(custom.device(), custom.device_id(), issued);
    let pending = PendingRegistration::new(registrant, step, now);
    provisioning.begin_pending(pending, now).await?;
    Ok(Registered::Pending)
}

/// Writes a failure down, so that the device reads it when it polls, and
/// the operator in its record.
pub async fn fail(
    Unassigned { enrolled_by, cause }: Unassigned,
    registration_id: &RegistrationId,
    provisioning: &Provisioning,
    now: Timestamp,
) -> Result<Registered, StorageError> {
    let failed = FailRegistration {
        registration_id: registration_id.clone(),
        enrollment: enrolled_by,
        failure: failure(&cause),
    };
    provisioning.fail_registration(failed.clone(), now).await?;
    Ok(Registered::Failed(Box::new(failed), cause))
}
