//! The step between the choice of a hub and its assignment, for a device that sent a certificate
//! request: a certificate of the issuer that its enrollment names.

use std::time::Duration;

use ids::{Thumbprint, Timestamp};
use pki::{Certificate, IssuingProfile, ProfileConfig, ProfileError, ProfileKind, RequestKey};
use provisioning::{IssuedNote, IssuerRecord, Provisioning};
use registry::StorageError;
use wire::binary::Base64Bytes;
use wire::device_api::register_request::CsrClaim;
use wire::device_api::registration::AttestationDetail;
use wire::muster_api::issuer::DeviceKeyType;

use crate::registration::attest::AttestedDevice;
use crate::registration::refusal::{Refusal, RefusalReason, RequestRefusal};
use crate::registration::request::Register;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate that was issued to a device that proved itself. Only this file makes one; it
/// counts once it is written.
#[derive(Debug)]
pub struct Issued {
    note: IssuedNote,
    form: Form,
}

/// The chain in the form in which it was asked for.
#[derive(Debug)]
enum Form {
    Der(Vec<Base64Bytes>),
    Pem(String),
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueFault {
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The issuer cannot issue: an operator has to repair it.
    #[error("device issuer {name} issues no certificate to registration {registration_id}")]
    Issuer {
        name: String,
        registration_id: String,
        #[source]
        source: Box<ca::IssuerError>,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Issues a certificate to a device that proved itself. `None` when it did not ask for one.
///
/// Fails when the request is refused, the issuer cannot issue, or the store fails.
pub fn issue(
    device: &AttestedDevice,
    request: &Register<'_>,
    provisioning: &Provisioning,
    issuers: &ca::DeviceIssuers,
    now: Timestamp,
) -> Result<Option<Issued>, IssueFault> {
    let Some(csr) = request.body.csr else {
        return Ok(None);
    };
    let enrollment = device.enrollment();
    let refuse = |refusal: RequestRefusal| {
        let reason = RefusalReason::Request(refusal);
        let (id, chain) = (device.registration_id(), request.presented.chain);
        IssueFault::Refused(Refusal::new(id, chain, Some(enrollment.key()), reason))
    };
    let issuer = match &enrollment.issuance().issuer {
        Some(name) => provisioning.issuer(name)?,
        None => None,
    };
    // An issuer that an enrollment names is not deleted; should the enrollment have changed, the
    // device proves itself again when it is assigned.
    let no_issuer = || refuse(RequestRefusal::NoIssuer(enrollment.key().clone()));
    let issuer = issuer.ok_or_else(no_issuer)?;
    let bytes = match csr {
        CsrClaim::Der(der) => der.as_bytes(),
        CsrClaim::Pem(pem) => pem.as_bytes(),
    };
    let cannot_issue = |source: ca::IssuerError| IssueFault::Issuer {
        name: issuer.name.to_string(),
        registration_id: device.registration_id().to_string(),
        source: Box::new(source),
    };
    let profile = profile(&issuer).map_err(|error| cannot_issue(error.into()))?;
    let admitted = pki::prove_request(bytes)
        .and_then(|request| profile.admit(request, Some(device.registration_id())))
        .map_err(|error| refuse(error.into()))?;
    let chain = issuers
        .issue(&issuer.ca_certificate, &admitted, now)
        .map_err(cannot_issue)?;
    let all = chain.certificates();
    Ok(Some(Issued {
        note: note(&issuer, chain.leaf()),
        form: match csr {
            CsrClaim::Der(_) => Form::Der(all.map(|one| one.der().to_vec().into()).collect()),
            CsrClaim::Pem(_) => Form::Pem(all.map(Certificate::to_pem).collect()),
        },
    }))
}

fn profile(issuer: &IssuerRecord) -> Result<IssuingProfile, ProfileError> {
    let key_types = issuer.profile.key_types.iter().map(|kind| match kind {
        DeviceKeyType::P256 => RequestKey::P256,
        DeviceKeyType::P384 => RequestKey::P384,
        DeviceKeyType::Rsa => RequestKey::Rsa,
    });
    IssuingProfile::new(ProfileConfig {
        kind: ProfileKind::EdgeIdentity,
        validity: DAY * issuer.profile.validity_days.into(),
        key_types: key_types.collect(),
    })
}

fn note(issuer: &IssuerRecord, leaf: &Certificate) -> IssuedNote {
    IssuedNote {
        issuer: issuer.name.clone(),
        serial_number: leaf.serial_hex().to_owned(),
        sha256_thumbprint: leaf.sha256(),
        not_after_utc: leaf.not_after(),
    }
}

impl Issued {
    pub fn note(&self) -> &IssuedNote {
        &self.note
    }

    /// The hub recognises the device by it.
    pub fn thumbprint(&self) -> Thumbprint {
        self.note.sha256_thumbprint
    }

    /// Adds the certificate to what the device reads of its registration.
    pub fn add_to(&self, detail: AttestationDetail) -> AttestationDetail {
        match &self.form {
            Form::Der(chain) => AttestationDetail {
                issued_certificate_chain: chain.clone(),
                ..detail
            },
            Form::Pem(chain) => AttestationDetail {
                issued_client_certificate: Some(chain.clone()),
                ..detail
            },
        }
    }
}
