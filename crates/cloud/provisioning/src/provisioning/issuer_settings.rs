//! What may change of an issuer that is there.

use ids::{IssuerName, Timestamp};
use store::{Lock, unit};
use wire::muster_api::issuer::IssuerUpdate;

use super::Provisioning;
use super::act::Act;
use super::issuers::{existing, record, update};
use crate::issuance::{IssuanceError, IssuanceName};
use crate::issuer::IssuerRecord;

impl Provisioning {
    /// Changes an issuer. Its CA, profile and name stay.
    pub async fn update_issuer(
        &self,
        name: &IssuerName,
        change: IssuerUpdate,
        now: Timestamp,
    ) -> Result<IssuerRecord, IssuanceError> {
        let (etag, issuer) = (self.registry.fresh_etag(), name.clone());
        let write = unit(
            self.id_scope(),
            |id_scope| vec![Lock::Service { id_scope }],
            move |id_scope, view| {
                let row = existing(view, id_scope, &issuer)?;
                let mut written = record(view, row.clone())?;
                written.settings.pinned_certificates = change.pinned_certificates;
                (written.etag, written.updated) = (etag.clone(), now);
                Ok::<_, IssuanceError>((row, written))
            },
            |id_scope, tx, (row, written)| {
                update(tx, id_scope, &row, &written)?;
                Ok(written)
            },
        );
        let target = IssuanceName::Issuer(name.clone());
        self.act(Act::UpdateIssuer, target, write).await
    }
}
