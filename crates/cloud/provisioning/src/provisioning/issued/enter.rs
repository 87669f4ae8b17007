//! A certificate is written that was signed.

use std::sync::Arc;

use ids::{Etag, IssuerName, IssuerUserName, RegistrationId, Timestamp};
use registry::revocation::Revocations;
use serde::Serialize;
use store::audit::AuditStream;
use store::{
    IssuedCertificateRow, IssuedState, IssuerUserRow, Lock, StoreError, Tx, Unit, UserOwner, View,
};
use wire::muster_api::issuer::PinnedCertificates;

use super::super::in_force::{proven_lock, require_in_force};
use super::super::issuers::generations;
use super::super::pins::{PinPlan, PinnedDevice};
use crate::issued::{EnterError, IssuedCertificate, Requester};
use crate::pins::Proven;
use crate::provisioning::Provisioning;

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
            pin: proven_pin(&issued).map(|(id, proven)| (id, proven, self.registry.fresh_etag())),
            issued,
            now,
        };
        self.registry.store().write_without_act(enter).await
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
    /// The device that renews its own certificate, what it proved, and the version of its enrollment
    /// when that is written.
    pin: Option<(RegistrationId, Proven, Etag)>,
    issued: Arc<IssuedCertificate>,
    now: Timestamp,
}

/// What a client of EST proved that renews its own certificate.
fn proven_pin(issued: &Arc<IssuedCertificate>) -> Option<(RegistrationId, Proven)> {
    let Requester::EstCertificate(path) = &issued.requester else {
        return None;
    };
    if issued.pinned_certificates == PinnedCertificates::Keep {
        return None;
    }
    let id = RegistrationId::parse(&issued.common_name).ok()?;
    let proven = Proven {
        leaf: path.leaf,
        successor: Some(issued.clone()),
    };
    Some((id, proven))
}

/// What is written beside a certificate.
struct EnterPlan {
    /// Row id of the issuer.
    issuer: i64,
    /// A user whose uses are counted.
    spend: Option<IssuerUserRow>,
    /// What becomes of the certificates that the enrollment of its device pins.
    pins: Option<PinPlan>,
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

    fn locks_of_plan<'a>(&'a self, plan: &'a EnterPlan) -> Vec<Lock<'a>> {
        let pins = plan.pins.iter();
        pins.flat_map(|pins| pins.locks(&self.id_scope)).collect()
    }

    fn decide(&self, view: &View<'_>) -> Result<EnterPlan, EnterError> {
        let issuer = admitted_issuer(view, &self.id_scope, &self.issued)?;
        if let Requester::EstCertificate(proven) = &self.issued.requester {
            require_in_force(view, &self.revocations, &self.id_scope, proven, self.now)?;
        }
        let pins = match self.pinned() {
            Some(device) => device.decide(view)?,
            None => None,
        };
        if let Some(PinPlan::Occupied { enrollment, issuer }) = pins {
            return Err(EnterError::PinOccupied { enrollment, issuer });
        }
        if pins.is_none() {
            self.require_not_replaced(view)?;
        }
        Ok(EnterPlan {
            issuer,
            spend: self.user(view, issuer)?,
            pins,
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
        enter_issued(tx, &self.id_scope, &self.issued, self.now)?;
        match plan.pins.zip(self.pinned()) {
            Some((pins, device)) => pins.apply(tx, &device),
            None => Ok(()),
        }
    }
}

impl EnterIssued {
    fn pinned(&self) -> Option<PinnedDevice<'_>> {
        let (registration_id, proven, etag) = self.pin.as_ref()?;
        Some(PinnedDevice {
            id_scope: &self.id_scope,
            registration_id,
            proven,
            etag,
            now: self.now,
        })
    }

    /// Refuses the renewal of a certificate in whose place the enrollment of the device pins others.
    fn require_not_replaced(&self, view: &View<'_>) -> Result<(), EnterError> {
        let Requester::EstCertificate(path) = &self.issued.requester else {
            return Ok(());
        };
        let Some(device) = self.pinned() else {
            return Ok(());
        };
        match device.replaced_in(view, path.serial())? {
            Some(enrollment) => Err(EnterError::Replaced { enrollment }),
            None => Ok(()),
        }
    }

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
pub(in crate::provisioning) fn admitted_issuer(
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
pub(in crate::provisioning) fn issued_locks<'a>(
    id_scope: &'a str,
    issued: &IssuedCertificate,
) -> [Lock<'a>; 2] {
    let serial = issued.serial;
    let row = Lock::IssuedCertificate { id_scope, serial };
    [row, Lock::CertificateLog { id_scope }]
}

/// Lists a certificate and enters it into the audit, durable with what else `tx` writes.
pub(in crate::provisioning) fn enter_issued(
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
