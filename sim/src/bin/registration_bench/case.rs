use crate::client::Talk;
use sim::measure::IssuedBy;

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
    /// Like `IssuerSeen`, at a server with few devices.
    AmongFew,
    /// Like `IssuerSeen`, at a server with many devices.
    AmongMany,
}

impl Case {
    /// What is measured of an empty server, the baseline first.
    pub const EMPTY: [Self; 4] = [Self::Bare, Self::IssuerSeen, Self::IssuerNew, Self::Polled];
    /// What is measured of a large fleet, the baseline first.
    pub const STORED: [Self; 3] = [Self::Bare, Self::AmongFew, Self::AmongMany];

    /// For programs, and for devices' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::IssuerSeen => "issuerSeen",
            Self::IssuerNew => "issuerNew",
            Self::Polled => "polled",
            Self::AmongFew => "amongFew",
            Self::AmongMany => "amongMany",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare verifying server, empty answer",
            Self::IssuerSeen => "group registration, durable; issuer seen",
            Self::IssuerNew => "group registration, durable; each issuer new",
            Self::Polled => "issuer seen, and polled until assigned",
            Self::AmongFew => "group registration, durable; few stored",
            Self::AmongMany => "group registration, durable; many stored",
        }
    }

    /// Who issued the devices' certificates.
    pub fn issued_by(self) -> IssuedBy {
        match self {
            Self::IssuerNew => IssuedBy::AnIntermediateOfItsOwn,
            _ => IssuedBy::TheSharedIntermediate,
        }
    }

    /// What the devices say; `scope` is the ID scope they call.
    pub fn talk(self, scope: &str) -> Talk {
        let scope = scope.to_owned();
        match self {
            Self::Bare => Talk::Empty,
            Self::Polled => Talk::RegistrationAndPoll { scope },
            _ => Talk::Registration { scope },
        }
    }
}
