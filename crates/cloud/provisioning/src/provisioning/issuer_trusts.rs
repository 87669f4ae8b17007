//! The CA certificates whose devices may have certificates issued by an issuer.

use ids::{CertificateName, IssuerName, Timestamp};
use store::{CaCertificateState, IssuerRow, Lock, StoreError, Tx, Unit, View};

use super::Provisioning;
use super::act::Act;
use super::issuers::{existing, record, update};
use crate::issuance::IssuanceError;
use crate::issuer::IssuerRecord;
use crate::limits::MAX_ISSUER_TRUSTS;

impl Provisioning {
    /// Lets devices with a certificate under an uploaded, verified CA certificate have certificates
    /// issued, each for its own name.
    pub async fn add_issuer_trust(
        &self,
        issuer: &IssuerName,
        certificate: &CertificateName,
        now: Timestamp,
    ) -> Result<IssuerRecord, IssuanceError> {
        self.change_trust(issuer, certificate, Change::Add, now)
            .await
    }

    /// Takes a CA certificate from those that an issuer trusts; it need not exist any more.
    pub async fn remove_issuer_trust(
        &self,
        issuer: &IssuerName,
        certificate: &CertificateName,
        now: Timestamp,
    ) -> Result<IssuerRecord, IssuanceError> {
        self.change_trust(issuer, certificate, Change::Remove, now)
            .await
    }

    async fn change_trust(
        &self,
        issuer: &IssuerName,
        certificate: &CertificateName,
        change: Change,
        now: Timestamp,
    ) -> Result<IssuerRecord, IssuanceError> {
        let write = ChangeTrust {
            id_scope: self.id_scope(),
            issuer: issuer.clone(),
            certificate: certificate.clone(),
            change,
            etag: self.registry.fresh_etag(),
            now,
        };
        let target = format!("CA certificate {certificate} of device issuer {issuer}");
        self.act(Act::SetIssuerTrusts, target, write).await
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

struct ChangeTrust {
    id_scope: String,
    issuer: IssuerName,
    certificate: CertificateName,
    change: Change,
    etag: ids::Etag,
    now: Timestamp,
}

impl Unit for ChangeTrust {
    /// The row that was read, and what it becomes.
    type Plan = (IssuerRow, IssuerRecord);
    type Output = IssuerRecord;
    type Error = IssuanceError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let id_scope = &self.id_scope;
        vec![Lock::Service { id_scope }]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, IssuanceError> {
        let row = existing(view, &self.id_scope, &self.issuer)?;
        let mut issuer = record(view, row.clone())?;
        let is_listed = issuer.trusts.contains(&self.certificate);
        match self.change {
            Change::Add => {
                self.require_verified(view)?;
                if issuer.trusts.len() >= MAX_ISSUER_TRUSTS && !is_listed {
                    return Err(IssuanceError::TooManyTrusts {
                        issuer: self.issuer.clone(),
                        limit: MAX_ISSUER_TRUSTS,
                    });
                }
                if !is_listed {
                    issuer.trusts.push(self.certificate.clone());
                }
            }
            Change::Remove if is_listed => issuer.trusts.retain(|one| *one != self.certificate),
            Change::Remove => return Err(self.not_trusted()),
        }
        issuer.trusts.sort_by_key(CertificateName::folded);
        (issuer.etag, issuer.updated) = (self.etag.clone(), self.now);
        Ok((row, issuer))
    }

    fn apply(&self, tx: &Tx<'_>, (row, issuer): Self::Plan) -> Result<IssuerRecord, StoreError> {
        update(tx, &self.id_scope, &row, &issuer)?;
        Ok(issuer)
    }
}

impl ChangeTrust {
    fn require_verified(&self, view: &View<'_>) -> Result<(), IssuanceError> {
        let found = view.ca_certificate(&self.id_scope, &self.certificate)?;
        match found.map(|row| row.state) {
            Some(CaCertificateState::Verified) => Ok(()),
            Some(CaCertificateState::Unverified) => Err(IssuanceError::TrustUnverified {
                certificate: self.certificate.clone(),
            }),
            Some(CaCertificateState::Withdrawn) | None => Err(self.not_trusted()),
        }
    }

    fn not_trusted(&self) -> IssuanceError {
        IssuanceError::NoSuchTrust {
            issuer: self.issuer.clone(),
            certificate: self.certificate.clone(),
        }
    }
}
