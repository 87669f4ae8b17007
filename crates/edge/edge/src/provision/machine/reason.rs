//! When to register although there is an assignment.

use super::event::{FailureKind, Offer};
use super::{KeptAssignment, Machine};
use crate::config::ReprovisioningMode;
use crate::provision::basis::Origin;

/// Why to register although the assignment fits the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The owner or a module asked for it.
    Asked,
    /// `auto_reprovisioning_mode` wants it at every start.
    Startup,
    /// The hub refused the device.
    Refused,
    /// The hub's server has another name now.
    Renamed,
    /// The TPM does not have the key for the hub any more.
    KeyLost,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Asked => "it was asked for",
            Self::Startup => "auto_reprovisioning_mode is AlwaysOnStartup",
            Self::Refused => "the hub refused the device",
            Self::Renamed => "the hub's server has another name now",
            Self::KeyLost => "the TPM does not have the key for the hub any more",
        })
    }
}

impl Reason {
    /// Whether a failure at the hub is a reason to register. `accepted` is true when a hub has
    /// accepted the device since the start.
    #[must_use]
    pub fn after(kind: FailureKind, mode: ReprovisioningMode, accepted: bool) -> Option<Self> {
        let reason = match kind {
            FailureKind::Unavailable => return None,
            FailureKind::Device | FailureKind::Agent => Self::Refused,
            FailureKind::OtherName => Self::Renamed,
            FailureKind::KeyLost => Self::KeyLost,
        };
        let registers = match mode {
            ReprovisioningMode::Dynamic | ReprovisioningMode::AlwaysOnStartup => true,
            ReprovisioningMode::OnErrorOnly => !accepted,
        };
        registers.then_some(reason)
    }
}

impl Machine {
    /// Why to register in this round, in words.
    pub(super) fn why_register(&self, offers: &[Offer]) -> Option<String> {
        let newest = offers.first()?;
        if matches!(newest.basis.origin, Origin::Manual { .. }) {
            return None;
        }
        if let Some(reason) = self.owed {
            return Some(reason.to_string());
        }
        let stands = |candidate: &KeptAssignment| candidate.basis == newest.basis;
        if self.candidate.as_ref().is_some_and(stands) {
            return None;
        }
        let Some(kept) = &self.kept else {
            return Some("the device has no assignment yet".to_owned());
        };
        if newest.hub_credential.is_none() {
            return Some("the provisioning service issues the device's certificate".to_owned());
        }
        let mut differences = kept.basis.origin.differences(&newest.basis.origin);
        if !offers
            .iter()
            .any(|o| kept.basis.has_credential_of(&o.basis))
        {
            differences.extend(kept.basis.credential_differences(&newest.basis));
        }
        (!differences.is_empty()).then(|| format!("{} changed", differences.join(", ")))
    }
}
