//! The step between the choice of a hub and its assignment, for a device that sent a certificate
//! request: a certificate of the issuer that its enrollment names.

use std::sync::Arc;

use ids::{Thumbprint, Timestamp};
use issuing::{IssueError, Wanted};
use pki::{Certificate, RequestError};
use provisioning::{IssuedCertificate, IssuerRecord, Provisioning, Requester};
use registry::StorageError;
use wire::binary::Base64Bytes;
use wire::device_api::register_request::CsrClaim;
use wire::device_api::registration::AttestationDetail;

use crate::registration::attest::AttestedDevice;
use crate::registration::enrollment::Enrollment;
use crate::registration::refusal::{Refusal, RefusalReason, RequestRefusal};
use crate::registration::request::Register;

/// A certificate that was issued to a device that proved itself. Only this file makes one; it
/// counts once it is written.
#[derive(Debug)]
pub struct Issued {
    entry: Arc<IssuedCertificate>,
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
    #[error("registration {registration_id} gets no certificate")]
    Issuer {
        registration_id: String,
        #[source]
        source: Box<IssueError>,
    },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Issues a certificate to a device that proved itself. `None` when it did not ask for one.
///
/// Fails when the request is refused, the issuer cannot issue, or the store fails.
pub async fn issue(
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
    let issuer = NamedIssuer::of(enrollment, provisioning)?;
    let issuer = issuer.of_identities(enrollment).map_err(refuse)?;
    let bytes = match csr {
        CsrClaim::Der(der) => der.as_bytes(),
        CsrClaim::Pem(pem) => pem.as_bytes(),
    };
    let refused = |error: RequestError| refuse(error.into());
    let proven = pki::prove_request(bytes).map_err(refused)?;
    let wanted = Wanted {
        issuer: &issuer,
        request: proven,
        common_name: Some(device.registration_id()),
        requester: Requester::Registration,
    };
    let signed = issuing::sign(wanted, issuers, now).await;
    let signed = signed.map_err(|error| match error {
        IssueError::Request(error) => refused(error),
        source => IssueFault::Issuer {
            registration_id: device.registration_id().to_string(),
            source: Box::new(source),
        },
    })?;
    let all = signed.chain().certificates();
    Ok(Some(Issued {
        entry: signed.entry().clone(),
        form: match csr {
            CsrClaim::Der(_) => Form::Der(all.map(|one| one.der().to_vec().into()).collect()),
            CsrClaim::Pem(_) => Form::Pem(all.map(Certificate::to_pem).collect()),
        },
    }))
}

/// The issuer that an enrollment names. One that is named is not deleted; should the enrollment have
/// changed, the device proves itself again when it is assigned.
pub enum NamedIssuer {
    Absent,
    OfIdentities(IssuerRecord),
    /// Its certificates are no identities of devices.
    OfOthers(IssuerRecord),
}

impl NamedIssuer {
    pub fn of(enrollment: &Enrollment, provisioning: &Provisioning) -> Result<Self, StorageError> {
        let issuer = match &enrollment.issuance().issuer {
            Some(name) => provisioning.issuer(name)?,
            None => None,
        };
        Ok(match issuer {
            None => Self::Absent,
            Some(issuer) if issuer.is_of_identities() => Self::OfIdentities(issuer),
            Some(issuer) => Self::OfOthers(issuer),
        })
    }

    fn of_identities(self, enrollment: &Enrollment) -> Result<IssuerRecord, RequestRefusal> {
        let enrollment = enrollment.key().clone();
        match self {
            Self::Absent => Err(RequestRefusal::NoIssuer(enrollment)),
            Self::OfIdentities(issuer) => Ok(issuer),
            Self::OfOthers(issuer) => Err(RequestRefusal::IssuerProfile {
                enrollment,
                issuer: issuer.name,
                profile: issuer.profile.kind,
            }),
        }
    }
}

impl Issued {
    /// What the transaction that assigns the device writes.
    pub fn entry(&self) -> &Arc<IssuedCertificate> {
        &self.entry
    }

    /// The hub recognises the device by it.
    pub fn thumbprint(&self) -> Thumbprint {
        self.entry.thumbprint
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
