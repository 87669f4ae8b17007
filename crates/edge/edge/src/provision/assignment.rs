//! The assignment that the device works with, as kept on disk.

use std::path::Path;

use ids::{DeviceId, HubHost, Timestamp};
use serde::{Deserialize, Serialize};
use wire::binary::Base64Bytes;

use super::basis::Basis;
use crate::files::durable::{self, DurableError};

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
    pub basis: Basis,
    /// When it was made.
    pub since: Timestamp,
    /// The key of a TPM that opens the hub, encrypted by that TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm_key: Option<Base64Bytes>,
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
                    "the kept assignment is damaged; asking for it again"
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As earlier versions wrote it.
    const KEPT: &str = r#"{"home":{"hub":"hub.example","deviceId":"d1"},"basis":{
        "endpoint":"dps.example","idScope":"0ne1","registrationId":"d1","keyDigest":"k"},
        "since":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn a_damaged_file_counts_as_no_assignment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("assignment.json");
        let kept: KeptAssignment = serde_json::from_str(KEPT).unwrap();
        kept.save(&path).unwrap();
        assert_eq!(KeptAssignment::load(&path).unwrap(), Some(kept));
        std::fs::write(&path, "{\"home\"").unwrap();
        assert_eq!(KeptAssignment::load(&path).unwrap(), None);
    }
}
