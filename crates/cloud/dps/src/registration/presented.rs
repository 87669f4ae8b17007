//! What a device presents to prove who it is. Nothing of it is verified yet.

use std::net::IpAddr;

use aws_lc_rs::digest;
use ids::{Thumbprint, Timestamp};
use pki::{PeerChain, PresentedChain, UnreadChain};
use wire::device_api::register_request::TpmClaim;
use wire::sas::{CLOCK_SKEW, UnverifiedToken};

/// The means of proof that came with a request, over any transport.
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The certificates of the TLS handshake, which proved that the device has the leaf's key.
    pub chain: Option<&'a PresentedChain>,
    /// Certificates of the handshake that are not read, and prove nothing.
    pub unread: Option<&'a UnreadChain>,
    /// A shared access signature: the `Authorization` header, or the password of an MQTT CONNECT.
    pub token: Option<Token<'a>>,
    pub tpm: Option<&'a TpmClaim>,
    /// Where its connection comes from. Proves nothing; the nearest hub is chosen by it.
    pub from: Option<IpAddr>,
}

/// The text of a token. It opens the service for its holder, so it is redacted.
#[derive(Clone, Copy)]
pub struct Token<'a>(&'a str);

impl<'a> Token<'a> {
    /// `None` for an empty text: SDKs send an empty password with a certificate.
    pub fn from_text(text: &'a str) -> Option<Self> {
        (!text.trim().is_empty()).then_some(Self(text))
    }

    pub fn reveal(self) -> &'a str {
        self.0
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(redacted)")
    }
}

impl<'a> From<&'a PeerChain> for Presented<'a> {
    /// What came with the handshake alone.
    fn from(peer: &'a PeerChain) -> Self {
        Self {
            chain: peer.presented().map(AsRef::as_ref),
            unread: peer.not_read().map(AsRef::as_ref),
            ..Self::default()
        }
    }
}

impl Presented<'_> {
    /// Recognises the same device when it polls: by the leaf whose key it holds, or by the token
    /// that it got for this registration.
    pub fn credential_fingerprint(&self) -> Option<CredentialFingerprint> {
        if let Some(token) = self.token {
            let digest = digest::digest(&digest::SHA256, token.reveal().as_bytes());
            let mut hash = [0; 32];
            hash.copy_from_slice(digest.as_ref());
            return Some(CredentialFingerprint::Token(hash));
        }
        let leaf = |chain: &PresentedChain| chain.leaf().sha256();
        self.chain
            .map(|chain| CredentialFingerprint::Leaf(leaf(chain)))
    }

    /// Until when the token counts, clock skew included; `None` without a token. One that
    /// cannot be parsed never counts.
    pub fn expiry(&self) -> Option<Timestamp> {
        let token = self.token?;
        let token = UnverifiedToken::parse(token.reveal()).ok();
        Some(token.map_or(Timestamp::from_ticks(0), |token| {
            token.expiry().plus(CLOCK_SKEW)
        }))
    }
}

/// Tells one holder of a credential from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialFingerprint {
    /// SHA-256 of a leaf certificate.
    Leaf(Thumbprint),
    /// SHA-256 of a token.
    Token([u8; 32]),
}
