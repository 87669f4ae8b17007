//! An enrollment that is written while an issuer rolls, and names its old CA alone, admits the new
//! one from then on like those that named it before.

use ids::{Etag, IssuerName, Timestamp};
use pki::{Certificate, PemError};
use registry::StorageError;
use store::{EnrollmentKey, Lock, StoreError, Tx, Unit, View};

use super::slots::{Change, SlotPlan, SlotRoll};
use crate::enrollment::EnrollmentRecord;
use crate::issuer::IssuerRecord;
use crate::provisioning::Provisioning;
use crate::provisioning::act::Act;
use crate::provisioning::issuers::record;
use crate::roll::{NextAuthority, RollError};
use crate::{IssuerGeneration, describe};

impl NextAuthority {
    /// A CA by its chain, PEM.
    pub fn of(chain: &[Certificate]) -> Result<Self, PemError> {
        let first = chain.first().ok_or(PemError::NoCertificate)?;
        Ok(Self {
            generation: IssuerGeneration {
                thumbprint: first.sha256(),
                chain: chain.iter().map(Certificate::to_pem).collect(),
            },
            der: first.der().to_vec(),
            subject: first.subject_key().to_vec(),
            info: describe(first),
        })
    }
}

impl Provisioning {
    /// The issuer that goes over to another CA which an enrollment does not admit, although it
    /// names the present one.
    pub fn roll_to_join(
        &self,
        enrollment: &EnrollmentRecord,
    ) -> Result<Option<IssuerName>, StorageError> {
        let own = enrollment.certificates.iter().map(|one| one.thumbprint);
        let named = enrollment.ca_certificates.iter();
        let named = named.map(|one| pki::sha256(&one.der));
        let cas: Vec<_> = own.chain(named).collect();
        if cas.is_empty() {
            return Ok(None);
        }
        let lacks_next = |issuer: &IssuerRecord| {
            let generations = &issuer.generations;
            let next = generations.next.as_ref();
            next.is_some_and(|next| {
                cas.contains(&generations.current.thumbprint) && !cas.contains(&next.thumbprint)
            })
        };
        let found = self.issuers()?.into_iter().find(lacks_next);
        Ok(found.map(|issuer| issuer.name))
    }

    /// Has an enrollment admit the CA that an issuer is rolled to, beside the present one. Refused
    /// when its other slot is taken.
    pub async fn join_roll(
        &self,
        key: &EnrollmentKey,
        issuer: &IssuerName,
        now: Timestamp,
    ) -> Result<(), RollError> {
        let join = JoinRoll {
            id_scope: self.id_scope(),
            key: key.clone(),
            issuer: issuer.clone(),
            etag: self.registry.fresh_etag(),
            now,
        };
        self.act(Act::PutEnrollment, key, join).await
    }
}

struct JoinRoll {
    id_scope: String,
    key: EnrollmentKey,
    issuer: IssuerName,
    etag: Etag,
    now: Timestamp,
}

impl Unit for JoinRoll {
    type Plan = SlotPlan;
    type Output = ();
    type Error = RollError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<SlotPlan, RollError> {
        let row = view.issuer(&self.id_scope, &self.issuer)?;
        let row = row.ok_or_else(|| RollError::NotFound(self.issuer.clone()))?;
        let generations = record(view, row)?.generations;
        let next = generations.next.as_ref();
        let next = next.ok_or_else(|| RollError::DoesNotRoll(self.issuer.clone()))?;
        let chain = view.decoded("issuer", Certificate::parse_pem_bundle(&next.chain))?;
        let next = view.decoded("issuer", NextAuthority::of(&chain))?;
        let roll = SlotRoll {
            id_scope: &self.id_scope,
            old: generations.current.thumbprint,
            new: &next,
            change: Change::Start,
            only: Some(&self.key),
            etag: &self.etag,
            now: self.now,
        };
        roll.decide(view)
    }

    fn apply(&self, tx: &Tx<'_>, plan: SlotPlan) -> Result<(), StoreError> {
        plan.apply(tx, &self.id_scope)
    }
}
