//! Revoking certificates of issuers, putting them on hold, and restoring them.

use std::sync::Arc;

use ids::{CertificateSerial, IdScope, IssuerName, Thumbprint, Timestamp};
use pki::{Certificate, RevocationReason};
use registry::revocation::{CertificateKey, OwnCertificate, Revocations};
use registry::{Change, Watchers};
use serde_json::json;
use store::{
    CertificateOrigin, IssuedCertificateRow, IssuedState, Lock, StoreError, Tx, Unit, View,
};

use super::Provisioning;
use super::act::Act;
use super::issued::record;
use super::issuers::{existing, generations};
use crate::issued::IssuedRecord;
use crate::revocation::{NotInForceCertificate, RevokeError, restored, revoked};

impl Provisioning {
    /// The first of some certificates that is not in force, by this service's issuers and the
    /// lists that it follows.
    pub fn not_in_force<'c>(
        &self,
        certificates: impl IntoIterator<Item = &'c Certificate>,
        now: Timestamp,
    ) -> Option<NotInForceCertificate> {
        let revocations = self.registry.revocations();
        if !revocations.is_in_use() {
            return None;
        }
        let service = self.service();
        let own = |id_scope: &IdScope| *id_scope == service.id_scope;
        certificates.into_iter().find_map(|certificate| {
            let key = CertificateKey::of(certificate);
            let cause = revocations.find(&key, now, own)?;
            let subject = certificate.subject();
            Some(NotInForceCertificate { subject, cause })
        })
    }

    /// Revokes a certificate of an issuer, or puts it on hold. A serial number that is not listed is
    /// revoked for each CA of the issuer: a certificate may have been lost from the list.
    pub async fn revoke_certificate(
        &self,
        issuer: &IssuerName,
        serial: CertificateSerial,
        reason: RevocationReason,
        now: Timestamp,
    ) -> Result<IssuedRecord, RevokeError> {
        self.change_state(
            Act::RevokeCertificate,
            issuer,
            serial,
            Wanted::Revoked(reason),
            now,
        )
        .await
    }

    /// Brings a certificate that is on hold back into force.
    pub async fn restore_certificate(
        &self,
        issuer: &IssuerName,
        serial: CertificateSerial,
        now: Timestamp,
    ) -> Result<IssuedRecord, RevokeError> {
        self.change_state(Act::RestoreCertificate, issuer, serial, Wanted::Valid, now)
            .await
    }

    pub(super) fn announce(&self) -> Announce {
        Announce {
            revocations: self.registry.revocations().clone(),
            watchers: self.registry.watchers().clone(),
        }
    }

    async fn change_state(
        &self,
        act: Act,
        issuer: &IssuerName,
        serial: CertificateSerial,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<IssuedRecord, RevokeError> {
        let change = ChangeState {
            id_scope: self.service().id_scope.clone(),
            issuer: issuer.clone(),
            serial,
            wanted,
            announce: self.announce(),
            now,
        };
        let target = format!("certificate {serial} of device issuer {issuer}");
        self.act_with_particulars(act, target, change).await
    }
}

/// What follows the commit of a unit. No unit holds the registry: the writer's thread, which drops
/// it, would wait for itself.
pub(super) struct Announce {
    pub(super) revocations: Arc<Revocations>,
    watchers: Arc<Watchers>,
}

impl Announce {
    /// What is revoked is another set than before.
    pub(super) fn tell(&self, tx: &Tx<'_>) {
        self.watchers.tell(tx, Change::Revocations);
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Revoked(RevocationReason),
    Valid,
}

/// A change of the state of the certificates of one serial number.
struct ChangeState {
    id_scope: IdScope,
    issuer: IssuerName,
    serial: CertificateSerial,
    wanted: Wanted,
    announce: Announce,
    now: Timestamp,
}

/// A certificate with the CA that signed it.
struct Step {
    row: IssuedCertificateRow,
    ca: Certificate,
    /// `None`: the row is to be inserted as it is.
    after: Option<IssuedState>,
}

enum Plan {
    /// All of them are as they shall be.
    Nothing(Box<IssuedCertificateRow>),
    Change(Vec<Step>),
}

impl ChangeState {
    /// The certificates of the issuer, also those that another issuer with the same CA issued.
    fn read(
        &self,
        view: &View<'_>,
        cas: &[Certificate],
    ) -> Result<Vec<IssuedCertificateRow>, RevokeError> {
        let found = view.issued_certificates(self.id_scope.as_str(), &self.serial)?;
        let of_issuer = |row: &IssuedCertificateRow| {
            row.issuer.folded() == self.issuer.folded()
                || cas.iter().any(|ca| ca.sha256() == row.authority)
        };
        Ok(found.into_iter().filter(of_issuer).collect())
    }

    /// The CA certificates of the issuer, the newest first.
    fn cas(&self, view: &View<'_>) -> Result<Vec<Certificate>, RevokeError> {
        let row = existing(view, self.id_scope.as_str(), &self.issuer)?;
        let generations = generations(view, &row)?;
        let first = |chain: &str| {
            let all = Certificate::parse_pem_bundle(chain);
            let all = all.map_err(|error| view.damaged("issuer", error))?;
            let first = all.into_iter().next();
            first.ok_or_else(|| view.damaged("issuer", "it has no certificate"))
        };
        let chains = generations.all().map(|one| first(&one.chain));
        Ok(chains.collect::<Result<_, StoreError>>()?)
    }

    fn step(
        &self,
        row: IssuedCertificateRow,
        cas: &[Certificate],
    ) -> Result<Option<Step>, RevokeError> {
        let (issuer, serial) = (row.issuer.clone(), self.serial);
        let reason = row.reason.as_deref();
        let after = match self.wanted {
            Wanted::Revoked(wanted) => revoked(row.state, reason, wanted),
            Wanted::Valid => restored(row.state, reason).map(|comes_back| match comes_back {
                true => Some(IssuedState::Valid),
                false => None,
            }),
        };
        let after = after.map_err(|reason| RevokeError::Final {
            issuer: issuer.clone(),
            serial,
            reason,
        })?;
        let Some(after) = after else { return Ok(None) };
        // One that was taken from the audit may not say its CA: the issuer of that time is gone.
        let ca = cas.iter().find(|ca| ca.sha256() == row.authority);
        let ca = ca.cloned();
        let ca = ca.ok_or(RevokeError::CaGone { issuer, serial })?;
        Ok(Some(Step {
            row,
            ca,
            after: Some(after),
        }))
    }

    /// A certificate that is not listed: nothing is known but its serial number.
    fn unlisted(&self, ca: &Certificate, reason: RevocationReason) -> Step {
        let row = IssuedCertificateRow {
            id: 0,
            issuer: self.issuer.clone(),
            authority: ca.sha256(),
            serial: self.serial,
            common_name: String::new(),
            thumbprint: Thumbprint::from_bytes([0; 32]),
            not_before: ca.not_before().ticks(),
            not_after: ca.not_after().ticks(),
            key_type: None,
            origin: CertificateOrigin::Operator,
            username: None,
            issued: self.now.ticks(),
            state: match reason {
                RevocationReason::CertificateHold => IssuedState::Held,
                _ => IssuedState::Revoked,
            },
            reason: Some(reason.name().to_owned()),
            changed: Some(self.now.ticks()),
        };
        Step {
            row,
            ca: ca.clone(),
            after: None,
        }
    }
}

impl Unit for ChangeState {
    type Plan = Plan;
    type Output = (IssuedRecord, registry::Particulars);
    type Error = RevokeError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = self.id_scope.as_str();
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Plan, RevokeError> {
        let cas = self.cas(view)?;
        let listed = self.read(view, &cas)?;
        let Some(first) = listed.first().cloned() else {
            return match self.wanted {
                Wanted::Revoked(reason) => {
                    let steps = cas.iter().map(|ca| self.unlisted(ca, reason));
                    Ok(Plan::Change(steps.collect()))
                }
                Wanted::Valid => Err(RevokeError::NotListed {
                    issuer: self.issuer.clone(),
                    serial: self.serial,
                }),
            };
        };
        let steps = listed.into_iter().map(|row| self.step(row, &cas));
        let steps: Vec<Option<Step>> = steps.collect::<Result<_, RevokeError>>()?;
        let steps: Vec<Step> = steps.into_iter().flatten().collect();
        match steps.is_empty() {
            true => Ok(Plan::Nothing(Box::new(first))),
            false => Ok(Plan::Change(steps)),
        }
    }

    fn apply(&self, tx: &Tx<'_>, plan: Plan) -> Result<Self::Output, StoreError> {
        let steps = match plan {
            Plan::Nothing(row) => return Ok((record(*row), self.particulars("unchanged"))),
            Plan::Change(steps) => steps,
        };
        let mut first = None;
        for step in steps {
            let row = self.write(tx, step)?;
            first.get_or_insert(row);
        }
        self.announce.tell(tx);
        let row = first.ok_or_else(|| tx.damaged("issued certificate", "there is none"))?;
        let state = row.state.name();
        Ok((record(row), self.particulars(state)))
    }
}

impl ChangeState {
    fn particulars(&self, state: &str) -> registry::Particulars {
        let reason = match self.wanted {
            Wanted::Revoked(reason) => Some(reason.name()),
            Wanted::Valid => None,
        };
        let mut particulars = registry::Particulars::new();
        particulars.insert("state".to_owned(), json!(state));
        particulars.insert("reason".to_owned(), json!(reason));
        particulars
    }

    fn write(&self, tx: &Tx<'_>, step: Step) -> Result<IssuedCertificateRow, StoreError> {
        let id_scope = self.id_scope.as_str();
        let Step { mut row, ca, after } = step;
        match after {
            None => tx.insert_issued_certificate(id_scope, &row, None)?,
            Some(after) => {
                let reason = match self.wanted {
                    Wanted::Revoked(reason) => Some(reason.name()),
                    Wanted::Valid => None,
                };
                // Another reason does not make it revoked later.
                let changed = match (row.state, after, row.changed) {
                    (IssuedState::Revoked, IssuedState::Revoked, Some(since)) => since,
                    _ => self.now.ticks(),
                };
                tx.update_issued_state(id_scope, &row, after, reason, changed)?;
                row.state = after;
                row.reason = reason.map(str::to_owned);
                row.changed = Some(changed);
            }
        }
        tx.put_revoking_ca_certificate(id_scope, &row.issuer, &row.authority, ca.der())?;
        let certificate = OwnCertificate {
            id_scope: self.id_scope.clone(),
            issuer: row.issuer.clone(),
            ca,
            serial: self.serial,
        };
        let (revocations, wanted) = (self.announce.revocations.clone(), self.wanted);
        let since = Timestamp::from_ticks(row.changed.unwrap_or_default());
        tx.after_commit(move || match wanted {
            Wanted::Revoked(reason) => revocations.revoke(certificate, since, reason),
            Wanted::Valid => revocations.restore(&certificate),
        });
        Ok(row)
    }
}
