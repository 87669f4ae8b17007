//! Proof of possession of a CA's key: only its holder can sign a certificate for a name
//! that cannot be guessed.

use ids::Timestamp;

use crate::Certificate;

/// Why a certificate does not prove possession of a CA's key. For operators.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PossessionError {
    /// The certificate names another issuer than the CA.
    #[error(
        "the verification certificate was issued by {issuer}, not by {wanted}; it must be signed \
         directly with the key of the certificate that is to be verified"
    )]
    OtherIssuer {
        /// The issuer it names.
        issuer: String,
        /// The issuer that was wanted.
        wanted: String,
    },
    /// It names the issuer; another key signed it.
    #[error(
        "the verification certificate was not signed with the key of {wanted}; another CA of the \
         same name signed it"
    )]
    OtherKey {
        /// The issuer that was wanted.
        wanted: String,
    },
    /// The certificate has no common name.
    #[error("the verification certificate has no common name; it must be the verification code")]
    NoCommonName,
    /// The certificate is expired or not yet valid.
    #[error(
        "the verification certificate is valid from {} to {} only; issue another one",
        not_before.in_seconds(),
        not_after.in_seconds()
    )]
    NotValid {
        /// `notBefore`: the first second of its validity.
        not_before: Timestamp,
        /// `notAfter`: the last second of its validity.
        not_after: Timestamp,
    },
    /// It is the very certificate that is to be verified, as when the wrong file was sent.
    #[error("this is the certificate that is to be verified; send one that it issued")]
    SameCertificate,
}

/// Proof that a CA's key signed a certificate of some name. Whether the name is the one that was
/// asked for is the asker's to say.
#[derive(Debug, Clone)]
pub struct PossessionProof {
    common_name: String,
}

impl PossessionProof {
    /// The common name of what was signed.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }
}

/// Verifies that the key of `ca_certificate` signed `presented`, directly. What else `presented`
/// says does not matter: Azure's scripts make a leaf for clients, a bare `openssl x509 -req` makes
/// a certificate without extensions.
pub fn prove_possession(
    ca_certificate: &Certificate,
    presented: &Certificate,
    now: Timestamp,
) -> Result<PossessionProof, PossessionError> {
    if presented == ca_certificate {
        return Err(PossessionError::SameCertificate);
    }
    let wanted = ca_certificate.subject();
    if !presented.is_issued_by_name(ca_certificate) {
        let issuer = presented.issuer();
        return Err(PossessionError::OtherIssuer { issuer, wanted });
    }
    if !presented.is_signed_by(ca_certificate) {
        return Err(PossessionError::OtherKey { wanted });
    }
    // The clock of an offline CA is rarely right to the minute, and the code is what makes it
    // fresh; only the end counts.
    if presented.not_after() < now {
        return Err(PossessionError::NotValid {
            not_before: presented.not_before(),
            not_after: presented.not_after(),
        });
    }
    let common_name = presented.subject_common_name();
    let common_name = common_name.ok_or(PossessionError::NoCommonName)?.to_owned();
    Ok(PossessionProof { common_name })
}
