//! Registrations that were not let in.

use ids::{Etag, Timestamp};
use registry::{BadContinuation, Continuation, ListError, Page, StorageError};
use serde_json::json;
use store::audit::AuditStream;
use store::{Lock, RefusalFilter, RefusalRow, StoreError, Tx, Unit, View, unit};

use super::Provisioning;
use super::registrations::DisablePlan;
use crate::refusal::{RefusalDraft, RefusalQuery, RefusalRecord};

/// Refusals kept of one registration, and of one service: those of another are not its to push out.
const KEPT: (usize, i64) = (8, 100_000);

impl Provisioning {
    /// Keeps a refusal for operators, and enters the decision into the audit.
    pub async fn note_refusal(
        &self,
        refusal: RefusalDraft,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let id_scope = self.id_scope();
        let id = &refusal.registration_id;
        let decision = json!({
            "kind": "registration.refused", "idScope": id_scope, "registrationId": id,
            "reason": refusal.reason, "errorCode": refusal.error_code, "times": refusal.times,
            "enrollment": refusal.report.get("enrollment"), "address": refusal.address,
        });
        let decision = decision.to_string().into_bytes();
        let row = RefusalRow {
            number: 0,
            registration_id: id.clone(),
            reason: refusal.reason.to_owned(),
            error_code: refusal.error_code,
            credential: refusal.credential,
            times: refusal.times.into(),
            first: now.ticks(),
            last: now.ticks(),
            report: refusal.report.to_string(),
        };
        let note = NoteRefusal {
            etag: self.registry.fresh_etag(),
            id_scope,
            refusal,
            row,
            decision,
            now,
        };
        self.registry.store().write_without_act(note).await
    }

    /// Deletes refusals that came last longer ago than they are kept; says how many.
    pub async fn expire_refusals(&self, now: Timestamp) -> Result<usize, StorageError> {
        let before = now.minus(self.inner.retention).ticks();
        let mut expired = 0;
        loop {
            let expire = unit(
                (),
                |()| vec![Lock::Directory],
                |(), _| Ok::<_, StorageError>(()),
                move |(), tx, ()| tx.expire_refusals(before),
            );
            let some = self.registry.store().write_in_background(expire);
            match some.await? {
                0 => return Ok(expired),
                some => expired += some,
            }
        }
    }

    /// Lists refusals, newest first.
    pub async fn refusals(&self, query: RefusalQuery) -> Result<Page<RefusalRecord>, ListError> {
        let before = query.after.as_ref().map(|after| after.key().parse());
        let before = before.transpose().map_err(|_| BadContinuation)?;
        let (id_scope, limit) = (self.id_scope(), query.limit.clamp(1, 1000));
        let scan = move |view: &View<'_>| {
            let filter = RefusalFilter {
                id_scope: &id_scope,
                registration_id: query.registration_id.as_ref(),
                from: query.from.map_or(i64::MIN, Timestamp::ticks),
                to: query.to.map_or(i64::MAX, Timestamp::ticks),
                before: before.unwrap_or(i64::MAX),
            };
            let found = view.refusals(filter, limit + 1)?.into_iter();
            found
                .map(|row| record(view, row))
                .collect::<Result<Vec<_>, StorageError>>()
        };
        let items = self.registry.store().scan(scan).await?;
        Ok(Page::cut(items, limit, |item| {
            Continuation::after(&item.number.to_string())
        }))
    }
}

struct NoteRefusal {
    id_scope: String,
    refusal: RefusalDraft,
    row: RefusalRow,
    decision: Vec<u8>,
    etag: Etag,
    now: Timestamp,
}

impl Unit for NoteRefusal {
    /// The record of the registration, when its enrollment is disabled.
    type Plan = Option<DisablePlan>;
    type Output = ();
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        let folded = self.refusal.registration_id.folded();
        vec![
            Lock::RefusalLog { id_scope },
            Lock::Registration { id_scope, folded },
        ]
    }

    fn locks_of_plan<'a>(&'a self, plan: &'a Self::Plan) -> Vec<Lock<'a>> {
        plan.iter().flat_map(DisablePlan::locks).collect()
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        let Some(enrollment) = &self.refusal.disabled else {
            return Ok(None);
        };
        let id = &self.refusal.registration_id;
        DisablePlan::decide(view, &self.id_scope, id, enrollment)
    }

    fn apply(&self, tx: &Tx<'_>, plan: Self::Plan) -> Result<(), StoreError> {
        if let Some(plan) = plan {
            plan.apply(tx, &self.id_scope, &self.etag, self.now)?;
        }
        tx.put_refusal(&self.id_scope, &self.row, KEPT)?;
        tx.audit(
            AuditStream::Refusals,
            self.now.ticks(),
            self.decision.clone(),
        )
    }
}

fn record(view: &View<'_>, row: RefusalRow) -> Result<RefusalRecord, StorageError> {
    Ok(RefusalRecord {
        registration_id: row.registration_id,
        reason: row.reason,
        error_code: row.error_code,
        times: row.times.try_into().unwrap_or_default(),
        first: Timestamp::from_ticks(row.first),
        last: Timestamp::from_ticks(row.last),
        report: view.decoded("refusal", serde_json::from_str(&row.report))?,
        number: row.number,
    })
}
