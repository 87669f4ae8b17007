//! The assignment that the device works with, and when to register for another one.

use std::path::Path;

use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Dps, ReprovisioningMode};
use crate::files::durable::{self, DurableError};

/// What an assignment was requested with. When any of it changes, the device registers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationParameters {
    pub endpoint: HubHost,
    pub id_scope: IdScope,
    pub registration_id: RegistrationId,
    /// SHA-256 of the credential's public key, hexadecimal.
    pub key_digest: String,
}

impl RegistrationParameters {
    #[must_use]
    pub fn new(dps: &Dps, registration_id: &RegistrationId, key_digest: &str) -> Self {
        Self {
            endpoint: dps.endpoint.clone(),
            id_scope: dps.id_scope.clone(),
            registration_id: registration_id.clone(),
            key_digest: key_digest.to_owned(),
        }
    }

    /// The names of the parameters that differ.
    #[must_use]
    pub fn differences(&self, newer: &Self) -> Vec<&'static str> {
        let same = [
            (self.endpoint == newer.endpoint, "global_endpoint"),
            (self.id_scope == newer.id_scope, "id_scope"),
            (
                self.registration_id.folded() == newer.registration_id.folded(),
                "registration_id",
            ),
            (self.key_digest == newer.key_digest, "the identity's key"),
        ];
        same.into_iter()
            .filter(|(same, _)| !same)
            .map(|(_, what)| what)
            .collect()
    }
}

/// A hub, and the id of the device there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceLocation {
    pub hub: HubHost,
    pub device_id: DeviceId,
}

/// An assignment, as kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptAssignment {
    #[serde(rename = "home")]
    pub location: DeviceLocation,
    #[serde(rename = "basis")]
    pub parameters: RegistrationParameters,
    /// When it was made.
    pub since: Timestamp,
}

impl KeptAssignment {
    /// Reads the kept assignment. A damaged file counts as none, because the service
    /// can be asked again.
    pub fn load(path: &Path) -> Result<Option<Self>, DurableError> {
        match durable::read_json(path) {
            Err(DurableError::Damaged { path, source }) => {
                tracing::warn!(
                    path = %path.display(),
                    error = %source,
                    "the kept assignment is damaged; registering again"
                );
                Ok(None)
            }
            other => other,
        }
    }

    /// Writes it to disk.
    pub fn save(&self, path: &Path) -> Result<(), DurableError> {
        durable::write_json(path, self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssignmentDecision {
    UseKept,
    Register(String),
}

/// Decides before an attempt to connect. Without a readable credential (`parameters` is `None`) the
/// kept assignment is used. `starting` is true for the first attempt since the start.
#[must_use]
pub fn decide(
    kept: Option<&KeptAssignment>,
    parameters: Option<&RegistrationParameters>,
    mode: ReprovisioningMode,
    starting: bool,
) -> AssignmentDecision {
    let Some(kept) = kept else {
        return AssignmentDecision::Register("the device has no assignment yet".to_owned());
    };
    let Some(parameters) = parameters else {
        return AssignmentDecision::UseKept;
    };
    let differences = kept.parameters.differences(parameters);
    if !differences.is_empty() {
        return AssignmentDecision::Register(format!("{} changed", differences.join(", ")));
    }
    if starting && mode == ReprovisioningMode::AlwaysOnStartup {
        return AssignmentDecision::Register(
            "auto_reprovisioning_mode is AlwaysOnStartup".to_owned(),
        );
    }
    AssignmentDecision::UseKept
}

/// The credential that a hub refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedCredential {
    /// The device's own, refused by the hub's registry.
    Device,
    /// The agent's token, refused by the hub's MQTT endpoint.
    Agent,
}

/// Whether a refusal is a reason to register again.
#[must_use]
pub fn must_register_after(refused: RefusedCredential, mode: ReprovisioningMode) -> bool {
    match (refused, mode) {
        (RefusedCredential::Device, _) => true,
        (RefusedCredential::Agent, mode) => mode != ReprovisioningMode::OnErrorOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> RegistrationParameters {
        RegistrationParameters {
            endpoint: HubHost::parse("dps.example").unwrap(),
            id_scope: IdScope::parse("0ne1").unwrap(),
            registration_id: RegistrationId::parse("d1").unwrap(),
            key_digest: "k".into(),
        }
    }

    fn kept() -> KeptAssignment {
        let location = DeviceLocation {
            hub: HubHost::parse("hub.example").unwrap(),
            device_id: DeviceId::parse("d1").unwrap(),
        };
        KeptAssignment {
            location,
            parameters: parameters(),
            since: Timestamp::from_unix_seconds(0),
        }
    }

    #[test]
    fn the_kept_assignment_is_used_while_its_parameters_are_the_same() {
        let next = |parameters: Option<&RegistrationParameters>| {
            decide(Some(&kept()), parameters, ReprovisioningMode::Dynamic, true)
        };
        assert_eq!(next(Some(&parameters())), AssignmentDecision::UseKept);
        assert_eq!(next(None), AssignmentDecision::UseKept);
        let spelled = RegistrationParameters {
            registration_id: RegistrationId::parse("D1").unwrap(),
            ..parameters()
        };
        assert_eq!(next(Some(&spelled)), AssignmentDecision::UseKept);
    }

    #[test]
    fn t18_a_changed_scope_or_key_registers_again() {
        let scope = RegistrationParameters {
            id_scope: IdScope::parse("0ne2").unwrap(),
            key_digest: "other".into(),
            ..parameters()
        };
        let expected = AssignmentDecision::Register("id_scope, the identity's key changed".into());
        assert_eq!(
            decide(
                Some(&kept()),
                Some(&scope),
                ReprovisioningMode::OnErrorOnly,
                false
            ),
            expected
        );
    }

    #[test]
    fn the_modes_differ_at_start_and_after_refusals() {
        use ReprovisioningMode::{AlwaysOnStartup, Dynamic, OnErrorOnly};
        let at = |mode, starting| {
            decide(Some(&kept()), Some(&parameters()), mode, starting)
                == AssignmentDecision::UseKept
        };
        assert!(
            at(Dynamic, true)
                && at(OnErrorOnly, true)
                && !at(AlwaysOnStartup, true)
                && at(AlwaysOnStartup, false)
        );
        assert!(
            must_register_after(RefusedCredential::Agent, Dynamic)
                && !must_register_after(RefusedCredential::Agent, OnErrorOnly)
        );
        assert!(must_register_after(RefusedCredential::Device, OnErrorOnly));
    }

    #[test]
    fn a_damaged_file_counts_as_no_assignment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assignment.json");
        kept().save(&path).unwrap();
        assert_eq!(KeptAssignment::load(&path).unwrap(), Some(kept()));
        std::fs::write(&path, "{\"home\"").unwrap();
        assert_eq!(KeptAssignment::load(&path).unwrap(), None);
    }
}
