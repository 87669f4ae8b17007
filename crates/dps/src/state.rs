//! A registration record as devices and operators see it.

use registry::{
    Detail, RegistrationRecord, RegistrationState as Stored, Substatus as StoredSubstatus,
};
use wire::dps::{AttestationDetail, RegistrationState, RegistrationStatus, Substatus};
use wire::error::DpsErrorCode;

/// What is told of a record.
#[must_use]
pub fn of(record: &RegistrationRecord) -> RegistrationState {
    let mut state =
        RegistrationState::bare(record.registration_id.clone(), RegistrationStatus::Assigned);
    state.created_date_time_utc = Some(record.created);
    state.last_updated_date_time_utc = Some(record.updated);
    state.etag = Some(record.etag.to_string());
    state.payload.clone_from(&record.payload);
    state.detail = detail(record);
    match &record.state {
        Stored::Assigned {
            host: Some(host),
            device_id,
            substatus,
            ..
        } => {
            state.assigned_hub = Some(host.clone());
            state.device_id = Some(device_id.clone());
            state.substatus = Some(substatus_of(*substatus));
        }
        Stored::Assigned { hub, .. } => {
            let message = format!("hub {hub} is no longer linked; register again");
            fail(&mut state, DpsErrorCode::LinkedHubNotFound.code(), message);
        }
        Stored::Assigning { .. } => {
            state.status = RegistrationStatus::Assigning;
            // A key for the hub is of use once there is one.
            state.detail.tpm = None;
        }
        Stored::Failed { code, message, .. } => fail(&mut state, *code, message.clone()),
    }
    state
}

/// What operators are told of a record: all but the key that only the device's TPM can open.
#[must_use]
pub fn for_operators(record: &RegistrationRecord) -> RegistrationState {
    let mut state = of(record);
    state.detail.tpm = None;
    state
}

/// How the device proved itself, as far as the record tells.
#[must_use]
pub fn detail(record: &RegistrationRecord) -> AttestationDetail {
    let stored = record.detail.as_ref();
    stored.map(Detail::read).unwrap_or_default()
}

fn fail(state: &mut RegistrationState, code: u32, message: String) {
    state.status = RegistrationStatus::Failed;
    state.error_code = Some(code);
    state.error_message = Some(message);
}

fn substatus_of(stored: StoredSubstatus) -> Substatus {
    match stored {
        StoredSubstatus::InitialAssignment => Substatus::InitialAssignment,
        StoredSubstatus::DeviceDataMigrated => Substatus::DeviceDataMigrated,
        StoredSubstatus::DeviceDataReset => Substatus::DeviceDataReset,
        StoredSubstatus::ReprovisionedToInitialAssignment => {
            Substatus::ReprovisionedToInitialAssignment
        }
    }
}
