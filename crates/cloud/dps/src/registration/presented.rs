//! What a device shows to prove who it is. Nothing of it is believed yet.

use std::net::IpAddr;

use aws_lc_rs::digest;
use ids::{Thumbprint, Timestamp};
use pki::{PeerChain, PresentedChain, UnreadChain};
use wire::device_api::registration::TpmClaim;
use wire::sas::UnverifiedToken;

use crate::registration::attest::SKEW;

/// The means of proof that came with a request, whatever the door.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The certificates of the TLS handshake, which proved that the device has the leaf's key.
    pub chain: Option<&'a PresentedChain>,
    /// Certificates of the handshake that are not read, and prove nothing.
    pub unread: Option<&'a UnreadChain>,
    /// A shared access signature: the `Authorization` header, or the password of an MQTT CONNECT.
    pub token: Option<Token<'a>>,
    /// The TPM that it says it has.
    pub tpm: Option<&'a TpmClaim>,
    /// Where its connection comes from. Proves nothing; the nearest hub is chosen by it.
    pub from: Option<IpAddr>,
}

/// The text of a token. It opens the service for its holder, so it is not shown.
#[derive(Clone, Copy)]
pub struct Token<'a>(&'a str);

impl<'a> Token<'a> {
    /// Wraps a text; an empty one is none, as SDKs send an empty password with a certificate.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        (!text.trim().is_empty()).then_some(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn reveal(self) -> &'a str {
        self.0
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(redacted)")
    }
}

impl<'a> Presented<'a> {
    /// What came with the handshake alone.
    #[must_use]
    pub fn by(peer: &'a PeerChain) -> Self {
        Self {
            chain: peer.presented().map(AsRef::as_ref),
            unread: peer.not_read().map(AsRef::as_ref),
            ..Self::default()
        }
    }
}

impl Presented<'_> {
    /// By what the same device is recognised when it polls: the leaf whose key it holds, or the token that it was handed
    /// for this registration.
    #[must_use]
    pub fn mark(&self) -> Option<Mark> {
        if let Some(token) = self.token {
            let digest = digest::digest(&digest::SHA256, token.reveal().as_bytes());
            let mut hash = [0; 32];
            hash.copy_from_slice(digest.as_ref());
            return Some(Mark::Token(hash));
        }
        self.chain.map(|chain| Mark::Leaf(chain.leaf().sha256()))
    }
}

impl Presented<'_> {
    /// Until when the token counts, with what clocks may differ; `None` without a token. One that cannot be read never counts.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        let token = self.token?;
        let token = UnverifiedToken::parse(token.reveal()).ok();
        Some(token.map_or(Timestamp::from_ticks(0), |token| token.expiry().plus(SKEW)))
    }
}

/// What tells one holder of a credential from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// SHA-256 of a leaf certificate.
    Leaf(Thumbprint),
    /// SHA-256 of a token.
    Token([u8; 32]),
}
