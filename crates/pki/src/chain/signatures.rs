//! The signatures of a path. webpki is the judge; the kinds of path that it cannot take are verified link by link.

use std::time::Duration;

use ids::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

use crate::Certificate;
use crate::cert::CERTIFICATE_ALGORITHMS;

use super::path::{Checked, Path};
use super::{ChainError, IssuerCache};

/// webpki's limit of CAs between leaf and anchor.
const WEBPKI_DEPTH: usize = 6;

/// Verifies every signature of a path that was checked otherwise, and gives the path back.
pub(super) fn verify<'a>(
    Checked(path): Checked<'a>,
    now: Timestamp,
    cache: &IssuerCache,
) -> Result<Path<'a>, ChainError> {
    let key = path.above_leaf();
    if cache.knows(&key) {
        leaf_only(&path, now)?;
        return Ok(path);
    }
    require_strict(path.anchor)?;
    if fits_webpki(&path) {
        by_webpki(path.leaf, &path.issuers, path.anchor, now)
            .map_err(|error| explain(&error, &path))?;
    } else {
        link_by_link(&path)?;
    }
    if !is_name_constrained_above_issuer(&path) {
        cache.remember(key);
    }
    Ok(path)
}

/// Whether webpki can judge: it reads no version 1, stops at a depth, and counts a CA that renewed its own certificate as two.
fn fits_webpki(path: &Path<'_>) -> bool {
    let renewed = path.issuers.iter().any(|c| c.is_self_issued());
    path.leaf.version() == 3 && path.issuers.len() <= WEBPKI_DEPTH && !renewed
}

/// The issuers were verified before: only the leaf's own link is left.
fn leaf_only(path: &Path<'_>, now: Timestamp) -> Result<(), ChainError> {
    if path.leaf.version() == 3 {
        return by_webpki(path.leaf, &[], path.leaf_issuer(), now)
            .map_err(|error| explain(&error, path));
    }
    require_unconstrained(path)?;
    require_signed_by(path.leaf, path.leaf_issuer())
}

fn by_webpki(
    leaf: &Certificate,
    issuers: &[&Certificate],
    anchor: &Certificate,
    now: Timestamp,
) -> Result<(), Error> {
    let end_entity = EndEntityCert::try_from(leaf.certificate_der())?;
    let anchors: [TrustAnchor<'_>; 1] = [anchor_from_trusted_cert(anchor.certificate_der())?];
    let issuers: Vec<CertificateDer<'_>> = issuers
        .iter()
        .map(|c| CertificateDer::from(c.der()))
        .collect();
    let seconds = u64::try_from(now.unix_seconds()).unwrap_or_default();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    end_entity
        .verify_for_usage(
            CERTIFICATE_ALGORITHMS,
            &anchors,
            &issuers,
            time,
            PurposesChecked,
            None,
            None,
        )
        .map(|_| ())
}

/// Purposes were looked at, with a better message, when the path was checked; an empty extension is still refused by webpki.
struct PurposesChecked;

impl ExtendedKeyUsageValidator for PurposesChecked {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// For what does not fit webpki.
fn link_by_link(path: &Path<'_>) -> Result<(), ChainError> {
    require_unconstrained(path)?;
    for certificate in path.issuers.iter().chain(std::iter::once(&path.leaf)) {
        require_strict(certificate)?;
    }
    let mut issuer = path.anchor;
    for certificate in path.issuers.iter().rev() {
        require_signed_by(certificate, issuer)?;
        issuer = certificate;
    }
    require_signed_by(path.leaf, issuer)
}

/// Evaluating name constraints is webpki's business; where it cannot, they are refused.
fn require_unconstrained(path: &Path<'_>) -> Result<(), ChainError> {
    let mut issuers = path.issuers.iter().chain(std::iter::once(&path.anchor));
    if !issuers.any(|c| c.extensions().has_name_constraints) {
        return Ok(());
    }
    Err(ChainError::NotUnderstood {
        subject: path.leaf.subject(),
        problem: "name constraints in a path that is deep, has a version 1 leaf or a CA that renewed itself"
            .to_owned(),
    })
}

/// webpki's parser refuses unknown critical extensions and loose DER; version 1 has no extensions to refuse.
fn require_strict(certificate: &Certificate) -> Result<(), ChainError> {
    strictness(certificate).map_err(|problem| ChainError::NotUnderstood {
        subject: certificate.subject(),
        problem,
    })
}

pub(super) fn strictness(certificate: &Certificate) -> Result<(), String> {
    if certificate.version() == 1 {
        return Ok(());
    }
    EndEntityCert::try_from(certificate.certificate_der())
        .map(drop)
        .map_err(|error| error.to_string())
}

fn require_signed_by(certificate: &Certificate, issuer: &Certificate) -> Result<(), ChainError> {
    if certificate.is_signed_by(issuer) {
        return Ok(());
    }
    Err(ChainError::BadSignature {
        subject: certificate.subject(),
        issuer: issuer.subject(),
    })
}

/// Constraints of the leaf's issuer are evaluated even when it comes from the cache; those above it would not be.
fn is_name_constrained_above_issuer(path: &Path<'_>) -> bool {
    let above = path.issuers.iter().skip(1).copied();
    let anchor = (!path.issuers.is_empty()).then_some(path.anchor);
    above
        .chain(anchor)
        .any(|c| c.extensions().has_name_constraints)
}

/// webpki names no certificate in its errors; this finds the one that is meant.
fn explain(error: &Error, path: &Path<'_>) -> ChainError {
    let subject = path.leaf.subject();
    match error {
        Error::InvalidSignatureForPublicKey | Error::UnknownIssuer => broken_link(path),
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::InvalidNetworkMaskConstraint => ChainError::NameConstraint { subject },
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => broken_link(path),
        other => ChainError::NotUnderstood {
            subject,
            problem: other.to_string(),
        },
    }
}

fn broken_link(path: &Path<'_>) -> ChainError {
    let mut below = path.leaf;
    for issuer in path
        .issuers
        .iter()
        .copied()
        .chain(std::iter::once(path.anchor))
    {
        if !below.is_signed_by(issuer) {
            return if below.is_signed_in_a_supported_way(issuer) {
                ChainError::BadSignature {
                    subject: below.subject(),
                    issuer: issuer.subject(),
                }
            } else {
                ChainError::UnsupportedAlgorithm {
                    subject: below.subject(),
                }
            };
        }
        below = issuer;
    }
    ChainError::NotUnderstood {
        subject: path.leaf.subject(),
        problem: "the path is refused although every signature holds".to_owned(),
    }
}
