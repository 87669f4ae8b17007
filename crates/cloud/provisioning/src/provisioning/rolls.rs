//! An issuer goes over to another CA. Each step is one transaction; keys are files and are there
//! before.

use ids::{Etag, IssuerName, Timestamp};
use registry::StorageError;
use store::{CertificateSlot, IssuerRow, Lock, StoreError, Tx, Unit, View};

use super::Provisioning;
use super::act::Act;
use super::issuers::{record, update};
use crate::issuer::{IssuerGenerations, IssuerRecord};
use crate::roll::{AuthorityUse, NextAuthority, RollError, RollStatus};

mod join;
mod slots;

use slots::{Change, SlotPlan, SlotRoll};

impl Provisioning {
    /// Has an issuer issue by another CA. Enrollments that name its CA admit both from now on.
    pub async fn start_roll(
        &self,
        issuer: &IssuerName,
        next: NextAuthority,
        now: Timestamp,
    ) -> Result<IssuerRecord, RollError> {
        self.roll(issuer, Step::Start(next), now).await
    }

    /// Makes the new CA the issuer's only one. `next` describes the CA that is rolled to; how many
    /// devices still use the old one is the caller's to look at.
    pub async fn finish_roll(
        &self,
        issuer: &IssuerName,
        next: NextAuthority,
        now: Timestamp,
    ) -> Result<IssuerRecord, RollError> {
        self.roll(issuer, Step::Finish(next), now).await
    }

    /// Has an issuer issue by its old CA again. When the new one has issued already, it is rolled
    /// back: both are admitted until the devices have certificates of the old one again.
    pub async fn abandon_roll(
        &self,
        issuer: &IssuerName,
        next: NextAuthority,
        now: Timestamp,
    ) -> Result<IssuerRecord, RollError> {
        self.roll(issuer, Step::Abandon(next), now).await
    }

    async fn roll(
        &self,
        issuer: &IssuerName,
        step: Step,
        now: Timestamp,
    ) -> Result<IssuerRecord, RollError> {
        let act = match step {
            Step::Start(_) => Act::StartRoll,
            Step::Finish(_) => Act::FinishRoll,
            Step::Abandon(_) => Act::AbandonRoll,
        };
        let roll = Roll {
            id_scope: self.id_scope(),
            issuer: issuer.clone(),
            step,
            etag: self.registry.fresh_etag(),
            now,
        };
        self.act(act, format!("device issuer {issuer}"), roll).await
    }

    /// How far a roll has come; of an issuer that is not rolled, what its CA is needed for.
    pub async fn roll_status(
        &self,
        issuer: &IssuerName,
        now: Timestamp,
    ) -> Result<RollStatus, RollError> {
        let (id_scope, name) = (self.id_scope(), issuer.clone());
        let scan = move |view: &View<'_>| {
            let row = view.issuer(&id_scope, &name)?;
            let row = row.ok_or_else(|| RollError::NotFound(name.clone()))?;
            let id = row.id;
            let issuer = record(view, row)?;
            let named = (id, &issuer.name);
            let awaited = view.pinned_by_authority(&id_scope, named, CertificateSlot::Secondary)?;
            Ok(RollStatus {
                authorities: uses(view, &id_scope, (id, &issuer), now)?,
                awaited_successors: awaited.iter().map(|(_, count)| count).sum(),
                issuer,
            })
        };
        self.registry.store().scan(scan).await
    }
}

fn uses(
    view: &View<'_>,
    id_scope: &str,
    (id, issuer): (i64, &IssuerRecord),
    now: Timestamp,
) -> Result<Vec<AuthorityUse>, StorageError> {
    let named = (id, &issuer.name);
    let pinned = view.pinned_by_authority(id_scope, named, CertificateSlot::Primary)?;
    let name = issuer.name.folded();
    let valid = view.valid_certificates_by_authority(id_scope, &name, now.ticks())?;
    let devices = view.devices_by_authority(id_scope, &name, now.ticks())?;
    let admitted = issuer.generations.admitted().map(|generation| {
        let of = |counts: &[(ids::Thumbprint, u64)]| {
            let mut counts = counts.iter();
            let found = counts.find(|(authority, _)| *authority == generation.thumbprint);
            found.map_or(0, |(_, count)| *count)
        };
        AuthorityUse {
            ca_certificate: generation.thumbprint,
            valid_certificates: of(&valid),
            devices: of(&devices),
            pinned: of(&pinned),
        }
    });
    Ok(admitted.collect())
}

/// Each with the CA that is rolled to.
enum Step {
    Start(NextAuthority),
    Finish(NextAuthority),
    Abandon(NextAuthority),
}

struct Roll {
    id_scope: String,
    issuer: IssuerName,
    step: Step,
    etag: Etag,
    now: Timestamp,
}

struct RollPlan {
    row: IssuerRow,
    issuer: IssuerRecord,
    slots: Option<SlotPlan>,
}

impl Unit for Roll {
    type Plan = RollPlan;
    type Output = IssuerRecord;
    type Error = RollError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<RollPlan, RollError> {
        let row = view.issuer(&self.id_scope, &self.issuer)?;
        let row = row.ok_or_else(|| RollError::NotFound(self.issuer.clone()))?;
        let mut issuer = record(view, row.clone())?;
        let before = issuer.generations.clone();
        issuer.generations = match &self.step {
            Step::Start(next) => self.started(&before, next)?,
            Step::Finish(next) => self.finished(&before, next)?,
            Step::Abandon(next) => self.abandoned(view, &before, next)?,
        };
        (issuer.etag, issuer.updated) = (self.etag.clone(), self.now);
        let (next, change) = match &self.step {
            Step::Start(next) => (next, Some(Change::Start)),
            Step::Finish(next) => (next, Some(Change::Finish)),
            // One that is rolled back has both in its groups still.
            Step::Abandon(next) => {
                let is_over = issuer.generations.next.is_none();
                (next, is_over.then_some(Change::Abandon))
            }
        };
        let slots = change.map(|change| {
            let roll = SlotRoll {
                id_scope: &self.id_scope,
                old: before.current.thumbprint,
                new: next,
                change,
                only: None,
                etag: &self.etag,
                now: self.now,
            };
            roll.decide(view)
        });
        Ok(RollPlan {
            row,
            issuer,
            slots: slots.transpose()?,
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: RollPlan) -> Result<IssuerRecord, StoreError> {
        update(tx, &self.id_scope, &plan.row, &plan.issuer)?;
        if let Some(slots) = plan.slots {
            slots.apply(tx, &self.id_scope)?;
        }
        Ok(plan.issuer)
    }
}

impl Roll {
    fn started(
        &self,
        before: &IssuerGenerations,
        next: &NextAuthority,
    ) -> Result<IssuerGenerations, RollError> {
        if before.next.is_some() {
            return Err(RollError::Rolls(self.issuer.clone()));
        }
        if before.has(&next.generation.thumbprint) {
            return Err(RollError::SameAuthority(self.issuer.clone()));
        }
        Ok(IssuerGenerations {
            next: Some(next.generation.clone()),
            ..before.clone()
        })
    }

    fn require_rolls(
        &self,
        before: &IssuerGenerations,
        next: &NextAuthority,
    ) -> Result<(), RollError> {
        match &before.next {
            Some(rolled) if *rolled == next.generation => Ok(()),
            _ => Err(RollError::DoesNotRoll(self.issuer.clone())),
        }
    }

    fn finished(
        &self,
        before: &IssuerGenerations,
        next: &NextAuthority,
    ) -> Result<IssuerGenerations, RollError> {
        self.require_rolls(before, next)?;
        let IssuerGenerations {
            current,
            mut previous,
            ..
        } = before.clone();
        previous.insert(0, current);
        Ok(IssuerGenerations {
            current: next.generation.clone(),
            next: None,
            previous,
        })
    }

    fn abandoned(
        &self,
        view: &View<'_>,
        before: &IssuerGenerations,
        next: &NextAuthority,
    ) -> Result<IssuerGenerations, RollError> {
        self.require_rolls(before, next)?;
        let authority = next.generation.thumbprint;
        let has_issued = view.has_issued(&self.id_scope, &self.issuer.folded(), &authority)?;
        Ok(match has_issued {
            true => IssuerGenerations {
                current: next.generation.clone(),
                next: Some(before.current.clone()),
                previous: before.previous.clone(),
            },
            false => IssuerGenerations {
                next: None,
                ..before.clone()
            },
        })
    }
}
