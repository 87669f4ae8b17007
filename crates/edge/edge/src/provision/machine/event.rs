//! What happens to the machine, and what it wants done.

use std::time::Duration;

use super::super::assignment::KeptAssignment;
use super::super::basis::Basis;

/// What the device can prove itself with now. The newest comes first: during a renewal of its
/// certificate a device has two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub basis: Basis,
    /// A digest of the credential for the hub. `None` when the provisioning service has to issue
    /// it first.
    pub hub_credential: Option<String>,
}

/// An assignment, and the offer with which its hub is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub assignment: KeptAssignment,
    /// The index of the offer among those that were read last.
    pub offer: usize,
    pub hub_credential: String,
}

impl Target {
    /// Whether it is the same hub and device, opened with the same credential. A key of a TPM is
    /// another one after each registration.
    #[must_use]
    pub fn opens_as(&self, other: &Self) -> bool {
        self.assignment.location == other.assignment.location
            && self.assignment.tpm_key == other.assignment.tpm_key
            && self.hub_credential == other.hub_credential
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Begin,
    /// The wait of [`Effect::Wait`] is over.
    PauseOver,
    /// Something that the device proves itself with may have changed.
    Woken,
    /// The owner or a module asks for a registration.
    Asked,
    /// What [`Effect::Read`] found, the newest first, or why nothing can be used.
    Read(Result<Vec<Offer>, String>),
    Registered(Result<KeptAssignment, Failed>),
    /// The hub has accepted the device. The session waits to be started.
    Connected,
    /// The hub was not reached, or has not accepted the device.
    Refused(Failed),
    SessionEnded {
        lasted: Duration,
        problem: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Read the credentials: answer with [`Event::Read`].
    Read,
    /// Register with the offer at this index: answer with [`Event::Registered`].
    Register { offer: usize, reason: String },
    /// Open a session: answer with [`Event::Connected`] or [`Event::Refused`].
    Connect { target: Target, renew_keys: bool },
    /// Write the assignment to disk, and publish it.
    Keep(KeptAssignment),
    /// Replace the running session, if there is one, with that of the last [`Event::Connected`].
    StartSession,
    /// The hub has accepted this credential.
    Proven(String),
    /// The hub has refused the first credential of the two, and accepted the second.
    Disproven(String),
    /// Answer those who asked for a registration.
    Answer(Result<(), String>),
    /// Send [`Event::PauseOver`] after this time. It replaces an earlier wait.
    Wait(Duration),
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub kind: FailureKind,
    pub problem: String,
    /// The pause that the server asks for.
    pub retry_after: Option<Duration>,
}

impl Failed {
    #[must_use]
    pub fn unavailable(problem: String) -> Self {
        Self {
            kind: FailureKind::Unavailable,
            problem,
            retry_after: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server was not reached, was busy, or the cause is on this device.
    Unavailable,
    /// The server does not know the device, or refuses its credential.
    Device,
    /// The hub refuses the token of the agent.
    Agent,
    /// The TPM does not have the key of the assignment any more.
    KeyLost,
    /// The server proves itself with the certificate of another name.
    OtherName,
}
