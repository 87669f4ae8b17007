//! Registrations that fail, and those that are refused because their enrollment is disabled.

use ids::{Etag, RegistrationId, Timestamp};
use registry::StorageError;
use serde_json::json;
use store::audit::AuditStream;
use store::{Lock, RegistrationRow, StoreError, Tx, View, unit};

use super::EndPending;
use super::rows::{DISABLED, FAILED, group_id, new_row, record, write_row};
use crate::enrollment::EnrollmentKind;
use crate::provisioning::Provisioning;
use crate::provisioning::names::{INDIVIDUAL, kind_name};
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
            move |(id_scope, failed), view| FailPlan::decide(view, id_scope, failed, now),
            move |(_, failed), tx, plan| plan.apply(tx, &service, failed, &etag, now),
        );
        self.registry.store().write_without_act(fail).await
    }
}

/// What is written of a failed attempt.
pub(super) struct FailPlan {
    row: RegistrationRow,
    end: Option<EndPending>,
}

impl FailPlan {
    pub(super) fn decide(
        view: &View<'_>,
        id_scope: &str,
        failed: &FailRegistration,
        now: Timestamp,
    ) -> Result<Self, StorageError> {
        let folded = failed.registration_id.folded();
        let stored = view.registration(id_scope, folded)?;
        Ok(Self {
            row: stored.unwrap_or_else(|| new_row(&failed.registration_id, now)),
            // Whatever the record says: no pending row stays behind that would be resumed.
            end: EndPending::decide(view, id_scope, folded, None)?,
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
        let mut row = self.row;
        row.group_id = group_id(&failed.enrollment);
        FAILED.clone_into(&mut row.status);
        row.substatus = None;
        let failure = &failed.failure;
        row.error_code = Some(failure.code);
        row.error_message = Some(failure.message.clone());
        row.updated = now.ticks();
        write_row(tx, id_scope, &mut row, etag)?;
        let body = json!({
            "kind": "registration.failed", "idScope": id_scope, "registrationId": row.spelled,
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
    row: RegistrationRow,
    end: Option<EndPending>,
}

impl DisablePlan {
    /// `None` when the record stays as it is.
    pub(in super::super) fn decide(
        view: &View<'_>,
        id_scope: &str,
        id: &RegistrationId,
        enrollment: &EnrolledBy,
        now: Timestamp,
    ) -> Result<Option<Self>, StorageError> {
        let (kind, folded, group) = match enrollment {
            EnrolledBy::Individual => (INDIVIDUAL, id.folded().to_owned(), None),
            EnrolledBy::Group(group) => (
                kind_name(EnrollmentKind::Group),
                group.folded(),
                Some(group.to_string()),
            ),
        };
        // It may have been enabled or deleted since.
        let found = view.enrollment(id_scope, kind, &folded)?;
        if found.is_none_or(|enrollment| enrollment.enabled) {
            return Ok(None);
        }
        let stored = view.registration(id_scope, id.folded())?;
        let is_new = stored.is_none();
        let mut row = stored.unwrap_or_else(|| new_row(id, now));
        // A record of another group is left alone, and a second refusal like the last changes
        // nothing.
        let is_anothers = !is_new && group.is_some() && row.group_id != group;
        if is_anothers || row.status == DISABLED {
            return Ok(None);
        }
        let end = EndPending::decide(view, id_scope, &row.folded, None)?;
        row.group_id = group;
        DISABLED.clone_into(&mut row.status);
        (row.error_code, row.error_message) = (None, None);
        row.updated = now.ticks();
        Ok(Some(Self { row, end }))
    }

    pub(in super::super) fn locks(&self) -> Vec<Lock<'_>> {
        self.end.iter().flat_map(EndPending::locks).collect()
    }

    pub(in super::super) fn apply(
        mut self,
        tx: &Tx<'_>,
        id_scope: &str,
        etag: &Etag,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(end) = self.end {
            end.apply(tx, now)?;
        }
        write_row(tx, id_scope, &mut self.row, etag)
    }
}
