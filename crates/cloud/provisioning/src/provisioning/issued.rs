//! Certificates that issuers have issued: found, listed. They are written by `enter`.

use ids::{CertificateSerial, IssuerName, Thumbprint, Timestamp};
use registry::{BadContinuation, Continuation, ListError, Page, StorageError};
use store::{IssuedCertificateRow, IssuedFilter, IssuedState, View};

use super::Provisioning;
use crate::issued::{IssuedQuery, IssuedRecord};

mod enter;
mod prune;

pub(super) use enter::{admitted_issuer, enter_issued, issued_locks};

impl Provisioning {
    /// The certificates of a serial number, of all issuers of the service.
    pub fn issued_certificates(
        &self,
        serial: &CertificateSerial,
    ) -> Result<Vec<IssuedRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.issued_certificates(&id_scope, serial)?;
            Ok(found.into_iter().map(record).collect())
        })
    }

    /// The certificate of a thumbprint, which its serial number finds.
    pub fn issued_certificate(
        &self,
        serial: &CertificateSerial,
        thumbprint: &Thumbprint,
    ) -> Result<Option<IssuedRecord>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            let found = view.issued_certificate(&id_scope, serial, thumbprint)?;
            Ok(found.map(record))
        })
    }

    /// The DER of a certificate; `None` when it is not there, or was taken from the audit.
    pub fn issued_der(
        &self,
        serial: &CertificateSerial,
        thumbprint: &Thumbprint,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let id_scope = self.id_scope();
        self.registry.store().read(|view| {
            match view.issued_certificate(&id_scope, serial, thumbprint)? {
                Some(row) => Ok(view.issued_der(row.id)?),
                None => Ok(None),
            }
        })
    }

    /// How many valid certificates of an issuer end from now on and before each of some times.
    pub async fn issued_expiring<const N: usize>(
        &self,
        issuer: &IssuerName,
        now: Timestamp,
        before: [Timestamp; N],
    ) -> Result<[u64; N], StorageError> {
        let (id_scope, issuer) = (self.id_scope(), issuer.folded());
        let count = move |view: &View<'_>| {
            let mut counts = [0; N];
            for (count, end) in counts.iter_mut().zip(before) {
                *count = view.issued_expiring(&IssuedFilter {
                    id_scope: &id_scope,
                    issuer: &issuer,
                    state: None,
                    expires_from: now.ticks(),
                    expires_before: end.ticks(),
                })?;
            }
            Ok::<_, StorageError>(counts)
        };
        self.registry.store().scan(count).await
    }

    /// Lists the certificates of an issuer: by expiry when a time is asked for, those that are
    /// held or revoked as they were issued, else by common name.
    pub async fn list_issued(
        &self,
        issuer: &IssuerName,
        query: IssuedQuery,
    ) -> Result<Page<IssuedRecord>, ListError> {
        let (id_scope, issuer) = (self.id_scope(), issuer.folded());
        let order = Order::of(&query);
        let after = order.position(query.after.as_ref())?;
        let limit = query.limit.clamp(1, 1000);
        let scan = move |view: &View<'_>| {
            let filter = IssuedFilter {
                id_scope: &id_scope,
                issuer: &issuer,
                state: query.state,
                expires_from: query.expires_from.map_or(i64::MIN, Timestamp::ticks),
                expires_before: query.expires_before.map_or(i64::MAX, Timestamp::ticks),
            };
            let subject = query.subject.as_ref().map(|name| name.to_lowercase());
            let (key, id) = (after.key.as_str(), after.id);
            let found = match order {
                Order::Subject => {
                    view.issued_by_subject(&filter, subject.as_deref(), (key, id), limit)?
                }
                Order::Expiry => {
                    let expiry = key.parse().unwrap_or(i64::MIN);
                    view.issued_by_expiry(&filter, (expiry, id), limit)?
                }
                Order::Issued => view.issued_not_valid(&filter, id, limit)?,
            };
            Ok::<_, StorageError>(found)
        };
        let rows = self.registry.store().scan(scan).await?;
        let page = Page::cut(rows, limit, |row| order.after(row));
        Ok(page.keep(|row| Some(record(row))))
    }
}

/// The order of a list, which decides what its continuations say.
#[derive(Debug, Clone, Copy)]
enum Order {
    Subject,
    Expiry,
    Issued,
}

struct Position {
    key: String,
    id: i64,
}

impl Order {
    fn of(query: &IssuedQuery) -> Self {
        let not_valid = query.state.is_some_and(|state| state != IssuedState::Valid);
        let expires = query.expires_before.is_some() || query.expires_from.is_some();
        match (&query.subject, not_valid, expires) {
            (Some(_), ..) => Self::Subject,
            (None, true, _) => Self::Issued,
            (None, false, true) => Self::Expiry,
            (None, false, false) => Self::Subject,
        }
    }

    fn after(self, row: &IssuedCertificateRow) -> Continuation {
        let id = row.id;
        Continuation::after(&match self {
            Self::Subject => format!("{id} {}", row.common_name.to_lowercase()),
            Self::Expiry => format!("{id} {}", row.not_after),
            Self::Issued => format!("{id} "),
        })
    }

    fn position(self, after: Option<&Continuation>) -> Result<Position, BadContinuation> {
        let Some(after) = after else {
            // Nothing comes before an empty name; `notAfter` is a number.
            let key = match self {
                Self::Expiry => i64::MIN.to_string(),
                Self::Subject | Self::Issued => String::new(),
            };
            return Ok(Position { key, id: 0 });
        };
        let (id, key) = after.key().split_once(' ').ok_or(BadContinuation)?;
        let is_good = match self {
            Self::Expiry => key.parse::<i64>().is_ok(),
            Self::Subject | Self::Issued => true,
        };
        let id = id.parse().map_err(|_| BadContinuation)?;
        let position = is_good.then(|| Position {
            key: key.to_owned(),
            id,
        });
        position.ok_or(BadContinuation)
    }
}

pub(super) fn record(row: IssuedCertificateRow) -> IssuedRecord {
    IssuedRecord {
        issuer: row.issuer,
        authority: row.authority,
        serial: row.serial,
        common_name: row.common_name,
        thumbprint: row.thumbprint,
        not_before: Timestamp::from_ticks(row.not_before),
        not_after: Timestamp::from_ticks(row.not_after),
        key_type: row.key_type,
        origin: row.origin,
        username: row.username,
        issued: Timestamp::from_ticks(row.issued),
        state: row.state,
        reason: row.reason,
        changed: row.changed.map(Timestamp::from_ticks),
    }
}
