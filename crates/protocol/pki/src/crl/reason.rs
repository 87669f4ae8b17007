/// Why a certificate is revoked: CRLReason of RFC 5280, 5.3.1. `removeFromCRL` is for delta lists
/// alone and is not one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RevocationReason {
    /// 0; written as no reason at all.
    #[default]
    Unspecified,
    /// 1: the private key is known to others.
    KeyCompromise,
    /// 2: a CA's private key is known to others.
    CaCompromise,
    /// 3: the subject's name or affiliation changed.
    AffiliationChanged,
    /// 4: another certificate replaces it.
    Superseded,
    /// 5: it is no longer needed.
    CessationOfOperation,
    /// 6: held, and may be restored.
    CertificateHold,
    /// 9: what the certificate permits was withdrawn.
    PrivilegeWithdrawn,
    /// 10: the attribute authority's key is known to others.
    AaCompromise,
}

use RevocationReason as Reason;

const ALL: [(Reason, u8, &str); 9] = [
    (Reason::Unspecified, 0, "unspecified"),
    (Reason::KeyCompromise, 1, "keyCompromise"),
    (Reason::CaCompromise, 2, "cACompromise"),
    (Reason::AffiliationChanged, 3, "affiliationChanged"),
    (Reason::Superseded, 4, "superseded"),
    (Reason::CessationOfOperation, 5, "cessationOfOperation"),
    (Reason::CertificateHold, 6, "certificateHold"),
    (Reason::PrivilegeWithdrawn, 9, "privilegeWithdrawn"),
    (Reason::AaCompromise, 10, "aACompromise"),
];

impl RevocationReason {
    /// Every reason, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter().map(|(reason, ..)| reason)
    }

    /// The name as RFC 5280 spells it, for example `keyCompromise`.
    #[must_use]
    pub fn name(self) -> &'static str {
        ALL.iter()
            .find(|(reason, ..)| *reason == self)
            .map_or("unspecified", |(.., name)| name)
    }

    /// The reason of this name, in any letter case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        ALL.iter()
            .find(|(.., known)| known.eq_ignore_ascii_case(name))
            .map(|(reason, ..)| *reason)
    }

    pub(crate) fn code(self) -> u8 {
        ALL.iter()
            .find(|(reason, ..)| *reason == self)
            .map_or(0, |(_, code, _)| *code)
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        ALL.iter()
            .find(|(_, known, _)| *known == code)
            .map(|(reason, ..)| *reason)
    }
}
