//! An enrollment as operators and the webhooks of custom allocations read it.

use provisioning::{EnrollmentKey, EnrollmentRecord};
use serde::Deserialize;
use serde_json::Value;
use wire::device_api::registration::RegistrationState;
use wire::etag::QuotedEtag;
use wire::service_api::enrollment::{
    EnrollmentGroup, IndividualEnrollment, IssuerMembers, RecordVersion, Settings,
};

use crate::registration::enrollment::UnreadableEnrollment;

/// Whether keys and the queries of webhooks are in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    Included,
    Masked,
}

impl Secrets {
    fn apply(self, settings: Settings) -> Settings {
        let settings = settings.with_newest_issuer_members();
        match self {
            Self::Included => settings,
            Self::Masked => Settings {
                attestation: settings.attestation.without_secrets(),
                custom_allocation_definition: settings
                    .custom_allocation_definition
                    .map(wire::service_api::allocation::CustomAllocation::masked),
                ..settings
            },
        }
    }
}

/// The document of a record; an individual one with its registration beside it, when that is given.
pub fn describe(
    record: &EnrollmentRecord,
    registration: Option<RegistrationState>,
    (secrets, members): (Secrets, IssuerMembers),
) -> Result<Value, UnreadableEnrollment> {
    let version = Some(RecordVersion {
        etag: QuotedEtag(record.etag.clone()),
        created_date_time_utc: record.created,
        last_updated_date_time_utc: record.updated,
    });
    let document = match &record.key {
        EnrollmentKey::Individual(_) => IndividualEnrollment::deserialize(&record.document)
            .and_then(|enrollment| {
                serde_json::to_value(IndividualEnrollment {
                    registration_state: registration,
                    settings: secrets.apply(enrollment.settings),
                    version,
                    ..enrollment
                })
            }),
        EnrollmentKey::Group(_) => {
            EnrollmentGroup::deserialize(&record.document).and_then(|group| {
                serde_json::to_value(EnrollmentGroup {
                    settings: secrets.apply(group.settings),
                    version,
                    ..group
                })
            })
        }
    };
    let mut document = document.map_err(|error| UnreadableEnrollment {
        key: record.key.clone(),
        problem: error.to_string(),
    })?;
    if let Some(document) = document.as_object_mut() {
        members.write(document);
    }
    Ok(document)
}
