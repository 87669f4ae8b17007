//! The enrollments that were tried, as operators read them.

use pki::{Certificate, PresentedChain};
use provisioning::{
    CertificateSlot, EnrolledCaCertificate, EnrolledCertificate, EnrollmentKey, EnrollmentRecord,
};
use wire::muster_api::explain::{TriedCertificate, TriedEnrollment};

use super::Judged;
use crate::registration::attest::{Means, Outcome, Trial};
use crate::registration::refusal::{NotProven, with_causes};
use crate::registration::register::Deps;

/// Listed, beside the one that decides: a token is tried with the keys of every group.
const MOST: usize = 100;

/// What matched; everything else is a reason code.
const MATCHED: &str = "matched";
/// Matched too, and another came first.
const LATER: &str = "another_decided";
/// On the way to it there is the certificate of another group.
const NEARER: &str = "nearer_group_decides";
/// There is no such entry.
const ABSENT: &str = "absent";

/// The list, and how many are left out of it.
pub(crate) async fn documents(
    trials: &[Trial],
    judged: &Judged,
    shown: Option<&PresentedChain>,
    deps: &Deps,
) -> Result<(Vec<TriedEnrollment>, usize), NotProven> {
    let decider = decider(trials, judged);
    let listed = |index: &usize| *index < MOST || Some(*index) == decider;
    let mut documents = Vec::new();
    for index in (0..trials.len()).filter(listed) {
        let trial = &trials[index];
        // What is not in the parsed entry: which slot a certificate is in.
        let record = match trial.by {
            Means::Anchor(_) | Means::Leaf(_) => deps.registry.enrollment(&trial.key).await?,
            Means::Entry | Means::Key(..) | Means::Tpm => None,
        };
        documents.push(document(
            trial,
            record.as_deref(),
            shown,
            Some(index) == decider,
        ));
    }
    let left_out = trials.len() - documents.len();
    Ok((documents, left_out))
}

/// Which of the trials the verdict rests on.
fn decider(trials: &[Trial], judged: &Judged) -> Option<usize> {
    let (key, code) = match judged {
        Judged::LetIn(key, _) => (key, MATCHED),
        Judged::Refused(refusal) => (refusal.enrollment.as_ref()?, refusal.reason.code()),
    };
    trials
        .iter()
        .position(|trial| trial.key == *key && code_of(&trial.outcome) == code)
}

fn code_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Matched => MATCHED,
        Outcome::Not(reason) => reason.code(),
        Outcome::Nearer(_) => NEARER,
        Outcome::Absent => ABSENT,
    }
}

fn document(
    trial: &Trial,
    record: Option<&EnrollmentRecord>,
    shown: Option<&PresentedChain>,
    decides: bool,
) -> TriedEnrollment {
    let (outcome, message) = match &trial.outcome {
        Outcome::Matched if decides => (MATCHED, "it vouches for the device".to_owned()),
        Outcome::Matched => (LATER, "it would match, and another came first".to_owned()),
        Outcome::Not(reason) => (reason.code(), with_causes(reason)),
        Outcome::Nearer(other) => (
            NEARER,
            format!(
                "the chain leads here past the certificate of {other}, which is nearer and decides"
            ),
        ),
        Outcome::Absent => (
            ABSENT,
            "there is none of this registration id: groups are asked".to_owned(),
        ),
    };
    TriedEnrollment {
        enrollment: trial.key.to_string(),
        by: by(&trial.by, &trial.key, record),
        certificate: certificate(&trial.by, record, shown),
        outcome: outcome.to_owned(),
        message,
        decides,
    }
}

fn by(means: &Means, key: &EnrollmentKey, record: Option<&EnrollmentRecord>) -> Option<String> {
    match means {
        Means::Entry => None,
        Means::Tpm => Some("TPM".to_owned()),
        Means::Key(slot, None) => Some(format!("{slot} key")),
        Means::Key(slot, Some(name)) => Some(format!("{slot} key, derived for {name}")),
        Means::Leaf(leaf) => {
            let mut own = record?.certificates.iter();
            let own = own.find(|own| own.thumbprint == *leaf)?;
            Some(format!("{} certificate", slot(own.slot)))
        }
        Means::Anchor(certificate) => Some(match of_anchor(certificate, record?)? {
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

/// Where in its entry a CA's certificate is.
enum Origin<'r> {
    Own(&'r EnrolledCertificate),
    CaCertificate(&'r EnrolledCaCertificate),
}

fn of_anchor<'r>(certificate: &Certificate, record: &'r EnrollmentRecord) -> Option<Origin<'r>> {
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
    means: &Means,
    record: Option<&EnrollmentRecord>,
    shown: Option<&PresentedChain>,
) -> Option<TriedCertificate> {
    let certificate = match means {
        Means::Anchor(certificate) => certificate.clone(),
        Means::Leaf(leaf) => {
            let mut own = record?.certificates.iter();
            let own = own.find(|own| own.thumbprint == *leaf)?;
            Certificate::from_der(own.der.as_slice()).ok()?
        }
        Means::Entry | Means::Key(..) | Means::Tpm => return None,
    };
    let mut all = shown
        .into_iter()
        .flat_map(|shown| std::iter::once(shown.leaf()).chain(shown.issuers()));
    Some(TriedCertificate {
        subject: certificate.subject(),
        sha256_thumbprint: certificate.sha256().to_string(),
        shown_as: all.position(|one| *one == certificate).map(|at| at + 1),
    })
}
