//! A registration record as devices and operators see it.

use provisioning::{
    Detail, Provisioning, RegistrationRecord, RegistrationState as Stored,
    Substatus as StoredSubstatus,
};
use wire::device_api::registration::{
    AttestationDetail, RegistrationState, RegistrationStatus, Substatus,
};
use wire::error::DpsErrorCode;

use crate::trust_bundle_view::{self, TrustBundleError};

/// A registration as its device reads it: with the trust bundle, as it is now.
///
/// Fails when what is stored cannot be read.
pub fn for_device(
    record: &RegistrationRecord,
    provisioning: &Provisioning,
) -> Result<RegistrationState, TrustBundleError> {
    let mut state = describe(record);
    if state.status == RegistrationStatus::Disabled {
        // Device daemons do not know this status. The device has proved itself by now:
        // its enrollment is enabled again.
        let message = "the enrollment was disabled; register again";
        fail(
            &mut state,
            DpsErrorCode::EnrollmentConflict.code(),
            message.to_owned(),
        );
    }
    if let Some(id) = state.detail.trust_bundle_id.take() {
        let bundle = provisioning.trust_bundle(&id)?;
        state.trust_bundle = bundle.map(trust_bundle_view::describe).transpose()?;
    }
    Ok(state)
}

fn describe(record: &RegistrationRecord) -> RegistrationState {
    let mut state =
        RegistrationState::bare(record.registration_id.clone(), RegistrationStatus::Assigned);
    state.created_date_time_utc = Some(record.created);
    state.last_updated_date_time_utc = Some(record.updated);
    state.etag = Some(record.etag.to_string());
    state.payload.clone_from(&record.payload);
    state.detail = detail(record);
    state.detail.presented_key = None;
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
            // What opens the hub is of use once there is one.
            state.detail.tpm = None;
            withhold(&mut state.detail);
        }
        Stored::Disabled { .. } => {
            state.status = RegistrationStatus::Disabled;
            withhold(&mut state.detail);
        }
        Stored::Failed { code, message, .. } => fail(&mut state, *code, message.clone()),
    }
    state
}

/// A record as operators see it: all but the key that only the device's TPM can open.
#[must_use]
pub fn for_operators(record: &RegistrationRecord) -> RegistrationState {
    let mut state = describe(record);
    state.detail.tpm = None;
    state.detail.trust_bundle_id = None;
    state
}

/// How the device proved itself, as far as the record tells.
#[must_use]
pub fn detail(record: &RegistrationRecord) -> AttestationDetail {
    let stored = record.detail.as_ref();
    stored.map(Detail::read).unwrap_or_default()
}

/// Takes back what only a device with a hub is given.
fn withhold(detail: &mut AttestationDetail) {
    detail.issued_certificate_chain.clear();
    detail.issued_client_certificate = None;
    detail.trust_bundle_id = None;
}

fn fail(state: &mut RegistrationState, code: u32, message: String) {
    withhold(&mut state.detail);
    state.status = RegistrationStatus::Failed;
    state.error_code = Some(code);
    state.error_message = Some(message);
}

pub fn substatus_of(stored: StoredSubstatus) -> Substatus {
    match stored {
        StoredSubstatus::InitialAssignment => Substatus::InitialAssignment,
        StoredSubstatus::DeviceDataMigrated => Substatus::DeviceDataMigrated,
        StoredSubstatus::DeviceDataReset => Substatus::DeviceDataReset,
        StoredSubstatus::ReprovisionedToInitialAssignment => {
            Substatus::ReprovisionedToInitialAssignment
        }
    }
}

/// A fleet writes thousands of these lines a minute; the program that writes the log
/// decides how many are enough.
pub fn log_assigned(record: &RegistrationRecord) {
    if let Some((hub, device)) = record.assignment() {
        tracing::info!(
            registration.id = %record.registration_id,
            hub.name = %hub,
            device.id = %device,
            "registration {} is assigned to device {device} of hub {hub}",
            record.registration_id,
        );
    }
}
