//! Certificates for devices that are connected to their hub.

use std::sync::Arc;

use ids::{Identity, IssuerName, RegistrationId, Timestamp};
use registry::revocation::Revocations;
use registry::{DeviceWriter, StorageError, device_certificates};
use store::{
    DeviceLocation, IdentityRow, IssuedCertificateRow, IssuedFilter, IssuedState, Lock, StoreError,
    Tx, Unit, View,
};
use wire::service_api::identity::CertificateThumbprint;

use super::Provisioning;
use super::in_force::{proven_lock, require_in_force};
use super::issued::{admitted_issuer, enter_issued, issued_locks, record};
use crate::renewal::{IssuedToDevice, RegisteredDevice, Renewal, RenewalError};

/// Certificates of one common name that are read at once.
const PAGE: usize = 1000;

impl Provisioning {
    /// The registration of a hub device, of any service.
    pub fn registered_device(
        &self,
        device: &Identity,
    ) -> Result<Option<RegisteredDevice>, StorageError> {
        self.registry.store().read(|view| {
            let owner = view.registration_of_device(&device.hub, &device.device)?;
            Ok(owner.map(|owner| RegisteredDevice {
                id_scope: owner.id_scope,
                registration_id: owner.registration_id,
            }))
        })
    }

    /// The certificates of an issuer that open the hub for a device. The one that was issued last
    /// comes last.
    pub fn issued_to_device(
        &self,
        issuer: &IssuerName,
        registration_id: &RegistrationId,
        device: &Identity,
    ) -> Result<Vec<IssuedToDevice>, StorageError> {
        let id_scope = self.id_scope();
        let at = DeviceLocation {
            hub: device.hub.clone(),
            device_id: device.device.clone(),
        };
        self.registry.store().read(|view| {
            let Some((_, certificates)) = device_certificates(view, &at)? else {
                return Ok(Vec::new());
            };
            let opens = |row: &IssuedCertificateRow| {
                row.state == IssuedState::Valid
                    && certificates.contains(&CertificateThumbprint::Sha256(row.thumbprint))
            };
            let rows = of_subject(view, (&id_scope, issuer), registration_id)?.into_iter();
            let with_der = |row: IssuedCertificateRow| {
                let der = view.issued_der(row.id)?;
                let record = record(row);
                Ok(IssuedToDevice { record, der })
            };
            rows.filter(opens).map(with_der).collect()
        })
    }

    /// Writes a certificate for a connected device: its hub accepts it from now on, and the one that
    /// the device is connected with.
    pub async fn renew(&self, renewal: Renewal, now: Timestamp) -> Result<(), RenewalError> {
        let renew = RenewCertificate {
            id_scope: self.id_scope(),
            at: DeviceLocation {
                hub: renewal.hub.clone(),
                device_id: renewal.device.clone(),
            },
            devices: self.registry.device_writer(now),
            revocations: self.registry.revocations().clone(),
            renewal,
            now,
        };
        self.registry.store().write_without_act(renew).await
    }
}

/// All certificates of a common name.
fn of_subject(
    view: &View<'_>,
    (id_scope, issuer): (&str, &IssuerName),
    registration_id: &RegistrationId,
) -> Result<Vec<IssuedCertificateRow>, StoreError> {
    let issuer = issuer.folded();
    let filter = IssuedFilter {
        id_scope,
        issuer: &issuer,
        state: None,
        expires_from: i64::MIN,
        expires_before: i64::MAX,
    };
    let subject = registration_id.as_str().to_lowercase();
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = view.issued_by_subject(&filter, Some(&subject), ("", after), PAGE)?;
        let is_last = page.len() <= PAGE;
        after = page.last().map_or(after, |row| row.id);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

struct RenewCertificate {
    id_scope: String,
    at: DeviceLocation,
    devices: DeviceWriter,
    revocations: Arc<Revocations>,
    renewal: Renewal,
    now: Timestamp,
}

impl Unit for RenewCertificate {
    type Plan = IdentityRow;
    type Output = ();
    type Error = RenewalError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let mut locks = vec![Lock::device(&self.at.hub, &self.at.device_id)];
        locks.extend(issued_locks(&self.id_scope, &self.renewal.issued));
        locks.extend(proven_lock(&self.id_scope, &self.renewal.presented));
        locks
    }

    /// The device may have been deleted, got other credentials or lost its certificate since it
    /// asked.
    fn decide(&self, view: &View<'_>) -> Result<IdentityRow, RenewalError> {
        let found = device_certificates(view, &self.at)?;
        let (row, certificates) = found.ok_or(RenewalError::CredentialsChanged)?;
        let presented = CertificateThumbprint::Sha256(self.renewal.presented.leaf);
        let is_known = certificates.contains(&presented) && row.enabled;
        if !is_known {
            return Err(RenewalError::CredentialsChanged);
        }
        let presented = &self.renewal.presented;
        require_in_force(view, &self.revocations, &self.id_scope, presented, self.now)?;
        admitted_issuer(view, &self.id_scope, &self.renewal.issued)?;
        Ok(row)
    }

    fn apply(&self, tx: &Tx<'_>, row: IdentityRow) -> Result<(), StoreError> {
        let Renewal {
            presented, issued, ..
        } = &self.renewal;
        enter_issued(tx, &self.id_scope, issued, self.now)?;
        self.devices
            .renew_certificate(tx, row, issued.thumbprint, presented.leaf)
    }
}
