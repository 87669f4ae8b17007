//! Certificates for devices that are connected to their hub.

use std::sync::Arc;

use ids::{Etag, Identity, IssuerName, RegistrationId, Thumbprint, Timestamp};
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
use super::pins::{PinPlan, PinnedDevice};
use crate::issued::EnterError;
use crate::pins::Proven;
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
            proven: Proven {
                leaf: renewal.presented.leaf,
                successor: Some(renewal.issued.clone()),
            },
            etag: self.registry.fresh_etag(),
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
    proven: Proven,
    /// The version of the device's enrollment when that is written.
    etag: Etag,
    renewal: Renewal,
    now: Timestamp,
}

impl RenewCertificate {
    fn pinned(&self) -> PinnedDevice<'_> {
        PinnedDevice {
            id_scope: &self.id_scope,
            registration_id: &self.renewal.registration_id,
            proven: &self.proven,
            etag: &self.etag,
            now: self.now,
        }
    }
}

impl Unit for RenewCertificate {
    /// The device, and what becomes of the certificates that its enrollment pins.
    type Plan = (IdentityRow, Option<PinPlan>);
    type Output = ();
    type Error = RenewalError;

    fn locks(&self) -> Vec<Lock<'_>> {
        let mut locks = vec![Lock::device(&self.at.hub, &self.at.device_id)];
        locks.extend(issued_locks(&self.id_scope, &self.renewal.issued));
        locks.extend(proven_lock(&self.id_scope, &self.renewal.presented));
        locks
    }

    fn locks_of_plan<'a>(&'a self, (_, pins): &'a Self::Plan) -> Vec<Lock<'a>> {
        let pins = pins.iter();
        pins.flat_map(|pins| pins.locks(&self.id_scope)).collect()
    }

    /// The device may have been deleted, got other credentials or lost its certificate since it
    /// asked.
    fn decide(&self, view: &View<'_>) -> Result<Self::Plan, RenewalError> {
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
        let pins = self.pinned().decide(view)?;
        match pins {
            Some(PinPlan::Occupied { enrollment, issuer }) => {
                Err(EnterError::PinOccupied { enrollment, issuer }.into())
            }
            pins => Ok((row, pins)),
        }
    }

    fn apply(&self, tx: &Tx<'_>, (row, pins): Self::Plan) -> Result<(), StoreError> {
        let Renewal {
            presented, issued, ..
        } = &self.renewal;
        enter_issued(tx, &self.id_scope, issued, self.now)?;
        if let Some(pins) = pins {
            pins.apply(tx, &self.pinned())?;
        }
        self.devices
            .renew_certificate(tx, row, issued.thumbprint, presented.leaf)
    }
}
