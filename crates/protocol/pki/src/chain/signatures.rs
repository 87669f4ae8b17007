//! The signatures of a path. webpki verifies them; the kinds of path that it cannot take are
//! verified link by link.

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
    for certificate in path.upwards() {
        require_understood(certificate)?;
    }
    let key = path.above_leaf();
    if cache.knows(&key) {
        leaf_only(&path, now)?;
        return Ok(path);
    }
    require_strict(path.trust_anchor)?;
    if fits_webpki(&path) {
        by_webpki(path.leaf, &path.issuers, path.trust_anchor, now)
            .map_err(|error| explain(&error, &path))?;
    } else {
        link_by_link(&path)?;
    }
    cache.remember(key);
    Ok(path)
}

/// Whether webpki can decide: it reads no version 1, stops at a depth, counts a CA that renewed its
/// own certificate as two, compares names by their bytes, evaluates only some name constraints, and
/// refuses critical extensions that are seen to in this crate, and CAs at the end of a path.
fn fits_webpki(path: &Path<'_>) -> bool {
    let renewed = path.issuers.iter().any(|c| c.is_self_issued());
    let names = || path.upwards().zip(path.upwards().skip(1));
    path.leaf.version() == 3
        && !path.leaf.is_ca()
        && path.issuers.len() <= WEBPKI_DEPTH
        && !renewed
        && path.upwards().all(is_plain)
        && names().all(|(below, issuer)| below.issuer_der() == issuer.subject_der())
}

fn is_plain(certificate: &Certificate) -> bool {
    let extensions = certificate.extensions();
    !extensions.beyond_webpki && extensions.name_constraints.is_none()
}

/// The issuers were verified before: only the leaf's own link is left.
fn leaf_only(path: &Path<'_>, now: Timestamp) -> Result<(), ChainError> {
    let (leaf, issuer) = (path.leaf, path.leaf_issuer());
    let fits = leaf.version() == 3
        && !leaf.is_ca()
        && is_plain(leaf)
        && is_plain(issuer)
        && leaf.issuer_der() == issuer.subject_der();
    if fits {
        return by_webpki(leaf, &[], issuer, now).map_err(|error| explain(&error, path));
    }
    require_strict(leaf)?;
    require_signed_by(leaf, issuer)
}

fn by_webpki(
    leaf: &Certificate,
    issuers: &[&Certificate],
    trust_anchor: &Certificate,
    now: Timestamp,
) -> Result<(), Error> {
    let end_entity = EndEntityCert::try_from(leaf.certificate_der())?;
    let anchors: [TrustAnchor<'_>; 1] = [anchor_from_trusted_cert(trust_anchor.certificate_der())?];
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

/// Purposes were looked at, with a better message, when the path was checked; an empty extension is
/// still refused by webpki.
struct PurposesChecked;

impl ExtendedKeyUsageValidator for PurposesChecked {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// For what does not fit webpki.
fn link_by_link(path: &Path<'_>) -> Result<(), ChainError> {
    for certificate in path.issuers.iter().chain(std::iter::once(&path.leaf)) {
        require_strict(certificate)?;
    }
    let mut issuer = path.trust_anchor;
    for certificate in path.issuers.iter().rev() {
        require_signed_by(certificate, issuer)?;
        issuer = certificate;
    }
    require_signed_by(path.leaf, issuer)
}

/// What is critical must be understood (RFC 5280, 4.2), wherever on the path it is.
fn require_understood(certificate: &Certificate) -> Result<(), ChainError> {
    unknown_critical(certificate).map_or(Ok(()), |problem| {
        let subject = certificate.subject();
        Err(ChainError::NotUnderstood { subject, problem })
    })
}

fn unknown_critical(certificate: &Certificate) -> Option<String> {
    let names = &certificate.extensions().not_understood;
    (!names.is_empty()).then(|| format!("the critical extension {}", names.join(", ")))
}

/// Loose DER is refused, and what is critical and unknown; version 1 has no extensions to refuse.
fn require_strict(certificate: &Certificate) -> Result<(), ChainError> {
    strictness(certificate).map_err(|problem| ChainError::NotUnderstood {
        subject: certificate.subject(),
        problem,
    })
}

pub(super) fn strictness(certificate: &Certificate) -> Result<(), String> {
    if let Some(problem) = unknown_critical(certificate) {
        return Err(problem);
    }
    if certificate.version() == 1 {
        return Ok(());
    }
    match EndEntityCert::try_from(certificate.certificate_der()) {
        Ok(_) => Ok(()),
        Err(Error::UnsupportedCriticalExtension) if certificate.extensions().beyond_webpki => {
            Ok(())
        }
        Err(error) => Err(in_words(&error)),
    }
}

fn require_signed_by(certificate: &Certificate, issuer: &Certificate) -> Result<(), ChainError> {
    if certificate.is_signed_by(issuer) {
        return Ok(());
    }
    let subject = certificate.subject();
    Err(if certificate.is_signed_in_a_supported_way(issuer) {
        let issuer = issuer.subject();
        ChainError::BadSignature { subject, issuer }
    } else if issuer.has_supported_key() {
        let problem = format!("is signed with {}", certificate.signature_in_words());
        ChainError::UnsupportedAlgorithm { subject, problem }
    } else {
        let (key, issuer) = (issuer.key_in_words(), issuer.subject());
        let problem = format!("is signed by {issuer}, which has {key}");
        ChainError::UnsupportedAlgorithm { subject, problem }
    })
}

/// webpki names no certificate in its errors; this finds the one that is meant.
fn explain(error: &Error, path: &Path<'_>) -> ChainError {
    let mut links = path.upwards().zip(path.upwards().skip(1));
    let broken = links.find_map(|(below, issuer)| require_signed_by(below, issuer).err());
    let loose = || path.upwards().find_map(|one| require_strict(one).err());
    match error {
        Error::InvalidSignatureForPublicKey
        | Error::UnknownIssuer
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => broken.or_else(loose),
        _ => loose(),
    }
    .unwrap_or_else(|| ChainError::NotUnderstood {
        subject: path.leaf.subject(),
        problem: in_words(error),
    })
}

/// The name of a variant, taken apart: `InvalidSerialNumber` is "invalid serial number".
fn in_words(error: &Error) -> String {
    let name = format!("{error:?}");
    let name = name.split(['(', ' ', '{']).next().unwrap_or_default();
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}
