//! Certificates that versions without a list of them issued: the audit has their serial numbers.

use std::collections::HashMap;

use ids::{CertificateSerial, IssuerName, Thumbprint, Timestamp};
use registry::StorageError;
use serde::Deserialize;
use store::audit::{AuditStream, Record, records};
use store::{
    CertificateOrigin, IssuedCertificateRow, IssuedState, Lock, StoreError, TakeoverRow, Tx, Unit,
    View,
};

use super::Provisioning;

/// Bytes of the audit that one transaction looks at.
const AT_ONCE: usize = 4 << 20;
const KIND: &[u8] = br#""certificate.issued""#;
/// The CA of a certificate whose issuer was deleted.
const UNKNOWN: Thumbprint = Thumbprint::from_bytes([0; 32]);

impl Provisioning {
    /// Lists the certificates that an earlier version issued. It goes on where it was interrupted,
    /// and costs one read when it is over.
    pub(super) async fn take_over_certificates(&self) -> Result<(), StorageError> {
        let begun = |view: &View<'_>| view.certificate_takeover();
        if self
            .registry
            .store()
            .read::<_, StoreError>(begun)?
            .is_none()
        {
            return Ok(());
        }
        let mut taken = 0;
        while let Some(some) = self.registry.store().write_without_act(TakeOver).await? {
            taken += some;
        }
        tracing::info!(
            certificates = taken,
            "{taken} certificates that an earlier version issued were taken from the audit"
        );
        Ok(())
    }
}

/// What the audit of an earlier version says of a certificate.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    kind: String,
    id_scope: String,
    registration_id: String,
    issuer: IssuerName,
    serial_number: CertificateSerial,
    sha256_thumbprint: Thumbprint,
    not_after_utc: Timestamp,
}

/// Takes over what some blocks of the audit have.
struct TakeOver;

struct TakeOverPlan {
    before: TakeoverRow,
    next: u64,
    rows: Vec<(String, IssuedCertificateRow)>,
}

impl Unit for TakeOver {
    /// `None` when it is over.
    type Plan = Option<TakeOverPlan>;
    /// How many were taken.
    type Output = Option<usize>;
    type Error = StorageError;

    fn locks(&self) -> Vec<Lock<'_>> {
        vec![Lock::Directory]
    }

    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, StorageError> {
        let Some(before) = view.certificate_takeover()? else {
            return Ok(None);
        };
        let mut authorities = Authorities::default();
        let (mut next, mut bytes, mut rows) = (before.next, 0, Vec::new());
        while bytes < AT_ONCE && next <= before.until {
            let block = view.audit_block_from(AuditStream::Decisions, next)?;
            let Some(block) = block.filter(|block| block.first <= before.until) else {
                // What an earlier version wrote ends here.
                next = before.until.saturating_add(1);
                break;
            };
            bytes += block.records.len();
            next = block.first.saturating_add(1);
            // A block that is damaged is the audit's to report; what is whole of it is taken.
            for record in records(&block.records).map_while(Result::ok) {
                if let Some(issued) = read(&record) {
                    let authority = authorities.of(view, &issued, record.time)?;
                    rows.push(row(issued, authority, record.time));
                }
            }
        }
        Ok(Some(TakeOverPlan { before, next, rows }))
    }

    fn apply(&self, tx: &Tx<'_>, plan: Self::Plan) -> Result<Option<usize>, StoreError> {
        let Some(TakeOverPlan { before, next, rows }) = plan else {
            return Ok(None);
        };
        let mut taken = 0;
        for (id_scope, row) in &rows {
            taken += usize::from(tx.insert_taken_certificate(id_scope, row)?);
        }
        tx.advance_certificate_takeover(before, next)?;
        Ok(Some(taken))
    }
}

fn read(record: &Record<'_>) -> Option<Issued> {
    // Most decisions are about registrations: they are not parsed.
    if !record.body.windows(KIND.len()).any(|part| part == KIND) {
        return None;
    }
    let issued: Issued = serde_json::from_slice(record.body).ok()?;
    (issued.kind == "certificate.issued").then_some(issued)
}

fn row(issued: Issued, authority: Thumbprint, time: i64) -> (String, IssuedCertificateRow) {
    let row = IssuedCertificateRow {
        id: 0,
        issuer: issued.issuer,
        authority,
        serial: issued.serial_number,
        common_name: issued.registration_id,
        thumbprint: issued.sha256_thumbprint,
        // The audit does not have it.
        not_before: time,
        not_after: issued.not_after_utc.ticks(),
        key_type: None,
        origin: CertificateOrigin::Audit,
        username: None,
        issued: time,
        state: IssuedState::Valid,
        reason: None,
        changed: None,
    };
    (issued.id_scope, row)
}

/// The CAs of issuers, which kept theirs until there was this list. An issuer that is younger than
/// a certificate did not issue it.
#[derive(Default)]
struct Authorities(HashMap<(String, String), Option<(Thumbprint, i64)>>);

impl Authorities {
    fn of(
        &mut self,
        view: &View<'_>,
        issued: &Issued,
        time: i64,
    ) -> Result<Thumbprint, StoreError> {
        let key = (issued.id_scope.clone(), issued.issuer.folded());
        let known = match self.0.get(&key) {
            Some(known) => *known,
            None => {
                let found = view.issuer(&issued.id_scope, &issued.issuer)?;
                let found = found.map(|row| (row.thumbprint, row.created));
                self.0.insert(key, found);
                found
            }
        };
        Ok(match known {
            Some((authority, created)) if created <= time => authority,
            _ => UNKNOWN,
        })
    }
}
