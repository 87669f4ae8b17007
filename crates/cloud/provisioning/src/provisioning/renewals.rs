//! Certificates for devices that are connected to their hub.

use std::sync::Arc;

use ids::{Identity, IssuerName, RegistrationId, Thumbprint, Timestamp};
use registry::revocation::Revocations;
use registry::{DeviceWriter, StorageError, device_certificates};
use store::{
    DeviceLocation, DeviceOwner, IdentityRow, IssuedCertificateRow, Lock, StoreError, Tx, Unit,
    View,
};
use wire::service_api::identity::CertificateThumbprint;

use super::Provisioning;
use super::in_force::{proven_lock, require_in_force};
use super::issued::{admitted_issuer, enter_issued, issued_locks, record};
use crate::renewal::{IssuedToDevice, Renewal, RenewalError};

impl Provisioning {
    /// The registration of a hub device, of any service.
    pub fn registered_device(
        &self,
        device: &Identity,
    ) -> Result<Option<DeviceOwner>, StorageError> {
        let registration =
            |view: &View<'_>| Ok(view.registration_of_device(&device.hub, &device.device)?);
        self.registry.store().read(registration)
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
            let with_der = |row: IssuedCertificateRow| {
                let der = view.issued_der(row.id)?;
                let record = record(row);
                Ok(IssuedToDevice { record, der })
            };
            let subject = (issuer, registration_id.as_str());
            let rows = view.valid_issued(&id_scope, subject, thumbprints(&certificates))?;
            rows.into_iter().map(with_der).collect()
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

/// The SHA-256 thumbprints that open a hub for a device.
fn thumbprints(certificates: &[CertificateThumbprint]) -> [Option<Thumbprint>; 2] {
    let sha256 = |certificate: &CertificateThumbprint| match certificate {
        CertificateThumbprint::Sha256(sha256) => Some(*sha256),
        CertificateThumbprint::Sha1(_) => None,
    };
    [0, 1].map(|at| certificates.get(at).and_then(sha256))
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
