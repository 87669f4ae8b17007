use super::Revocations;
use crate::ServerName;

/// The use of a leaf. An extendedKeyUsage of the leaf or of its issuers must allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A device authenticates to a server.
    ClientAuth,
    /// A server authenticates to clients of all kinds, some of which refuse what does not conform
    /// to RFC 5280 in every part. Its path is held to all of it ([`ConformityFault`]).
    ///
    /// [`ConformityFault`]: super::ConformityFault
    ServerAuth,
    /// A CA certificate that issues others.
    Issue,
    /// No use in particular: the path alone is verified.
    Any,
}

/// What a path must be for the one that verifies it.
#[derive(Clone, Copy)]
pub struct PathRules<'a> {
    /// The use of the leaf.
    pub purpose: Purpose,
    /// The name under which a client reached the server.
    pub server_name: Option<&'a ServerName>,
    /// Most CAs between leaf and trust anchor, without those that renewed their own certificate.
    pub max_issuers: Option<u32>,
    /// How revocation is looked up.
    pub revocation: RevocationCheck<'a>,
}

/// What is asked about the revocation of a path's certificates.
#[derive(Clone, Copy)]
pub enum RevocationCheck<'a> {
    /// Nothing: revocation is a state of the enrollment or of the device, as in DPS.
    NotAsked,
    /// No certificate may be known to be revoked; of some nothing may be known.
    WhereKnown(&'a dyn Revocations),
    /// The leaf must be known not to be revoked. Of issuers nothing may be known, because a root
    /// is kept offline and rarely publishes a list.
    OfLeaf(&'a dyn Revocations),
}

impl PathRules<'static> {
    /// The rules for device certificates at DPS, EST and the hub.
    pub const DEVICE: Self = Self::new(Purpose::ClientAuth);

    /// The rules of a purpose, without a name, a limit or revocations.
    #[must_use]
    pub const fn new(purpose: Purpose) -> Self {
        Self {
            purpose,
            server_name: None,
            max_issuers: None,
            revocation: RevocationCheck::NotAsked,
        }
    }
}
