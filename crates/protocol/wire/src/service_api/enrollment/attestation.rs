use ids::{CertificateName, Thumbprint, ThumbprintSha1};

use super::request::{parsed, word};
use super::{CaReferences, TpmAttestation};
use crate::binary::{MAX_TPM_KEY, optional_bytes};
use crate::lenient::{BodyError, Fields};
use crate::service_api::identity::KeyText;

/// Longest certificate text, bytes: base64 of PEM of a certificate with an RSA 4096 key
/// and room for extensions.
const MAX_CERTIFICATE_TEXT: usize = 32 * 1024;

/// A certificate as sent: its text, or only the description that an earlier answer contained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateRequest {
    /// PEM, base64 of PEM, or base64 of DER.
    Text(String),
    /// `info` echoed: the stored certificate of this thumbprint is meant.
    Sha256(Thumbprint),
    /// `info` echoed with the short thumbprint only.
    Sha1(ThumbprintSha1),
}

/// `primary` and `secondary` as sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificatePairRequest {
    /// The certificate in the slot `primary`.
    pub primary: Option<CertificateRequest>,
    /// The certificate in the slot `secondary`; accepted as well.
    pub secondary: Option<CertificateRequest>,
}

/// An `attestation` member as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttestationRequest {
    /// `x509.clientCertificates`: the device's own certificates.
    ClientCertificates(CertificatePairRequest),
    /// `x509.signingCertificates`: the CA certificates of a group.
    SigningCertificates(CertificatePairRequest),
    /// `x509.caReferences`, at least one.
    CaReferences(CaReferences),
    /// `symmetricKey`: a key that signs tokens.
    SymmetricKey(KeysRequest),
    /// `tpm`: the endorsement key of the device's TPM.
    Tpm(TpmAttestation),
    /// `none`: no device can prove itself.
    None,
}

/// Symmetric keys as sent; an absent, empty or `null` one is for the service to
/// generate, or to keep.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeysRequest {
    /// `primaryKey`, as base64 text.
    pub primary: Option<KeyText>,
    /// `secondaryKey`, as base64 text; accepted as well.
    pub secondary: Option<KeyText>,
}

pub(super) fn attestation(fields: &Fields<'_>) -> Result<AttestationRequest, BodyError> {
    let Some(attestation) = fields.object("attestation")? else {
        return Err(fields.error(
            "attestation",
            "is missing; it says how devices prove themselves",
        ));
    };
    let kind = word(
        &attestation,
        "type",
        &[
            ("x509", "x509"),
            ("symmetricKey", "symmetricKey"),
            ("tpm", "tpm"),
            ("none", "none"),
        ],
    )?;
    match kind {
        None => {
            Err(attestation.error("type", "is missing; x509, symmetricKey or tpm was expected"))
        }
        Some("x509") => x509(&attestation),
        Some("symmetricKey") => Ok(AttestationRequest::SymmetricKey(keys(&attestation)?)),
        Some("tpm") => Ok(AttestationRequest::Tpm(tpm(&attestation)?)),
        Some(_) => Ok(AttestationRequest::None),
    }
}

fn keys(attestation: &Fields<'_>) -> Result<KeysRequest, BodyError> {
    let Some(fields) = attestation.object("symmetricKey")? else {
        return Ok(KeysRequest::default());
    };
    let key = |name: &str| match fields.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => KeyText::parse(text)
            .map(Some)
            .map_err(|problem| fields.error(name, problem)),
    };
    Ok(KeysRequest {
        primary: key("primaryKey")?,
        secondary: key("secondaryKey")?,
    })
}

fn tpm(attestation: &Fields<'_>) -> Result<TpmAttestation, BodyError> {
    let Some(fields) = attestation.object("tpm")? else {
        return Err(attestation.error("tpm", "is missing; it holds the endorsementKey"));
    };
    let Some(endorsement_key) = optional_bytes(&fields, "endorsementKey", MAX_TPM_KEY)? else {
        return Err(fields.error(
            "endorsementKey",
            "is missing; send the base64 of the TPM's public endorsement key (TPM2B_PUBLIC)",
        ));
    };
    Ok(TpmAttestation {
        endorsement_key,
        storage_root_key: optional_bytes(&fields, "storageRootKey", MAX_TPM_KEY)?,
    })
}

fn x509(attestation: &Fields<'_>) -> Result<AttestationRequest, BodyError> {
    let Some(x509) = attestation.object("x509")? else {
        return Err(attestation.error("x509", "is missing; it holds the certificates"));
    };
    let client = x509.object("clientCertificates")?;
    let signing = x509.object("signingCertificates")?;
    match (client, signing) {
        (Some(_), Some(_)) => Err(x509.error(
            "signingCertificates",
            "clientCertificates and signingCertificates cannot both be given",
        )),
        (Some(client), None) => Ok(AttestationRequest::ClientCertificates(pair(&client)?)),
        (None, Some(signing)) => Ok(AttestationRequest::SigningCertificates(pair(&signing)?)),
        (None, None) => ca_references(attestation, &x509),
    }
}

fn ca_references(
    attestation: &Fields<'_>,
    x509: &Fields<'_>,
) -> Result<AttestationRequest, BodyError> {
    let Some(fields) = x509.object("caReferences")? else {
        return Err(attestation.error(
            "x509",
            "clientCertificates (individual), signingCertificates (group) or caReferences were \
             expected",
        ));
    };
    let references = CaReferences {
        primary: parsed(&fields, "primary", CertificateName::parse)?,
        secondary: parsed(&fields, "secondary", CertificateName::parse)?,
    };
    if references == CaReferences::default() {
        return Err(fields.error("primary", "the name of a CA certificate was expected"));
    }
    Ok(AttestationRequest::CaReferences(references))
}

fn pair(fields: &Fields<'_>) -> Result<CertificatePairRequest, BodyError> {
    let pair = CertificatePairRequest {
        primary: certificate(fields, "primary")?,
        secondary: certificate(fields, "secondary")?,
    };
    match pair {
        CertificatePairRequest {
            primary: None,
            secondary: None,
        } => Err(fields.error("primary", "a certificate was expected")),
        pair => Ok(pair),
    }
}

fn certificate(fields: &Fields<'_>, name: &str) -> Result<Option<CertificateRequest>, BodyError> {
    let Some(inner) = fields.object(name)? else {
        return Ok(None);
    };
    if let Some(text) = inner.text("certificate")?.filter(|t| !t.trim().is_empty()) {
        if text.len() > MAX_CERTIFICATE_TEXT {
            let problem = format!("is longer than {MAX_CERTIFICATE_TEXT} bytes");
            return Err(inner.error("certificate", problem));
        }
        return Ok(Some(CertificateRequest::Text(text.to_owned())));
    }
    let Some(info) = inner.object("info")? else {
        return Ok(None);
    };
    if let Some(sha256) = parsed(&info, "sha256Thumbprint", Thumbprint::parse)? {
        return Ok(Some(CertificateRequest::Sha256(sha256)));
    }
    let sha1 = parsed(&info, "sha1Thumbprint", ThumbprintSha1::parse)?;
    match sha1 {
        Some(sha1) => Ok(Some(CertificateRequest::Sha1(sha1))),
        None => Err(info.error(
            "sha256Thumbprint",
            "is missing, and there is no certificate",
        )),
    }
}
