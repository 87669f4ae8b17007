//! Which certificates are revoked: read when the directory is opened, asked by all.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use ids::{HubName, IdScope, Timestamp};
use pki::{Certificate, RevocationReason, UnverifiedCrl};
use store::{RevocationListRow, StoreError, View};

use super::Registry;
use crate::error::StorageError;
use crate::revocation::{
    CertificateKey, ListAge, ListSettings, ListedSerials, NotInForce, OwnCertificate,
    RevocationList, Revocations,
};

impl Registry {
    /// What is revoked or on hold, of all services.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.inner.revocations
    }

    /// Why certificates that open a hub are not in force: by the lists and issuers of the services
    /// that are linked to it.
    pub fn not_in_force_at_hub(
        &self,
        hub: &HubName,
        certificates: impl IntoIterator<Item = CertificateKey>,
        now: Timestamp,
    ) -> Result<Option<NotInForce>, StorageError> {
        let revocations = self.revocations();
        if !revocations.is_in_use() {
            return Ok(None);
        }
        let failed = Cell::new(None);
        let linked = |id_scope: &IdScope| {
            let read = |view: &View<'_>| view.is_hub_linked_to(id_scope.as_str(), hub);
            let linked = self.store().read(read).map_err(StoreError::into);
            linked.unwrap_or_else(|error: StorageError| {
                failed.set(Some(error));
                true
            })
        };
        let found = certificates
            .into_iter()
            .find_map(|certificate| revocations.find(&certificate, now, linked));
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }
}

/// What was revoked before the directory was opened.
pub(super) fn read(view: &View<'_>) -> Result<Revocations, StorageError> {
    let revocations = Revocations::default();
    read_own(view, &revocations)?;
    for (id_scope, row) in view.all_revocation_lists()? {
        revocations.put_list(Arc::new(read_list(view, id_scope, &row)?));
    }
    Ok(revocations)
}

fn read_own(view: &View<'_>, revocations: &Revocations) -> Result<(), StorageError> {
    let mut cas = HashMap::new();
    for row in view.revoking_ca_certificates()? {
        let ca = Certificate::from_der(&row.der);
        let ca = ca.map_err(|error| view.damaged("CA certificate", error))?;
        cas.insert((row.id_scope, row.issuer.folded(), row.authority), ca);
    }
    for row in view.all_revoked()? {
        let key = (row.id_scope, row.issuer.folded(), row.authority);
        let missing = || view.damaged("revoked certificate", "its CA certificate is not there");
        let ca = cas.get(&key).cloned().ok_or_else(missing)?;
        let reason = row.reason.as_deref().and_then(RevocationReason::parse);
        let since = Timestamp::from_ticks(row.changed.unwrap_or_default());
        let certificate = OwnCertificate {
            id_scope: key.0,
            issuer: row.issuer,
            ca,
            serial: row.serial,
        };
        revocations.revoke(certificate, since, reason.unwrap_or_default());
    }
    Ok(())
}

/// A list that cannot be read is as one that is not there: its policy says what becomes of
/// certificates then, and the next upload or fetch replaces it.
fn read_list(
    view: &View<'_>,
    id_scope: IdScope,
    row: &RevocationListRow,
) -> Result<RevocationList, StorageError> {
    let damaged = |error| view.damaged("CA certificate of a revocation list", error);
    let settings = ListSettings {
        id_scope,
        name: row.name.clone(),
        ca: Certificate::from_der(&row.ca).map_err(damaged)?,
        stale: row.stale,
    };
    let der = view.revocation_list_der(row.id)?;
    let (serials, age) = match der.map(|der| serials(der, &settings.ca)) {
        None => (ListedSerials::default(), ListAge::Absent),
        Some(Ok(read)) => read,
        Some(Err(cause)) => {
            tracing::error!(
                revocation_list = %row.name,
                "the stored revocation list {} cannot be read: {cause}",
                row.name
            );
            (ListedSerials::default(), ListAge::Absent)
        }
    };
    Ok(RevocationList {
        settings,
        serials: Arc::new(serials),
        age,
    })
}

/// It was verified before it was stored; that again is cheap beside sorting it.
fn serials(der: Vec<u8>, ca: &Certificate) -> Result<(ListedSerials, ListAge), String> {
    let list = UnverifiedCrl::read(der).map_err(|error| error.to_string())?;
    let list = list
        .verify_at_any_time(ca)
        .map_err(|error| error.to_string())?;
    let serials = ListedSerials::new(list.entries()).map_err(|error| error.to_string())?;
    Ok((serials, ListAge::of(list.next_update())))
}
