//! Registrations that fail, and those that are refused because their enrollment is disabled.

use ids::{EnrollmentId, Etag, RegistrationId, Timestamp};
use registry::StorageError;
use serde_json::json;
use store::audit::AuditStream;
use store::{EnrollmentKey, Lock, RegistrationRow, RegistrationStatus, StoreError, Tx, View, unit};

use super::EndPending;
use super::rows::{RecordWrite, group, record};
use crate::provisioning::Provisioning;
use crate::registration::{EnrolledBy, FailRegistration, RegistrationRecord};
use crate::service::ProvisioningService;

impl Provisioning {
    /// Records that an attempt failed. An assignment from before still stands.
    pub async fn fail_registration(
        &self,
        failed: FailRegistration,
        now: Timestamp,
    ) -> Result<RegistrationRecord, StorageError> {
        let (service, etag) = (self.service(), self.registry.fresh_etag());
        let id_scope = self.id_scope();
        let fail = unit(
            (id_scope, failed),
            |(id_scope, failed)| {
                let folded = failed.registration_id.folded();
                vec![Lock::Registration { id_scope, folded }]
            },
            |(id_scope, failed), view| FailPlan::decide(view, id_scope, failed),
            move |(_, failed), tx, plan| plan.apply(tx, &service, failed, &etag, now),
        );
        self.registry.store().write_without_act(fail).await
    }
}

/// What is written of a failed attempt.
pub(super) struct FailPlan {
    stored: Option<RegistrationRow>,
    end: Option<EndPending>,
}

impl FailPlan {
    pub(super) fn decide(
        view: &View<'_>,
        id_scope: &str,
        failed: &FailRegistration,
    ) -> Result<Self, StorageError> {
        let id = &failed.registration_id;
        Ok(Self {
            stored: view.registration(id_scope, id)?,
            // Whatever the record says: no pending row stays behind that would be resumed.
            end: EndPending::decide(view, id_scope, id, None)?,
        })
    }

    pub(super) fn locks(&self) -> Vec<Lock<'_>> {
        self.end.iter().flat_map(EndPending::locks).collect()
    }

    pub(super) fn apply(
        self,
        tx: &Tx<'_>,
        service: &ProvisioningService,
        failed: &FailRegistration,
        etag: &Etag,
        now: Timestamp,
    ) -> Result<RegistrationRecord, StoreError> {
        let id_scope = service.id_scope.as_str();
        if let Some(end) = self.end {
            end.apply(tx, now)?;
        }
        let (id, status) = (&failed.registration_id, RegistrationStatus::Failed);
        let mut write = RecordWrite::new(self.stored, id, status, etag, now);
        let (row, failure) = (&mut write.row, &failed.failure);
        row.group = group(&failed.enrollment).cloned();
        row.substatus = None;
        row.error_code = Some(failure.code);
        row.error_message = Some(failure.message.clone());
        write.write(tx, id_scope)?;
        let row = write.row;
        let body = json!({
            "kind": "registration.failed", "idScope": id_scope, "registrationId": row.registration_id,
            "errorCode": row.error_code, "message": row.error_message,
        });
        tx.audit(
            AuditStream::Decisions,
            now.ticks(),
            body.to_string().into_bytes(),
        )?;
        record(tx, row, service)
    }
}

/// What is written of a device that was refused because the enrollment that decides about
/// it is disabled. Its assignment stays in the record and at the hub, for when the
/// enrollment is enabled again.
pub(in super::super) struct DisablePlan {
    stored: Option<RegistrationRow>,
    registration_id: RegistrationId,
    group: Option<EnrollmentId>,
    end: Option<EndPending>,
}

impl DisablePlan {
    /// `None` when the record stays as it is.
    pub(in super::super) fn decide(
        view: &View<'_>,
        id_scope: &str,
        id: &RegistrationId,
        enrollment: &EnrolledBy,
    ) -> Result<Option<Self>, StorageError> {
        let key = match enrollment {
            EnrolledBy::Individual => EnrollmentKey::Individual(id.clone()),
            EnrolledBy::Group(group) => EnrollmentKey::Group(group.clone()),
        };
        // It may have been enabled or deleted since.
        let found = view.enrollment(id_scope, &key)?;
        if found.is_none_or(|enrollment| enrollment.enabled) {
            return Ok(None);
        }
        let (stored, group) = (view.registration(id_scope, id)?, group(enrollment));
        if let Some(row) = &stored {
            // A record of another group is left alone, and a second refusal like the last changes
            // nothing.
            let is_anothers = group.is_some() && row.group.as_ref() != group;
            if is_anothers || row.status == RegistrationStatus::Disabled {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            end: EndPending::decide(view, id_scope, id, None)?,
            stored,
            registration_id: id.clone(),
            group: group.cloned(),
        }))
    }

    pub(in super::super) fn locks(&self) -> Vec<Lock<'_>> {
        self.end.iter().flat_map(EndPending::locks).collect()
    }

    pub(in super::super) fn apply(
        self,
        tx: &Tx<'_>,
        id_scope: &str,
        etag: &Etag,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(end) = self.end {
            end.apply(tx, now)?;
        }
        let (id, status) = (&self.registration_id, RegistrationStatus::Disabled);
        let mut write = RecordWrite::new(self.stored, id, status, etag, now);
        write.row.group = self.group;
        (write.row.error_code, write.row.error_message) = (None, None);
        write.write(tx, id_scope)
    }
}
