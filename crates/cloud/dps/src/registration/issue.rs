//! The step between a hub's choice and its writing, for a device that brought a certificate request: a certificate of the
//! issuer that its enrollment names.

use ids::Thumbprint;
use pki::{Certificate, RequestError, RequestKey, prove_request};
use provisioning::{EnrollmentKey, IssuedNote, IssuerRecord};
use registry::StorageError;
use wire::binary::Base64Bytes;
use wire::device_api::registration::{AttestationDetail, CsrClaim};
use wire::muster_api::issuers::DeviceKeyType;

use crate::registration::attest::AttestedDevice;
use crate::registration::refusal::{Refusal, RefusalReason};
use crate::registration::register::{Deps, Register};

/// A certificate that was issued to a device that proved itself. Only this file makes one; it counts once it is written.
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

/// Why no certificate is issued to a device that is let in. It can be told: it is no stranger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// Nobody is to issue one.
    #[error(
        "{0} names no issuer of certificates; give it a credentialPolicyName, or register without a certificate request"
    )]
    NoIssuer(EnrollmentKey),
    /// The request is not good.
    #[error("the certificate request is refused: {0}")]
    Request(RequestError),
    /// The issuer has nothing for keys of this kind.
    #[error("the certificate request is for a key of type {asked}; the issuer takes {}", .taken.join(", "))]
    KeyType {
        /// The kind.
        asked: &'static str,
        /// The kinds that are taken.
        taken: Vec<&'static str>,
    },
}

impl From<RequestError> for RequestRefusal {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl RequestRefusal {
    /// A stable name for logs, metrics and programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoIssuer(_) => "csr_issuer_absent",
            Self::KeyType { .. } => "csr_key_type_forbidden",
            Self::Request(error) => match error {
                RequestError::TooLarge | RequestError::Pem(_) | RequestError::NotARequest(_) => {
                    "csr_unparsable"
                }
                RequestError::Key => "csr_key_unsupported",
                RequestError::Signature => "csr_signature_bad",
                RequestError::NoCommonName => "csr_common_name_absent",
                RequestError::CommonNameMismatch { .. } => "csr_common_name_mismatch",
            },
        }
    }
}

/// Why no certificate was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueFault {
    /// It was not due to the device.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The issuer cannot issue: an operator has to look after it.
    #[error("device issuer {name} issues no certificate to registration {registration_id}")]
    Issuer {
        /// Which one.
        name: String,
        /// To whom.
        registration_id: String,
        /// Why not.
        #[source]
        source: Box<ca::IssuerError>,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Issues a certificate to a device that asked for one and proved itself. Nothing when it did not ask.
///
/// # Errors
/// See [`IssueFault`].
pub fn issue(
    device: &AttestedDevice,
    request: &Register<'_>,
    deps: &Deps,
    now: ids::Timestamp,
) -> Result<Option<Issued>, IssueFault> {
    let Some(csr) = request.csr else {
        return Ok(None);
    };
    let entry = device.enrollment().entry();
    let refuse = |refusal: RequestRefusal| {
        let reason = RefusalReason::Request(refusal);
        let (id, chain) = (device.registration_id(), request.presented.chain);
        IssueFault::Refused(Refusal::of(id, chain, Some(entry.key()), reason))
    };
    let issuer = match &entry.resources().issuer {
        Some(name) => deps.registry.issuer(name)?,
        None => None,
    };
    // An issuer that an entry names is not deleted; should the entry have changed, the device is judged anew when this is written.
    let issuer = issuer.ok_or_else(|| refuse(RequestRefusal::NoIssuer(entry.key().clone())))?;
    let bytes = match csr {
        CsrClaim::Der(der) => der.as_bytes(),
        CsrClaim::Pem(pem) => pem.as_bytes(),
    };
    let proven = prove_request(bytes, device.registration_id());
    let proven = proven.map_err(|error| refuse(error.into()))?;
    require_kind(&issuer, proven.kind()).map_err(refuse)?;
    let days = issuer.profile.validity_days;
    let chain = deps
        .device_issuers
        .issue(&issuer.ca_certificate, &proven, days, now)
        .map_err(|source| IssueFault::Issuer {
            name: issuer.name.to_string(),
            registration_id: device.registration_id().to_string(),
            source: Box::new(source),
        })?;
    let all = chain.certificates();
    Ok(Some(Issued {
        note: note(&issuer, chain.leaf()),
        form: match csr {
            CsrClaim::Der(_) => Form::Der(all.map(|one| one.der().to_vec().into()).collect()),
            CsrClaim::Pem(_) => Form::Pem(all.map(Certificate::to_pem).collect()),
        },
    }))
}

fn require_kind(issuer: &IssuerRecord, asked: RequestKey) -> Result<(), RequestRefusal> {
    let kind = match asked {
        RequestKey::P256 => DeviceKeyType::P256,
        RequestKey::P384 => DeviceKeyType::P384,
        RequestKey::Rsa => DeviceKeyType::Rsa,
    };
    let taken = &issuer.profile.key_types;
    if taken.contains(&kind) {
        return Ok(());
    }
    Err(RequestRefusal::KeyType {
        asked: kind.name(),
        taken: taken.iter().map(|kind| kind.name()).collect(),
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
    /// What the audit says of it.
    #[must_use]
    pub fn note(&self) -> &IssuedNote {
        &self.note
    }

    /// By what the hub shall know the device.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        self.note.sha256_thumbprint
    }

    /// What the device is told, beside how it proved itself.
    #[must_use]
    pub fn told(&self, detail: AttestationDetail) -> AttestationDetail {
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
