//! The assignment that the device works with, kept with what it was got for.

use std::path::Path;

use ids::{DeviceId, HubHost, IdScope, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ReprovisioningMode};
use crate::files::durable::{self, DurableError};

/// What an assignment was got for. When any of it changes, the device registers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// The provisioning service.
    pub endpoint: HubHost,
    /// The ID scope.
    pub id_scope: IdScope,
    /// The registration id.
    pub registration_id: RegistrationId,
    /// SHA-256 of the credential's public key, hexadecimal.
    pub key_digest: String,
}

impl Basis {
    /// What a configuration with a credential registers for.
    #[must_use]
    pub fn new(config: &Config, registration_id: &RegistrationId, key_digest: &str) -> Self {
        Self {
            endpoint: config.provisioning.endpoint.clone(),
            id_scope: config.provisioning.id_scope.clone(),
            registration_id: registration_id.clone(),
            key_digest: key_digest.to_owned(),
        }
    }

    /// In words, what differs.
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

/// Where the device belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// Its hub.
    pub hub: HubHost,
    /// Its id there.
    pub device_id: DeviceId,
}

/// An assignment with what it was got for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assigned {
    /// Where the device belongs.
    pub home: Home,
    /// What it was got for.
    pub basis: Basis,
    /// When it was got.
    pub since: Timestamp,
}

impl Assigned {
    /// Reads the kept assignment. A damaged file counts as none: the service knows the answer.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(path: &Path) -> Result<Option<Self>, DurableError> {
        match durable::read_json(path) {
            Err(DurableError::Damaged { path, source }) => {
                tracing::warn!(path = %path.display(), error = %source, "the kept assignment is damaged; registering again");
                Ok(None)
            }
            other => other,
        }
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DurableError> {
        durable::write_json(path, self)
    }
}

/// What to do about the assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Work with the one that is kept.
    Use,
    /// Register, for this reason.
    Register(String),
}

/// Decides at the start, or after a change of the configuration. Without a readable credential the kept assignment is used.
#[must_use]
pub fn next(
    kept: Option<&Assigned>,
    basis: Option<&Basis>,
    mode: ReprovisioningMode,
    starting: bool,
) -> Next {
    let Some(kept) = kept else {
        return Next::Register("the device has no assignment yet".to_owned());
    };
    let Some(basis) = basis else { return Next::Use };
    let differences = kept.basis.differences(basis);
    if !differences.is_empty() {
        return Next::Register(format!("{} changed", differences.join(", ")));
    }
    if starting && mode == ReprovisioningMode::AlwaysOnStartup {
        return Next::Register("auto_reprovisioning_mode is AlwaysOnStartup".to_owned());
    }
    Next::Use
}

/// Who noticed that the hub does not want the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The hub's registry refused the device's own credential.
    Device,
    /// The hub refused the agent's session.
    Agent,
}

/// Whether a refusal is a reason to register again.
#[must_use]
pub fn registers_after(refusal: Refusal, mode: ReprovisioningMode) -> bool {
    match (refusal, mode) {
        (Refusal::Device, _) => true,
        (Refusal::Agent, mode) => mode != ReprovisioningMode::OnErrorOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis() -> Basis {
        Basis {
            endpoint: HubHost::parse("dps.example").unwrap(),
            id_scope: IdScope::parse("0ne1").unwrap(),
            registration_id: RegistrationId::parse("d1").unwrap(),
            key_digest: "k".into(),
        }
    }

    fn kept() -> Assigned {
        let home = Home {
            hub: HubHost::parse("hub.example").unwrap(),
            device_id: DeviceId::parse("d1").unwrap(),
        };
        Assigned {
            home,
            basis: basis(),
            since: Timestamp::from_unix_seconds(0),
        }
    }

    #[test]
    fn the_kept_assignment_is_used_as_long_as_it_fits() {
        let next =
            |basis: Option<&Basis>| next(Some(&kept()), basis, ReprovisioningMode::Dynamic, true);
        assert_eq!(next(Some(&basis())), Next::Use);
        assert_eq!(next(None), Next::Use);
        let spelled = Basis {
            registration_id: RegistrationId::parse("D1").unwrap(),
            ..basis()
        };
        assert_eq!(next(Some(&spelled)), Next::Use);
    }

    /// T18 of the conformance scenarios.
    #[test]
    fn a_changed_scope_or_key_registers_again() {
        let scope = Basis {
            id_scope: IdScope::parse("0ne2").unwrap(),
            key_digest: "other".into(),
            ..basis()
        };
        let expected = Next::Register("id_scope, the identity's key changed".into());
        assert_eq!(
            next(
                Some(&kept()),
                Some(&scope),
                ReprovisioningMode::OnErrorOnly,
                false
            ),
            expected
        );
    }

    #[test]
    fn every_mode_differs() {
        use ReprovisioningMode::{AlwaysOnStartup, Dynamic, OnErrorOnly};
        let at = |mode, starting| next(Some(&kept()), Some(&basis()), mode, starting) == Next::Use;
        assert!(
            at(Dynamic, true)
                && at(OnErrorOnly, true)
                && !at(AlwaysOnStartup, true)
                && at(AlwaysOnStartup, false)
        );
        assert!(
            registers_after(Refusal::Agent, Dynamic)
                && !registers_after(Refusal::Agent, OnErrorOnly)
        );
        assert!(registers_after(Refusal::Device, OnErrorOnly));
    }

    #[test]
    fn a_damaged_file_is_no_assignment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assignment.json");
        kept().save(&path).unwrap();
        assert_eq!(Assigned::load(&path).unwrap(), Some(kept()));
        std::fs::write(&path, "{\"home\"").unwrap();
        assert_eq!(Assigned::load(&path).unwrap(), None);
    }
}
