//! The comparisons of a walk, as operators read them.

use pki::{Certificate, PresentedChain};
use provisioning::{
    CertificateSlot, EnrolledCaCertificate, EnrolledCertificate, EnrollmentKey, EnrollmentRecord,
};
use wire::muster_api::explain::{ComparedCertificate, ComparedEnrollment};

use super::{Outcome, pins};
use crate::registration::attest::{Comparison, Credential, Finding};
use crate::registration::context::Context;
use crate::registration::not_proven::NotProven;
use crate::registration::refusal::RefusalReason;
use ids::error_chain;

/// How many are listed, beside the one that decides: a token is tried with the keys of every group.
const MOST: usize = 100;

/// Beside these, findings have the codes of refusals.
const MATCHED: &str = "matched";
/// It matches, and another one came first.
const LATER: &str = "another_decided";
const NEARER: &str = "nearer_group_decides";
const ABSENT: &str = "absent";

/// The list, and how many are left out of it.
pub(super) async fn describe(
    trace: &[Comparison],
    outcome: &Outcome,
    presented: Option<&PresentedChain>,
    context: &Context,
) -> Result<(Vec<ComparedEnrollment>, usize), NotProven> {
    let decider = decider(trace, outcome);
    let listed = |index: &usize| *index < MOST || Some(*index) == decider;
    let mut documents = Vec::new();
    for index in (0..trace.len()).filter(listed) {
        let comparison = &trace[index];
        // The slot of a certificate is not in the parsed enrollment.
        let record = match comparison.with {
            Credential::CaCertificate(_) | Credential::Leaf(_) => {
                let provisioning = &context.provisioning;
                provisioning.enrollment(&comparison.enrollment).await?
            }
            Credential::Any | Credential::Key { .. } | Credential::Tpm => None,
        };
        let decides = Some(index) == decider;
        let mut document = document(comparison, record.as_deref(), presented, decides);
        if decides && matches!(comparison.finding, Finding::Fails(RefusalReason::NotPinned)) {
            let leaf = presented.map(PresentedChain::leaf);
            if let Some((leaf, enrollment)) = leaf.zip(record.as_deref()) {
                let note = pins::on_unpinned(leaf, enrollment, &context.provisioning)?;
                document
                    .message
                    .extend(note.map(|note| format!("; {note}")));
            }
        }
        documents.push(document);
    }
    let left_out = trace.len() - documents.len();
    Ok((documents, left_out))
}

/// Which of the comparisons decided.
fn decider(trace: &[Comparison], outcome: &Outcome) -> Option<usize> {
    let (key, code) = match outcome {
        Outcome::LetIn(key, _) => (key, MATCHED),
        Outcome::Refused(refusal) => (refusal.enrollment.as_ref()?, refusal.reason.code()),
    };
    let decides = |one: &Comparison| one.enrollment == *key && code_of(&one.finding) == code;
    trace.iter().position(decides)
}

fn code_of(finding: &Finding) -> &'static str {
    match finding {
        Finding::Matches => MATCHED,
        Finding::Fails(reason) => reason.code(),
        Finding::NearerGroup(_) => NEARER,
        Finding::NoEnrollment => ABSENT,
    }
}

fn document(
    comparison: &Comparison,
    record: Option<&EnrollmentRecord>,
    presented: Option<&PresentedChain>,
    decides: bool,
) -> ComparedEnrollment {
    let (outcome, message) = match &comparison.finding {
        Finding::Matches if decides => (MATCHED, "it vouches for the device".to_owned()),
        Finding::Matches => (LATER, "it would match, and another came first".to_owned()),
        Finding::Fails(reason) => (reason.code(), error_chain(reason)),
        Finding::NearerGroup(other) => (
            NEARER,
            format!(
                "the chain leads here past the certificate of {other}, which is nearer and decides"
            ),
        ),
        Finding::NoEnrollment => (
            ABSENT,
            "no individual enrollment has this registration id: groups are asked".to_owned(),
        ),
    };
    ComparedEnrollment {
        enrollment: comparison.enrollment.to_string(),
        by: slot_of(&comparison.with, &comparison.enrollment, record),
        certificate: certificate(&comparison.with, record, presented),
        outcome: outcome.to_owned(),
        message,
        decides,
    }
}

fn slot_of(
    with: &Credential,
    key: &EnrollmentKey,
    record: Option<&EnrollmentRecord>,
) -> Option<String> {
    match with {
        Credential::Any => None,
        Credential::Tpm => Some("TPM".to_owned()),
        Credential::Key {
            slot,
            derived_for: None,
        } => Some(format!("{} key", slot.name())),
        Credential::Key {
            slot,
            derived_for: Some(name),
        } => Some(format!("{} key, derived for {name}", slot.name())),
        Credential::Leaf(leaf) => {
            let mut own = record?.certificates.iter();
            let own = own.find(|own| own.thumbprint == *leaf)?;
            Some(format!("{} certificate", slot(own.slot)))
        }
        Credential::CaCertificate(certificate) => Some(match origin(certificate, record?)? {
            Origin::Own(own) if matches!(key, EnrollmentKey::Group(_)) => {
                format!("{} certificate", slot(own.slot))
            }
            Origin::Own(own) => format!("{} CA certificate", slot(own.slot)),
            Origin::CaCertificate(ca_certificate) => {
                format!(
                    "{} CA certificate {}",
                    slot(ca_certificate.slot),
                    ca_certificate.name
                )
            }
        }),
    }
}

/// Where in its enrollment a CA certificate is.
enum Origin<'r> {
    Own(&'r EnrolledCertificate),
    CaCertificate(&'r EnrolledCaCertificate),
}

fn origin<'r>(certificate: &Certificate, record: &'r EnrollmentRecord) -> Option<Origin<'r>> {
    let mut own = record.certificates.iter();
    if let Some(own) = own.find(|own| own.thumbprint == certificate.sha256()) {
        return Some(Origin::Own(own));
    }
    let mut ca_certificates = record.ca_certificates.iter();
    let ca_certificate =
        ca_certificates.find(|ca_certificate| ca_certificate.der == certificate.der())?;
    Some(Origin::CaCertificate(ca_certificate))
}

fn slot(slot: CertificateSlot) -> &'static str {
    match slot {
        CertificateSlot::Primary => "primary",
        CertificateSlot::Secondary => "secondary",
    }
}

fn certificate(
    with: &Credential,
    record: Option<&EnrollmentRecord>,
    presented: Option<&PresentedChain>,
) -> Option<ComparedCertificate> {
    let certificate = match with {
        Credential::CaCertificate(certificate) => certificate.clone(),
        Credential::Leaf(leaf) => {
            let mut own = record?.certificates.iter();
            let own = own.find(|own| own.thumbprint == *leaf)?;
            Certificate::from_der(own.der.as_slice()).ok()?
        }
        Credential::Any | Credential::Key { .. } | Credential::Tpm => return None,
    };
    let mut all = presented
        .into_iter()
        .flat_map(|chain| std::iter::once(chain.leaf()).chain(chain.issuers()));
    Some(ComparedCertificate {
        subject: certificate.subject(),
        sha256_thumbprint: certificate.sha256().to_string(),
        shown_as: all.position(|one| *one == certificate).map(|at| at + 1),
    })
}
