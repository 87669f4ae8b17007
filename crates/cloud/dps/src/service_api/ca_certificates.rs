//! `/muster/v1/dps/certificates`: CA certificates that operators upload, and the proof that
//! somebody holds their keys. Azure has them in its resource manager.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ids::{CertificateName, Timestamp};
use pki::{
    Certificate, CertificateError, PemError, PossessionError, UnusableCaCertificate,
    prove_possession, usable_ca_certificate,
};
use provisioning::{
    CaCertificate, CaCertificateDraft, CaCertificateError, CaCertificateState, PossessionProof,
};
use registry::Right;
use rest::{Reply, delete, get, post, put};
use wire::error::DpsErrorCode;
use wire::lenient;
use wire::service_api::ca_certificate::{
    CaCertificateDescription, CaCertificateList, CaCertificateProperties, CaCertificateRequest,
    VerifyRequest,
};

use super::access::Access;
use super::{Call, Route, if_match, now, provisioning};
use crate::certificate;
use crate::error::{NounError, ServiceFault};

pub(super) fn routes() -> Vec<Route> {
    const ALL: &str = "/muster/v1/dps/certificates";
    const ONE: &str = "/muster/v1/dps/certificates/{name}";
    let reads = Access::AllOf(&[Right::EnrollmentRead]);
    let writes = Access::AllOf(&[Right::ServiceConfig]);
    vec![
        get(ALL, reads, list),
        get(ONE, reads, read),
        put(ONE, writes, upload),
        delete(ONE, writes, remove),
        post(
            "/muster/v1/dps/certificates/{name}/verificationCode",
            writes,
            new_code,
        ),
        // As Azure's resource manager calls it.
        post(
            "/muster/v1/dps/certificates/{name}/generateVerificationCode",
            writes,
            new_code,
        ),
        post("/muster/v1/dps/certificates/{name}/verify", writes, verify),
    ]
}

async fn list(call: Call) -> Result<Reply, ServiceFault> {
    let stored = provisioning(&call).ca_certificates()?;
    let described = stored.iter().map(|one| describe(one, Code::Hidden));
    let value = described.collect::<Result<_, _>>()?;
    Ok(Reply::json(&CaCertificateList { value }))
}

async fn read(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    reply(&find(&call, &name)?, Code::Hidden)
}

/// Uploads without `If-Match`, replaces with it.
async fn upload(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let request = CaCertificateRequest::parse(&lenient::parse(&call.body)?)?;
    let draft = draft(name, &request, now(&call))?;
    let written = provisioning(&call).put_ca_certificate(draft, &if_match, now(&call));
    reply(&written.await?, Code::Hidden)
}

async fn remove(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let deleted = provisioning(&call).delete_ca_certificate(&name, &if_match, now(&call));
    for enrollment in deleted.await? {
        tracing::warn!(
            certificate.name = %name,
            enrollment.id = enrollment.as_str(),
            "CA certificate {name} was deleted while {enrollment} refers to it; that admits nobody \
             by it any more"
        );
    }
    Ok(Reply::no_content())
}

async fn new_code(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let made = provisioning(&call).new_verification_code(&name, &if_match, now(&call));
    reply(&made.await?, Code::Included)
}

async fn verify(call: Call, name: CertificateName) -> Result<Reply, ServiceFault> {
    let if_match = if_match(&call)?;
    let request = VerifyRequest::parse(&lenient::parse(&call.body)?)?;
    let proof = possession(&find(&call, &name)?, &request, now(&call))?;
    let verified = provisioning(&call).verify_ca_certificate(&name, &if_match, proof, now(&call));
    reply(&verified.await?, Code::Hidden)
}

fn find(call: &Call, name: &CertificateName) -> Result<CaCertificate, ServiceFault> {
    let stored = provisioning(call).ca_certificate(name)?;
    Ok(stored.ok_or_else(|| CaCertificateError::NotFound(name.clone()))?)
}

/// Why an upload, or the proof of a key, is not accepted.
#[derive(Debug, thiserror::Error)]
enum CertificateFault {
    #[error("the certificate cannot be read")]
    Unreadable(#[from] PemError),
    /// No chain could be verified by it.
    #[error("the certificate ({subject}) {problem}")]
    Unusable {
        subject: String,
        problem: UnusableCaCertificate,
    },
    #[error("possession of the key is not proven")]
    Possession(#[from] PossessionError),
    #[error("a stored CA certificate cannot be read")]
    Damaged(#[from] CertificateError),
}

impl NounError for CertificateFault {
    fn code(&self) -> DpsErrorCode {
        match self {
            Self::Damaged(_) => DpsErrorCode::InternalServerError,
            _ => DpsErrorCode::ArgumentInvalid,
        }
    }
}

impl NounError for CaCertificateError {
    fn code(&self) -> DpsErrorCode {
        use DpsErrorCode as Code;
        match self {
            Self::NotFound(_) => Code::CertificateAuthorityNotFound,
            Self::Exists(_) | Self::CertificateTaken { .. } | Self::InUse { .. } => {
                Code::CertificateAuthorityConflict
            }
            Self::PreconditionFailed(_) => Code::PreconditionFailed,
            Self::TooMany(_) | Self::OtherCode { .. } | Self::CodeExpired { .. } => {
                Code::ArgumentInvalid
            }
            Self::Storage(_) => Code::InternalServerError,
        }
    }
}

/// A certificate that devices could never be verified by is refused at once.
fn draft(
    name: CertificateName,
    request: &CaCertificateRequest,
    now: Timestamp,
) -> Result<CaCertificateDraft, CertificateFault> {
    let certificate = certificate::read(&request.certificate)?;
    let usable =
        usable_ca_certificate(&certificate, now).map_err(|problem| CertificateFault::Unusable {
            subject: certificate.subject(),
            problem,
        })?;
    let certificate = usable.certificate();
    Ok(CaCertificateDraft {
        name,
        der: certificate.der().to_vec(),
        thumbprint: certificate.sha256(),
        subject: certificate.subject_key().to_vec(),
        verified: request.is_verified,
    })
}

/// Whether the key of the CA certificate signed the verification certificate. Whether that one is
/// named like the code is decided where the code is kept.
fn possession(
    ca_certificate: &CaCertificate,
    request: &VerifyRequest,
    now: Timestamp,
) -> Result<PossessionProof, CertificateFault> {
    let signed = certificate::read(&request.certificate)?;
    let proof = prove_possession(&parsed(ca_certificate)?, &signed, now)?;
    Ok(PossessionProof {
        ca_certificate: ca_certificate.thumbprint,
        code: proof.common_name().to_owned(),
    })
}

/// Whether the verification code is in the answer: only in the answer to the operator
/// that had it made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Included,
    Hidden,
}

fn reply(ca_certificate: &CaCertificate, code: Code) -> Result<Reply, ServiceFault> {
    let described = describe(ca_certificate, code)?;
    Ok(Reply::json(&described).with_etag(&ca_certificate.etag))
}

fn describe(
    ca_certificate: &CaCertificate,
    code: Code,
) -> Result<CaCertificateDescription, CertificateFault> {
    let certificate = parsed(ca_certificate)?;
    let code = ca_certificate
        .code
        .as_ref()
        .filter(|_| code == Code::Included);
    Ok(CaCertificateDescription {
        name: ca_certificate.name.clone(),
        etag: ca_certificate.etag.clone(),
        properties: CaCertificateProperties {
            subject: certificate.subject(),
            expiry: certificate.not_after(),
            thumbprint: certificate.sha1().to_string(),
            sha256_thumbprint: certificate.sha256().to_string(),
            is_verified: ca_certificate.state == CaCertificateState::Verified,
            created: ca_certificate.created,
            updated: ca_certificate.updated,
            certificate: STANDARD.encode(certificate.der()),
            verification_code: code.map(|code| code.text.clone()),
            verification_code_expiry: code.map(|code| code.expires),
        },
    })
}

fn parsed(ca_certificate: &CaCertificate) -> Result<Certificate, CertificateFault> {
    Ok(Certificate::from_der(&ca_certificate.der)?)
}
