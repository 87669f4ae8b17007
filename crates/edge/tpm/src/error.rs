//! What can go wrong between the device and its TPM.

use crate::attestation::BlobFault;
use crate::code::rc;
use crate::public::PublicFault;
use crate::{KeyFileError, ResponseCode, Tcti};

#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    #[error("the TPM at {tcti} cannot be reached: {problem}")]
    Unreachable { tcti: Tcti, problem: String },
    #[error("the TPM at {tcti} did not answer {command} within {seconds} s")]
    TimedOut {
        tcti: Tcti,
        command: &'static str,
        seconds: u64,
    },
    #[error("the answer to {command} from {tcti} is not that of a TPM 2.0: {problem}")]
    Answer {
        tcti: Tcti,
        command: &'static str,
        problem: &'static str,
    },
    #[error("the TPM refused {command}: {code}")]
    Refused {
        command: &'static str,
        code: ResponseCode,
    },
    #[error(
        "the TPM has no key at {0:#010x}: it was cleared, or it is another TPM than the one that \
         the device registered with; register again with `iotedge system reprovision`"
    )]
    KeyGone(u32),
    #[error(
        "the key belongs to another storage root key: the ownership of the TPM was cleared, or it \
         is another TPM; register again with `iotedge system reprovision`"
    )]
    OtherOwner,
    #[error("the TPM has no key at {0:#010x}")]
    NoKey(u32),
    #[error("the key at {handle:#010x} cannot be used")]
    Public { handle: u32, source: PublicFault },
    #[error("what the service sent for the TPM cannot be used")]
    Blob(#[from] BlobFault),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error("{0:#010x} is not a handle of a persistent object, 0x81000000 to 0x817fffff")]
    NotPersistent(u32),
    #[error(
        "{0:#010x} is the handle of the TPM's storage root key (0x81000001) or endorsement key \
         (0x81010001); choose another, such as 0x81000002"
    )]
    Reserved(u32),
    #[error("a key of this kind does not sign with {0:?} in a TPM")]
    Scheme(pki::SignatureScheme),
    #[error(
        "this TPM makes RSA-PSS signatures with a salt that TLS does not accept; use a P-256 key, \
         or an RSA key that may also decrypt"
    )]
    PssSalt,
    #[error("the cryptographic library failed")]
    Library,
}

impl From<aws_lc_rs::error::Unspecified> for TpmError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Library
    }
}

impl TpmError {
    /// Whether the TPM no longer has the key that the device registered with. Another
    /// registration gives it one.
    #[must_use]
    pub fn key_is_lost(&self) -> bool {
        matches!(self, Self::KeyGone(_) | Self::OtherOwner)
    }

    /// Whether the same call may succeed later without a change.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => code.is_transient() || code.base() == rc::LOCKOUT,
            _ => false,
        }
    }

    pub(crate) fn is_refused_with(&self, code: u32) -> bool {
        matches!(self, Self::Refused { code: given, .. } if given.base() == code)
    }
}
