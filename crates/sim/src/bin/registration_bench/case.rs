//! What is measured.

use crate::client::Talk;
use crate::hierarchy::IssuedBy;

/// One way of calling a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Case {
    /// The bare server: verifies the chain and answers nothing.
    Bare,
    /// Registrations of devices whose issuer the server has seen.
    IssuerSeen,
    /// Registrations of devices of which each has an issuer that no server has seen.
    IssuerNew,
    /// Like `IssuerSeen`, and polled until told the hub.
    Polled,
}

impl Case {
    /// All of them, the baseline first.
    pub const ALL: [Self; 4] = [Self::Bare, Self::IssuerSeen, Self::IssuerNew, Self::Polled];

    /// For programs, and for devices' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::IssuerSeen => "issuerSeen",
            Self::IssuerNew => "issuerNew",
            Self::Polled => "polled",
        }
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare verifying server, empty answer",
            Self::IssuerSeen => "group registration, durable; issuer seen",
            Self::IssuerNew => "group registration, durable; each issuer new",
            Self::Polled => "issuer seen, and polled until assigned",
        }
    }

    /// Who issued the devices' certificates.
    pub fn issued_by(self) -> IssuedBy {
        match self {
            Self::Bare | Self::IssuerSeen | Self::Polled => IssuedBy::TheSharedIntermediate,
            Self::IssuerNew => IssuedBy::AnIntermediateOfItsOwn,
        }
    }

    /// What the devices say; `scope` is the ID scope they call.
    pub fn talk(self, scope: &str) -> Talk {
        let scope = scope.to_owned();
        match self {
            Self::Bare => Talk::Empty,
            Self::IssuerSeen | Self::IssuerNew => Talk::Registration { scope },
            Self::Polled => Talk::RegistrationAndPoll { scope },
        }
    }
}
