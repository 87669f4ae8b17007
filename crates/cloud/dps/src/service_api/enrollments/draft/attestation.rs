use ids::CertificateName;
use provisioning::{
    AttestationKind, CertificateSlot, EnrolledCertificate, EnrollmentKey, EnrollmentRecord,
};
use serde::Deserialize;
use wire::binary::Base64Bytes;
use wire::service_api::enrollment::{
    Attestation, AttestationRequest, CaReferences, CertificatePairRequest, KeysRequest,
    SymmetricKeys, TpmAttestation, X509Attestation,
};
use wire::service_api::identity::KeyText;

use super::certificates::{Purpose, ResolvedPair};
use super::{DraftContext, DraftFault};
use crate::registration::credential::TpmIdentity;

/// An attestation fit to be stored.
pub(super) struct ResolvedAttestation {
    pub(super) kind: AttestationKind,
    pub(super) document: Attestation,
    pub(super) certificates: Vec<EnrolledCertificate>,
    pub(super) ca_certificates: Vec<(CertificateSlot, CertificateName)>,
}

/// DraftContexts how devices shall prove themselves.
pub(super) fn resolve(
    key: &EnrollmentKey,
    request: &AttestationRequest,
    context: &DraftContext<'_>,
) -> Result<ResolvedAttestation, DraftFault> {
    use AttestationRequest as Request;
    let resolved = match (key, request) {
        (EnrollmentKey::Individual(_), Request::ClientCertificates(pair)) => {
            let pair = certificates(pair, &Purpose::Leaf, context)?;
            x509(X509Attestation::ClientCertificates(pair.described()), pair)
        }
        (EnrollmentKey::Group(_), Request::SigningCertificates(pair)) => {
            let pair = certificates(pair, &Purpose::Issuer(context.uploaded), context)?;
            x509(X509Attestation::SigningCertificates(pair.described()), pair)
        }
        (EnrollmentKey::Individual(_), Request::SigningCertificates(_)) => {
            return Err(DraftFault::WrongMember(
                "an individual enrollment takes clientCertificates; signingCertificates belong to \
                 groups",
            ));
        }
        (EnrollmentKey::Group(_), Request::ClientCertificates(_)) => {
            return Err(DraftFault::WrongMember(
                "an enrollment group takes signingCertificates; clientCertificates belong to \
                 individual enrollments",
            ));
        }
        (_, Request::SymmetricKey(keys)) => ResolvedAttestation {
            kind: AttestationKind::SymmetricKey,
            document: Attestation::SymmetricKey {
                symmetric_key: Some(complete(keys, context)),
            },
            certificates: Vec::new(),
            ca_certificates: Vec::new(),
        },
        (EnrollmentKey::Group(_), Request::Tpm(_)) => {
            return Err(DraftFault::WrongMember(
                "an enrollment group takes x509 or symmetricKey; every TPM is enrolled \
                 individually",
            ));
        }
        (EnrollmentKey::Individual(_), Request::Tpm(tpm)) => self::tpm(tpm)?,
        (_, Request::CaReferences(references)) => by_reference(references)?,
        (_, Request::None) => return Err(DraftFault::AttestationNotOffered("none")),
    };
    same_kind(resolved, context.stored)
}

fn x509(x509: X509Attestation, pair: ResolvedPair) -> ResolvedAttestation {
    let is_issuer = matches!(x509, X509Attestation::SigningCertificates(_));
    ResolvedAttestation {
        kind: AttestationKind::X509,
        document: Attestation::X509 {
            x509: Box::new(x509),
        },
        certificates: pair.into_certificates(is_issuer),
        ca_certificates: Vec::new(),
    }
}

/// Only keys that a key can be wrapped for: the device of any other would be refused, for no reason
/// that its operator sees.
fn tpm(tpm: &TpmAttestation) -> Result<ResolvedAttestation, DraftFault> {
    let storage_root = tpm.storage_root_key.as_ref().map(Base64Bytes::as_bytes);
    TpmIdentity::parse(tpm.endorsement_key.as_bytes(), storage_root)?;
    Ok(ResolvedAttestation {
        kind: AttestationKind::Tpm,
        document: Attestation::Tpm { tpm: tpm.clone() },
        certificates: Vec::new(),
        ca_certificates: Vec::new(),
    })
}

/// Whether the names lead to anything, and to what may vouch, is decided where they are written.
fn by_reference(references: &CaReferences) -> Result<ResolvedAttestation, DraftFault> {
    if references.primary.is_some() && references.primary == references.secondary {
        return Err(DraftFault::SameTwice);
    }
    let slots = [
        (CertificateSlot::Primary, &references.primary),
        (CertificateSlot::Secondary, &references.secondary),
    ];
    let named = |(slot, name): (_, &Option<CertificateName>)| Some((slot, name.clone()?));
    Ok(ResolvedAttestation {
        kind: AttestationKind::X509,
        document: Attestation::X509 {
            x509: Box::new(X509Attestation::CaReferences(references.clone())),
        },
        certificates: Vec::new(),
        ca_certificates: slots.into_iter().filter_map(named).collect(),
    })
}

fn certificates(
    pair: &CertificatePairRequest,
    purpose: &Purpose<'_>,
    context: &DraftContext<'_>,
) -> Result<ResolvedPair, DraftFault> {
    let stored = context.stored.map(|record| record.certificates.as_slice());
    ResolvedPair::of(pair, purpose, stored.unwrap_or_default(), context.now)
}

/// Keys that are not sent stay as they are stored, as the clients that update a record were not
/// shown them; without stored ones they are generated.
fn complete(keys: &KeysRequest, context: &DraftContext<'_>) -> SymmetricKeys {
    let stored = context.stored.and_then(stored_keys);
    let (primary, secondary) = match stored {
        Some(keys) => (Some(keys.primary_key), Some(keys.secondary_key)),
        None => (None, None),
    };
    let one = |sent: &Option<KeyText>, stored: Option<KeyText>| {
        sent.clone().or(stored).unwrap_or_else(context.fresh_key)
    };
    SymmetricKeys {
        primary_key: one(&keys.primary, primary),
        secondary_key: one(&keys.secondary, secondary),
    }
}

fn stored_keys(record: &EnrollmentRecord) -> Option<SymmetricKeys> {
    match Attestation::deserialize(record.document.get("attestation")?).ok()? {
        Attestation::SymmetricKey { symmetric_key } => symmetric_key,
        Attestation::X509 { .. } | Attestation::Tpm { .. } => None,
    }
}

/// An enrollment keeps the kind of attestation that it was created with: what a device proved by
/// the old kind says nothing about who holds the new credential.
fn same_kind(
    resolved: ResolvedAttestation,
    stored: Option<&EnrollmentRecord>,
) -> Result<ResolvedAttestation, DraftFault> {
    match stored {
        Some(stored) if stored.attestation != resolved.kind => {
            Err(DraftFault::AttestationChanged {
                from: stored.attestation.name(),
                to: resolved.kind.name(),
            })
        }
        _ => Ok(resolved),
    }
}
