//! Why a walk through the steps does not register the device.

use provisioning::{AssignError, EnrolledBy};

use crate::registration::allocate::{AllocationError, Unallocated};
use crate::registration::issue::IssueFault;
use crate::registration::not_proven::NotProven;
use crate::registration::refusal::Refusal;

#[derive(Debug)]
pub enum Unregistered {
    Rejected(RegisterError),
    Unassigned(Unassigned),
}

/// The device is not registered, and nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    NotProven(#[from] NotProven),
    /// The device is let in, and does not get the certificate that it asked for.
    #[error(transparent)]
    NotIssued(#[from] IssueFault),
}

/// The device is let in, and cannot be assigned.
#[derive(Debug)]
pub struct Unassigned {
    pub enrolled_by: EnrolledBy,
    pub cause: Failure,
}

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    #[error(transparent)]
    Assignment(#[from] AssignError),
}

impl Unassigned {
    /// Whether the enrollment that decides is not the one that the device proved itself to, or its
    /// issuer has changed: another walk may come to something else.
    pub fn is_changed_meanwhile(&self) -> bool {
        matches!(
            self.cause,
            Failure::Assignment(AssignError::EnrollmentChanged | AssignError::IssuerChanged(_))
        )
    }
}

impl From<Box<Refusal>> for Unregistered {
    fn from(refusal: Box<Refusal>) -> Self {
        NotProven::from(refusal).into()
    }
}

impl From<NotProven> for Unregistered {
    fn from(error: NotProven) -> Self {
        Self::Rejected(error.into())
    }
}

impl From<IssueFault> for Unregistered {
    fn from(fault: IssueFault) -> Self {
        Self::Rejected(fault.into())
    }
}

impl From<Box<Unallocated>> for Unregistered {
    fn from(unallocated: Box<Unallocated>) -> Self {
        Self::Unassigned(Unassigned {
            enrolled_by: unallocated.device.matched().enrolled_by(),
            cause: unallocated.error.into(),
        })
    }
}
