//! Why a device has not proved that it is the one that it says it is.

use ids::RegistrationId;
use pki::tpm::ActivationBlob;
use registry::StorageError;

use crate::registration::enrollment::UnreadableEnrollment;
use crate::registration::refusal::Refusal;

#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    #[error(transparent)]
    Refused(#[from] Box<Refusal>),
    /// The ordinary answer to the first request of a TPM.
    #[error("the TPM has to answer a challenge")]
    Challenged(Box<Challenge>),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    UnreadableEnrollment(#[from] UnreadableEnrollment),
}

/// What a device has to prove its TPM with.
#[derive(Debug)]
pub struct Challenge {
    pub registration_id: RegistrationId,
    /// The key to sign a token with, wrapped for the TPM.
    pub sealed: ActivationBlob,
}
