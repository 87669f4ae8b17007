use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of certificates that are issued for requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileKind {
    /// An edge device's identity towards DPS and hub. Its CN is a registration id.
    #[default]
    EdgeIdentity,
    /// The CA of an edge device, which issues its modules' server certificates.
    EdgeCa,
    /// A TLS server on an edge device: the only kind with names of its own.
    EdgeServer,
    /// A device that runs no edge modules. Its CN is a registration id.
    Device,
    /// A proof that the issuer's key is at hand. Its CN is a verification code.
    Verification,
}

impl ProfileKind {
    /// In the order of the documentation.
    pub const ALL: [Self; 5] = [
        Self::EdgeIdentity,
        Self::EdgeCa,
        Self::EdgeServer,
        Self::Device,
        Self::Verification,
    ];

    /// The word in configurations, JSON and commands, for example `edge-identity`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdgeIdentity => "edge-identity",
            Self::EdgeCa => "edge-ca",
            Self::EdgeServer => "edge-server",
            Self::Device => "device",
            Self::Verification => "verification",
        }
    }

    /// The kind of a word, in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Whether the common name of its certificates is a registration id, so that they prove which
    /// device has them.
    #[must_use]
    pub fn is_identity(self) -> bool {
        match self {
            Self::EdgeIdentity | Self::Device => true,
            Self::EdgeCa | Self::EdgeServer | Self::Verification => false,
        }
    }
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
