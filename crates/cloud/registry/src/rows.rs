//! Between rows of the store and records of this crate.

use std::path::Path;

use ids::{IdError, Identity, Timestamp};
use serde_json::{Map, Value};
use store::{IdentityKey, IdentityRow, Lock, Secret, StoreError, TwinRow};
use wire::service_api::identity::{Authentication, CertificateThumbprint, KeyText, Status};

use crate::error::StorageError;
use crate::etag;
use crate::identity::{Credentials, DeviceRecord, IdentityRecord, ModuleRecord};
use crate::twin::{ConfigurationStatus, Section, Stamp, Statuses, Twin, TwinRecord};

/// Reads rows; knows the file, for errors about what is in it.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub file: &'a Path,
}

pub(crate) fn key(identity: &Identity) -> IdentityKey<'_> {
    IdentityKey {
        hub: identity.hub.as_str(),
        device_id: identity.device.as_str(),
        module_id: identity
            .module
            .as_ref()
            .map_or("", |module| module.as_str()),
    }
}

/// What a unit must have to itself that writes a device or its modules.
pub(crate) fn lock(identity: &Identity) -> Lock<'_> {
    Lock::Device {
        hub: identity.hub.as_str(),
        device_id: identity.device.as_str(),
    }
}

impl Rows<'_> {
    /// The error for a column that cannot be read.
    pub fn damaged(self, column: &str, cause: impl std::fmt::Display) -> StorageError {
        StoreError::damaged(self.file, format!("{column}: {cause}")).into()
    }

    /// An id that was valid when it was written.
    pub fn id<T>(self, column: &str, parsed: Result<T, IdError>) -> Result<T, StorageError> {
        parsed.map_err(|error| self.damaged(column, error))
    }

    pub fn json(self, column: &str, text: &str) -> Result<Value, StorageError> {
        // serde_json's message has a position but nothing of the text, which may be secret.
        serde_json::from_str(text).map_err(|error| self.damaged(column, error))
    }

    /// A JSON object; empty when nothing is stored.
    pub fn document(
        self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Map<String, Value>, StorageError> {
        let Some(text) = text else {
            return Ok(Map::new());
        };
        serde_json::from_str(text).map_err(|error| self.damaged(column, error))
    }

    pub(crate) fn authentication(self, row: &IdentityRow) -> Result<Authentication, StorageError> {
        let damaged = |cause: String| self.damaged("authentication", cause);
        let key = |text: &Option<Secret>| {
            let text = text
                .as_ref()
                .ok_or_else(|| damaged("a key is missing".to_owned()))?;
            KeyText::parse(text.reveal()).map_err(|error| damaged(error.to_owned()))
        };
        let thumbprint = |text: &Option<Secret>| {
            let parse = |text: &Secret| CertificateThumbprint::parse(text.reveal());
            text.as_ref()
                .map(parse)
                .transpose()
                .map_err(|error| damaged(error.to_string()))
        };
        let (primary, secondary) = (&row.auth_primary, &row.auth_secondary);
        match row.auth_kind.as_str() {
            "sas" => Ok(Authentication::Sas {
                primary: key(primary)?,
                secondary: key(secondary)?,
            }),
            "selfSigned" => Ok(Authentication::SelfSigned {
                primary: thumbprint(primary)?,
                secondary: thumbprint(secondary)?,
            }),
            "certificateAuthority" => Ok(Authentication::CertificateAuthority),
            "none" => Ok(Authentication::None),
            other => Err(damaged(format!("{other:?} is not a kind"))),
        }
    }

    fn scopes(self, row: &IdentityRow) -> Result<Vec<String>, StorageError> {
        let Some(text) = &row.parent_scopes else {
            return Ok(Vec::new());
        };
        serde_json::from_str(text).map_err(|error| self.damaged("parent scopes", error))
    }

    pub(crate) fn device(self, row: IdentityRow) -> Result<DeviceRecord, StorageError> {
        Ok(DeviceRecord {
            authentication: self.authentication(&row)?,
            parent_scopes: self.scopes(&row)?,
            device_id: self.id("device id", row.device_id.try_into())?,
            generation_id: self.id("generation id", row.generation_id.try_into())?,
            etag: etag::of_revision(row.revision),
            status: status(row.enabled),
            status_reason: row.status_reason,
            status_updated: Timestamp::from_ticks(row.status_updated),
            iot_edge: row.iot_edge,
            device_scope: row.device_scope,
        })
    }

    pub(crate) fn module(self, row: IdentityRow) -> Result<ModuleRecord, StorageError> {
        Ok(ModuleRecord {
            authentication: self.authentication(&row)?,
            device_id: self.id("device id", row.device_id.try_into())?,
            module_id: self.id("module id", row.module_id.try_into())?,
            generation_id: self.id("generation id", row.generation_id.try_into())?,
            etag: etag::of_revision(row.revision),
            managed_by: row.managed_by,
        })
    }

    /// `row` is the identity, `device` the row of its device when it is a module.
    pub(crate) fn credentials(
        self,
        row: IdentityRow,
        device: Option<IdentityRow>,
    ) -> Result<Credentials, StorageError> {
        let authentication = self.authentication(&row)?;
        let generation_id = self.id("generation id", row.generation_id.as_str().parse())?;
        let device = device.unwrap_or(row);
        Ok(Credentials {
            status: status(device.enabled),
            generation_id,
            authentication,
            iot_edge: device.iot_edge,
            parent_scopes: self.scopes(&device)?,
            device_scope: device.device_scope,
        })
    }

    /// An identity with its twin; `device_enabled` is asked for modules.
    pub(crate) fn twin_record(
        self,
        (row, twin): (IdentityRow, TwinRow),
        device_enabled: bool,
    ) -> Result<TwinRecord, StorageError> {
        let twin = self.twin(&twin)?;
        let identity = match row.module_id.is_empty() {
            true => IdentityRecord::Device(self.device(row)?),
            false => IdentityRecord::Module {
                module: self.module(row)?,
                device_status: status(device_enabled),
            },
        };
        Ok(TwinRecord { identity, twin })
    }

    /// Refuses to take a document for empty that was left out because it is too large.
    pub(crate) fn require_read(self, row: &TwinRow) -> Result<(), StorageError> {
        match row.oversized.part() {
            Some(part) => {
                let cause = "larger than a twin may be; a PUT of the twin empties it";
                Err(self.damaged(part, cause))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn twin(self, row: &TwinRow) -> Result<Twin, StorageError> {
        if let Some(part) = row.oversized.part() {
            return Err(self.damaged(
                part,
                "larger than a twin may be; a PUT of the twin empties it",
            ));
        }
        let written = Timestamp::from_ticks(row.written);
        let section = |column,
                       document: &Option<String>,
                       metadata: &Option<String>,
                       version,
                       versions: bool| {
            let document = self.document(column, document.as_deref())?;
            // Nobody has written a section of version 1 that is empty: as documents show it, it has
            // a date only.
            let untouched = version == 1 && document.is_empty();
            let stamp = Stamp {
                at: written,
                version: (versions && !untouched).then_some(version),
            };
            let metadata = match metadata {
                Some(_) => self.document(column, metadata.as_deref())?,
                None => stamp.whole(&document),
            };
            Ok::<_, StorageError>(Section {
                document,
                metadata,
                version,
            })
        };
        Ok(Twin {
            etag: etag::of_twin(row.version),
            version: row.version,
            tags: self.document("tags", row.tags.as_deref())?,
            desired: section(
                "desired",
                &row.desired,
                &row.desired_metadata,
                row.desired_version,
                true,
            )?,
            reported: section(
                "reported",
                &row.reported,
                &row.reported_metadata,
                row.reported_version,
                false,
            )?,
            configurations: self.statuses(row.configurations.as_deref())?,
        })
    }

    fn statuses(self, text: Option<&str>) -> Result<Statuses, StorageError> {
        let document = self.document("configurations", text)?;
        let entry = |(id, status): (String, Value)| {
            let status = match status.as_str() {
                Some("Applied") => ConfigurationStatus::Applied,
                Some("Targeted") => ConfigurationStatus::Targeted,
                _ => {
                    return Err(
                        self.damaged("configurations", "a status is neither Applied nor Targeted")
                    );
                }
            };
            Ok((self.id("configurations", id.try_into())?, status))
        };
        document.into_iter().map(entry).collect()
    }
}

pub(crate) fn status(enabled: bool) -> Status {
    match enabled {
        true => Status::Enabled,
        false => Status::Disabled,
    }
}

pub(crate) fn statuses_text(statuses: &Statuses) -> String {
    let name = |status: &ConfigurationStatus| match status {
        ConfigurationStatus::Applied => "Applied",
        ConfigurationStatus::Targeted => "Targeted",
    };
    let document: Map<String, Value> = statuses
        .iter()
        .map(|(id, status)| (id.to_string(), name(status).into()))
        .collect();
    Value::Object(document).to_string()
}

pub(crate) fn set_authentication(row: &mut IdentityRow, authentication: &Authentication) {
    let thumbprint =
        |thumbprint: &Option<CertificateThumbprint>| thumbprint.map(|t| Secret::new(t.to_string()));
    authentication.type_name().clone_into(&mut row.auth_kind);
    (row.auth_primary, row.auth_secondary) = match authentication {
        Authentication::Sas { primary, secondary } => (
            Some(Secret::new(primary.reveal())),
            Some(Secret::new(secondary.reveal())),
        ),
        Authentication::SelfSigned { primary, secondary } => {
            (thumbprint(primary), thumbprint(secondary))
        }
        Authentication::CertificateAuthority | Authentication::None => (None, None),
    };
}

/// The column of scopes: a JSON array, nothing when empty.
pub(crate) fn scopes_text(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| Value::from(scopes.to_vec()).to_string())
}
