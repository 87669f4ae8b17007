//! Converts the results of the steps to what `provisioning` writes.

use ids::DeviceId;
use provisioning::{
    Assign, AssignError, Choice, Detail, DeviceProof, EnrollmentKey, Registrant,
    RegistrationFailure,
};
use wire::device_api::registration::{
    AttestationDetail, PresentedKey, SymmetricKeyResult, TpmResult, X509Result,
};
use wire::error::DpsErrorCode;

use crate::registration::allocate::{Allocation, AllocationError};
use crate::registration::attest::{AttestedDevice, Proof, TpmProof};
use crate::registration::enrollment::Attestation;
use crate::registration::issue::Issued;
use crate::registration::unregistered::Failure;

/// What the assigning transaction writes.
pub fn assignment(allocation: &Allocation, issued: Option<&Issued>) -> Assign {
    Assign {
        registrant: registrant(allocation.device(), allocation.device_id(), issued),
        choice: Choice {
            hub: allocation.hub().clone(),
            twin: None,
            payload: None,
            skipped: allocation.skipped().to_vec(),
        },
    }
}

pub fn registrant(
    device: &AttestedDevice,
    device_id: &DeviceId,
    issued: Option<&Issued>,
) -> Registrant {
    let enrollment = device.enrollment();
    let entry = issued.map(|issued| issued.entry().clone());
    let proof = proof(device, issued);
    Registrant {
        registration_id: device.registration_id().clone(),
        enrollment: device.matched().enrolled_by(),
        enrollment_etag: enrollment.version().clone(),
        device_id: device_id.clone(),
        iot_edge: enrollment.is_iot_edge(),
        proof,
        initial_twin: enrollment.initial_twin().clone(),
        policy: enrollment.reprovision(),
        detail: Some(Detail::of(&detail(device, issued))),
        by_secondary: is_by_secondary(device),
        issued: entry,
    }
}

/// Whether a device proved the secondary one of two certificates that its enrollment pins.
pub fn is_by_secondary(device: &AttestedDevice) -> bool {
    match (device.enrollment().attestation(), device.proof()) {
        // The primary comes first.
        (Attestation::Leaves(leaves), Proof::Leaf(leaf)) => leaves
            .get(1)
            .is_some_and(|secondary| *secondary == leaf.sha256()),
        _ => false,
    }
}

fn detail(device: &AttestedDevice, issued: Option<&Issued>) -> AttestationDetail {
    let mut detail = attestation(device);
    let issuance = device.enrollment().issuance();
    detail.trust_bundle_id.clone_from(&issuance.trust_bundle);
    match issued {
        Some(issued) => issued.add_to(detail),
        None => detail,
    }
}

fn attestation(device: &AttestedDevice) -> AttestationDetail {
    let group = match device.enrollment().key() {
        EnrollmentKey::Individual(_) => None,
        EnrollmentKey::Group(id) => Some(id.clone()),
    };
    match device.proof() {
        Proof::Leaf(leaf) => AttestationDetail {
            x509: Some(X509Result {
                certificate_info: Some(provisioning::describe(leaf)),
                enrollment_group_id: group,
                signing_certificate_info: None,
            }),
            presented_key: Some(PresentedKey {
                key_type: leaf.key_name(),
                key_bits: leaf.rsa_bits(),
                signature_algorithm: leaf.signature_name(),
            }),
            ..AttestationDetail::default()
        },
        Proof::Tpm(proof) => AttestationDetail {
            tpm: Some(TpmResult {
                authentication_key: proof.sealed.as_bytes().to_vec().into(),
            }),
            ..AttestationDetail::default()
        },
        Proof::Keys(_) => AttestationDetail {
            symmetric_key: Some(SymmetricKeyResult {
                enrollment_group_id: group,
            }),
            ..AttestationDetail::default()
        },
    }
}

/// What the hub shall accept: the certificate that is issued to the device, else the credential
/// that it just proved itself with.
fn proof(device: &AttestedDevice, issued: Option<&Issued>) -> DeviceProof {
    if let Some(issued) = issued {
        return DeviceProof::Issued {
            issued: issued.thumbprint(),
            attested: match device.proof() {
                Proof::Leaf(leaf) => Some(leaf.sha256()),
                Proof::Keys(_) | Proof::Tpm(_) => None,
            },
        };
    }
    match device.proof() {
        Proof::Leaf(leaf) => DeviceProof::Certificate(leaf.sha256()),
        Proof::Keys(keys) | Proof::Tpm(TpmProof { keys, .. }) => DeviceProof::Keys {
            primary: keys.primary.clone(),
            secondary: keys.secondary.clone(),
        },
    }
}

/// What is stored of a failure. The device reads it: it is let in.
pub fn failure(failure: &Failure) -> RegistrationFailure {
    match failure {
        Failure::Allocation(error) => RegistrationFailure {
            code: match error {
                AllocationError::AllUnhealthy(_) => DpsErrorCode::ServiceUnavailable.code(),
                _ => DpsErrorCode::LinkedHubNotFound.code(),
            },
            message: error.to_string(),
        },
        Failure::Assignment(error) => assignment_failure(error),
    }
}

/// The same for what a transaction could not write.
pub fn assignment_failure(error: &AssignError) -> RegistrationFailure {
    let code = match error {
        AssignError::UnknownHub(_) => DpsErrorCode::LinkedHubNotFound,
        AssignError::DeviceTaken { .. } | AssignError::DeviceOfOtherService { .. } => {
            DpsErrorCode::DeviceRecordConflict
        }
        AssignError::EnrollmentChanged | AssignError::IssuerChanged(_) => {
            DpsErrorCode::EnrollmentConflict
        }
        // A registration that needs a remote hub stays pending; it never ends for that.
        AssignError::Storage(_) => DpsErrorCode::InternalServerError,
    };
    RegistrationFailure {
        code: code.code(),
        message: error.to_string(),
    }
}
