//! Certificates that issuers have issued: written, found, listed.

use std::sync::Arc;

use ids::{CertificateSerial, IssuerName, IssuerUserName, Thumbprint, Timestamp};
use registry::revocation::Revocations;
use registry::{BadContinuation, Continuation, ListError, Page, StorageError};
use serde::Serialize;
use store::audit::AuditStream;
use store::{
    IssuedCertificateRow, IssuedFilter, IssuedState, IssuerUserRow, Lock, StoreError, Tx, Unit,
    UserOwner, View,
};

use super::Provisioning;
use super::in_force::{proven_lock, require_in_force};
use super::issuers::generations;
use crate::issued::{EnterError, IssuedCertificate, IssuedQuery, IssuedRecord, Requester};

impl Provisioning {
    /// Writes a certificate that was signed, and takes one of its user's uses. It may be handed
    /// out once this returns.
    pub async fn enter_issued(
        &self,
        issued: Arc<IssuedCertificate>,
        now: Timestamp,
    ) -> Result<(), EnterError> {
        let enter = EnterIssued {
            id_scope: self.id_scope(),
            issuer: issued.issuer.folded(),
            username: issued.requester.username().map(IssuerUserName::folded),
            revocations: self.registry.revocations().clone(),
            issued,
            now,
        };
        self.registry.store().write_without_act(enter).await
    }

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

/// Writes a certificate that no registration writes with itself.
struct EnterIssued {
    id_scope: String,
    /// The issuer's name in lower case.
    issuer: String,
    /// The user's name in lower case.
    username: Option<String>,
    revocations: Arc<Revocations>,
    issued: Arc<IssuedCertificate>,
    now: Timestamp,
}

/// What a certificate costs its user.
struct EnterPlan {
    /// Row id of the issuer.
    issuer: i64,
    /// A user whose uses are counted.
    spend: Option<IssuerUserRow>,
}

impl Unit for EnterIssued {
    type Plan = EnterPlan;
    type Output = ();
    type Error = EnterError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let (id_scope, issuer) = (self.id_scope.as_str(), self.issuer.as_str());
        let mut locks = issued_locks(id_scope, &self.issued).to_vec();
        if let Requester::EstCertificate(proven) = &self.issued.requester {
            locks.extend(proven_lock(id_scope, proven));
        }
        if let Some(folded) = &self.username {
            locks.push(Lock::IssuerUser {
                id_scope,
                issuer,
                folded,
            });
        }
        locks
    }

    fn decide(&self, view: &View<'_>) -> Result<EnterPlan, EnterError> {
        let issuer = admitted_issuer(view, &self.id_scope, &self.issued)?;
        if let Requester::EstCertificate(proven) = &self.issued.requester {
            require_in_force(view, &self.revocations, &self.id_scope, proven, self.now)?;
        }
        Ok(EnterPlan {
            issuer,
            spend: self.user(view, issuer)?,
        })
    }

    fn apply(&self, tx: &Tx<'_>, plan: EnterPlan) -> Result<(), StoreError> {
        if let Some(user) = &plan.spend {
            let owner = UserOwner {
                id_scope: &self.id_scope,
                issuer: &self.issued.issuer,
                row: plan.issuer,
            };
            tx.spend_issuer_user(owner, user)?;
        }
        enter_issued(tx, &self.id_scope, &self.issued, self.now)
    }
}

impl EnterIssued {
    /// The user whose use this is, when uses are counted. It must still be the one that proved to
    /// have the password, and may not have expired.
    fn user(&self, view: &View<'_>, issuer: i64) -> Result<Option<IssuerUserRow>, EnterError> {
        let Requester::EstUser { name, version, .. } = &self.issued.requester else {
            return Ok(None);
        };
        let user = view.issuer_user(issuer, name)?;
        let user = user.filter(|user| user.etag == *version);
        let user = user.ok_or_else(|| EnterError::UserChanged(name.clone()))?;
        match (user.expires.map(Timestamp::from_ticks), user.uses_left) {
            (Some(at), _) if at <= self.now => Err(EnterError::UserExpired {
                name: name.clone(),
                at,
            }),
            (_, Some(0)) => Err(EnterError::UserSpent(name.clone())),
            (_, Some(_)) => Ok(Some(user)),
            (_, None) => Ok(None),
        }
    }
}

/// The row id of the issuer, whose CA that signed may still do so. It may while the issuer is the
/// same as when it signed; the CAs of another version are read.
pub(super) fn admitted_issuer(
    view: &View<'_>,
    id_scope: &str,
    issued: &IssuedCertificate,
) -> Result<i64, EnterError> {
    if let Some((id, version)) = view.issuer_version(id_scope, &issued.issuer)?
        && version == issued.issuer_version
    {
        return Ok(id);
    }
    let gone = || EnterError::IssuerGone(issued.issuer.clone());
    let issuer = view.issuer(id_scope, &issued.issuer)?.ok_or_else(gone)?;
    let generations = generations(view, &issuer)?;
    let mut admitted = generations.admitted();
    match admitted.any(|one| one.thumbprint == issued.authority) {
        true => Ok(issuer.id),
        false => Err(gone()),
    }
}

/// What must be held to write a certificate.
pub(super) fn issued_locks<'a>(id_scope: &'a str, issued: &IssuedCertificate) -> [Lock<'a>; 2] {
    let serial = issued.serial;
    let row = Lock::IssuedCertificate { id_scope, serial };
    [row, Lock::CertificateLog { id_scope }]
}

/// Lists a certificate and enters it into the audit, durable with what else `tx` writes.
pub(super) fn enter_issued(
    tx: &Tx<'_>,
    id_scope: &str,
    issued: &IssuedCertificate,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = IssuedCertificateRow {
        id: 0,
        issuer: issued.issuer.clone(),
        authority: issued.authority,
        serial: issued.serial,
        common_name: issued.common_name.clone(),
        thumbprint: issued.thumbprint,
        not_before: issued.not_before.ticks(),
        not_after: issued.not_after.ticks(),
        key_type: Some(issued.key_type.to_owned()),
        origin: issued.requester.origin(),
        username: issued.requester.username().cloned(),
        issued: now.ticks(),
        state: IssuedState::Valid,
        reason: None,
        changed: None,
    };
    tx.insert_issued_certificate(id_scope, &row, Some(&issued.der))?;
    let act = IssuedAct {
        kind: "certificate.issued",
        id_scope,
        registration_id: &issued.common_name,
        issuer: &issued.issuer,
        serial_number: issued.serial.to_string(),
        sha256_thumbprint: issued.thumbprint.to_string(),
        not_after_utc: issued.not_after,
        origin: row.origin.name(),
        username: row.username.as_ref(),
    };
    let body = serde_json::to_vec(&act)
        .map_err(|error| StoreError::damaged_document("certificate", error.to_string()))?;
    tx.audit(AuditStream::Decisions, now.ticks(), body)
}

/// What the audit says of a certificate.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IssuedAct<'a> {
    kind: &'static str,
    id_scope: &'a str,
    registration_id: &'a str,
    issuer: &'a IssuerName,
    serial_number: String,
    sha256_thumbprint: String,
    not_after_utc: Timestamp,
    origin: &'static str,
    username: Option<&'a IssuerUserName>,
}
