//! Between rows of the store and records of this crate.

use ids::{Identity, Timestamp};
use serde_json::{Map, Value};
use store::{AuthKind, IdentityRow, Lock, Secret, StoreError, TwinRow, View};
use wire::service_api::identity::{Authentication, CertificateThumbprint, KeyText, Status};

use crate::etag;
use crate::identity::{Credentials, DeviceRecord, IdentityRecord, ModuleRecord};
use crate::twin::{ConfigurationStatus, Section, Stamp, Statuses, Twin, TwinRecord};

/// What a unit must have to itself that writes a device or its modules.
pub(crate) fn lock(identity: &Identity) -> Lock<'_> {
    Lock::device(&identity.hub, &identity.device)
}

/// A JSON object; empty when nothing is stored.
pub(crate) fn document(
    view: &View<'_>,
    column: &str,
    text: Option<&str>,
) -> Result<Map<String, Value>, StoreError> {
    match text {
        Some(text) => view.decoded(column, serde_json::from_str(text)),
        None => Ok(Map::new()),
    }
}

pub(crate) fn authentication(
    view: &View<'_>,
    row: &IdentityRow,
) -> Result<Authentication, StoreError> {
    let damaged = |cause: String| view.damaged("authentication", cause);
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
    match row.auth_kind {
        AuthKind::Sas => Ok(Authentication::Sas {
            primary: key(primary)?,
            secondary: key(secondary)?,
        }),
        AuthKind::SelfSigned => Ok(Authentication::SelfSigned {
            primary: thumbprint(primary)?,
            secondary: thumbprint(secondary)?,
        }),
        AuthKind::CertificateAuthority => Ok(Authentication::CertificateAuthority),
        AuthKind::None => Ok(Authentication::None),
    }
}

fn scopes(view: &View<'_>, row: &IdentityRow) -> Result<Vec<String>, StoreError> {
    let Some(text) = &row.parent_scopes else {
        return Ok(Vec::new());
    };
    view.decoded("parent scopes", serde_json::from_str(text))
}

pub(crate) fn device(view: &View<'_>, row: IdentityRow) -> Result<DeviceRecord, StoreError> {
    Ok(DeviceRecord {
        authentication: authentication(view, &row)?,
        parent_scopes: scopes(view, &row)?,
        device_id: row.device_id,
        generation_id: row.generation_id,
        etag: etag::of_revision(row.revision),
        status: status(row.enabled),
        status_reason: row.status_reason,
        status_updated: Timestamp::from_ticks(row.status_updated),
        iot_edge: row.iot_edge,
        device_scope: row.device_scope,
    })
}

pub(crate) fn module(view: &View<'_>, row: IdentityRow) -> Result<ModuleRecord, StoreError> {
    Ok(ModuleRecord {
        authentication: authentication(view, &row)?,
        device_id: row.device_id,
        module_id: row
            .module_id
            .ok_or_else(|| view.damaged("module id", "is empty"))?,
        generation_id: row.generation_id,
        etag: etag::of_revision(row.revision),
        managed_by: row.managed_by,
    })
}

/// `row` is the identity, `device` the row of its device when it is a module.
pub(crate) fn credentials(
    view: &View<'_>,
    row: IdentityRow,
    device: Option<IdentityRow>,
) -> Result<Credentials, StoreError> {
    let authentication = authentication(view, &row)?;
    let generation_id = row.generation_id.clone();
    let device = device.unwrap_or(row);
    Ok(Credentials {
        status: status(device.enabled),
        generation_id,
        authentication,
        iot_edge: device.iot_edge,
        parent_scopes: scopes(view, &device)?,
        device_scope: device.device_scope,
    })
}

/// An identity with its twin; `device_enabled` is asked for modules.
pub(crate) fn twin_record(
    view: &View<'_>,
    (row, twin): (IdentityRow, TwinRow),
    device_enabled: bool,
) -> Result<TwinRecord, StoreError> {
    let twin = self::twin(view, &twin)?;
    let identity = match row.module_id {
        None => IdentityRecord::Device(device(view, row)?),
        Some(_) => IdentityRecord::Module {
            module: module(view, row)?,
            device_status: status(device_enabled),
        },
    };
    Ok(TwinRecord { identity, twin })
}

/// Refuses to take a document for empty that was left out because it is too large.
pub(crate) fn require_read(view: &View<'_>, row: &TwinRow) -> Result<(), StoreError> {
    match row.oversized.part() {
        Some(part) => {
            let cause = "larger than a twin may be; a PUT of the twin empties it";
            Err(view.damaged(part, cause))
        }
        None => Ok(()),
    }
}

pub(crate) fn twin(view: &View<'_>, row: &TwinRow) -> Result<Twin, StoreError> {
    require_read(view, row)?;
    let written = Timestamp::from_ticks(row.written);
    let section =
        |column, document: &Option<String>, metadata: &Option<String>, version, versions: bool| {
            let document = self::document(view, column, document.as_deref())?;
            // Nobody has written a section of version 1 that is empty: as documents show it, it has
            // a date only.
            let untouched = version == 1 && document.is_empty();
            let stamp = Stamp {
                at: written,
                version: (versions && !untouched).then_some(version),
            };
            let metadata = match metadata {
                Some(_) => self::document(view, column, metadata.as_deref())?,
                None => stamp.whole(&document),
            };
            Ok::<_, StoreError>(Section {
                document,
                metadata,
                version,
            })
        };
    Ok(Twin {
        etag: etag::of_twin(row.version),
        version: row.version,
        tags: document(view, "tags", row.tags.as_deref())?,
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
        configurations: statuses(view, row.configurations.as_deref())?,
    })
}

fn statuses(view: &View<'_>, text: Option<&str>) -> Result<Statuses, StoreError> {
    let document = document(view, "configurations", text)?;
    let entry = |(id, status): (String, Value)| {
        let status = match status.as_str() {
            Some("Applied") => ConfigurationStatus::Applied,
            Some("Targeted") => ConfigurationStatus::Targeted,
            _ => {
                return Err(
                    view.damaged("configurations", "a status is neither Applied nor Targeted")
                );
            }
        };
        Ok((view.decoded("configurations", id.try_into())?, status))
    };
    document.into_iter().map(entry).collect()
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
    row.auth_kind = match authentication {
        Authentication::Sas { .. } => AuthKind::Sas,
        Authentication::SelfSigned { .. } => AuthKind::SelfSigned,
        Authentication::CertificateAuthority => AuthKind::CertificateAuthority,
        Authentication::None => AuthKind::None,
    };
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
