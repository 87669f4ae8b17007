//! What operators write: enrollments and groups, judged before they are stored. Pure; `now` and the linked hubs are arguments.
//!
//! A certificate that is over, that no TLS handshake can prove, or that is a CA where a device's own belongs is refused. What is
//! merely useless is taken, as Azure takes it, with a warning: see [`crate::service_api::enrollments::warnings`].

use ids::{EnrollmentId, HubHost, RegistrationId, Timestamp};
use pki::PemError;
use provisioning::{
    EnrolledResources, EnrollmentDraft, EnrollmentKey, EnrollmentRecord, ProvisioningService,
};
use registry::{InitialTwin, TwinError};
use serde::Deserialize;
use serde_json::Value;
use wire::service_api::allocation::CustomAllocation;
use wire::service_api::enrollment::{
    AllocationPolicy, Attestation, EnrollmentGroup, GroupRequest, IndividualEnrollment,
    IndividualRequest, ProvisioningStatus, Settings, SettingsRequest,
};
use wire::service_api::identity::KeyText;

mod attestation;
mod certificates;
mod trust;

use crate::error::ServiceFault;
use crate::registration::allocate::distinct;
use crate::registration::credential::UnusableTpmKey;
pub use trust::Uploaded;

/// Why an enrollment is not acceptable. All of it is told to the operator.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A kind of attestation that this version does not have.
    #[error("the attestation {0} is not offered by this version; use x509, symmetricKey or tpm")]
    AttestationNotOffered(&'static str),
    /// Another kind of attestation than the entry was created with.
    #[error(
        "the attestation is {from} and cannot become {to}; delete the enrollment and create it anew"
    )]
    AttestationChanged {
        /// The stored kind.
        from: &'static str,
        /// The kind sent.
        to: &'static str,
    },
    /// Keys that are not those of a TPM, or not supported.
    #[error(transparent)]
    Tpm(#[from] UnusableTpmKey),
    /// A leaf where a CA belongs, or the other way round, by the member used.
    #[error("{0}")]
    WrongMember(&'static str),
    /// A certificate that cannot be read.
    #[error("the {slot} certificate cannot be read: {}", crate::registration::refusal::with_causes(.source))]
    Unreadable {
        /// `primary` or `secondary`.
        slot: &'static str,
        /// What is wrong with it.
        source: PemError,
    },
    /// A certificate that no device can use.
    #[error("the {slot} certificate ({subject}) {problem}")]
    Unusable {
        /// `primary` or `secondary`.
        slot: &'static str,
        /// Whose it is.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// `info` without a certificate, and none of that thumbprint is stored.
    #[error(
        "the {slot} certificate is only described, and none with that thumbprint is stored in this enrollment; send the certificate"
    )]
    NotStored {
        /// `primary` or `secondary`.
        slot: &'static str,
    },
    /// Twice the same name.
    #[error("primary and secondary are the same certificate")]
    SameTwice,
    /// Custom allocation needs somebody to ask.
    #[error("custom allocation needs customAllocationDefinition with webhookUrl and apiVersion")]
    CustomNeedsWebhook,
    /// The URL of a webhook as it is shown, and none like it is stored.
    #[error("webhookUrl is shown without its query; send it whole")]
    MaskedWebhook,
    /// Static allocation needs exactly one hub.
    #[error("static allocation needs exactly one hub in iotHubs, found {0}")]
    StaticNeedsOne(usize),
    /// A hub that is not linked.
    #[error("hub {0} is not linked to this provisioning service")]
    NotLinked(HubHost),
    /// A first twin that no device may have.
    #[error("the initial twin is not acceptable: {0}")]
    Twin(String),
    /// The record cannot be written as JSON.
    #[error("the enrollment cannot be stored: {0}")]
    Document(String),
}

/// What enrollments are judged by.
pub struct Judge<'a> {
    /// The service that they belong to.
    pub service: &'a ProvisioningService,
    /// The record that is replaced, whose spelling of the id stays.
    pub stored: Option<&'a EnrollmentRecord>,
    /// The CA certificates of the service; needed for groups only.
    pub uploaded: &'a [Uploaded<'a>],
    /// Makes a key where the operator brings none.
    pub fresh_key: &'a (dyn Fn() -> KeyText + Sync),
    /// Now.
    pub now: Timestamp,
}

impl Judge<'_> {
    /// Reads and judges the body of a PUT, or an item of a bulk operation.
    ///
    /// # Errors
    /// When it has the wrong form, names another record, or is not acceptable.
    pub fn draft(
        &self,
        key: &EnrollmentKey,
        body: &Value,
    ) -> Result<EnrollmentDraft, ServiceFault> {
        let mismatch = |named: &str| ServiceFault::IdMismatch {
            path: key.as_str().to_owned(),
            body: named.to_owned(),
        };
        let spelled = self.stored.map_or(key, |stored| &stored.key);
        Ok(match spelled {
            EnrollmentKey::Individual(id) => {
                let request = IndividualRequest::parse(body)?;
                match &request.registration_id {
                    Some(named) if named != id => return Err(mismatch(named.as_str())),
                    _ => self.individual(id, request)?,
                }
            }
            EnrollmentKey::Group(id) => {
                let request = GroupRequest::parse(body)?;
                match &request.enrollment_group_id {
                    Some(named) if named.folded() != id.folded() => {
                        return Err(mismatch(named.as_str()));
                    }
                    _ => self.group(id, request)?,
                }
            }
        })
    }

    fn individual(
        &self,
        id: &RegistrationId,
        request: IndividualRequest,
    ) -> Result<EnrollmentDraft, AdminError> {
        let key = EnrollmentKey::Individual(id.clone());
        let resolved = attestation::resolve(&key, &request.settings.attestation, self)?;
        let settings = settings(request.settings, resolved.document, self)?;
        let enabled = settings.provisioning_status == ProvisioningStatus::Enabled;
        let resources = resources(&settings);
        let document = IndividualEnrollment {
            registration_id: id.clone(),
            device_id: request.device_id,
            registration_state: None,
            optional_device_information: request.optional_device_information,
            settings,
            version: None,
        };
        Ok(EnrollmentDraft {
            key,
            enabled,
            attestation: resolved.kind,
            document: stored_form(&document)?,
            certificates: resolved.certificates,
            ca_certificates: resolved.ca_certificates,
            resources,
        })
    }

    fn group(
        &self,
        id: &EnrollmentId,
        request: GroupRequest,
    ) -> Result<EnrollmentDraft, AdminError> {
        let key = EnrollmentKey::Group(id.clone());
        let resolved = attestation::resolve(&key, &request.settings.attestation, self)?;
        let settings = settings(request.settings, resolved.document, self)?;
        let enabled = settings.provisioning_status == ProvisioningStatus::Enabled;
        let resources = resources(&settings);
        let document = EnrollmentGroup {
            enrollment_group_id: id.clone(),
            settings,
            version: None,
        };
        Ok(EnrollmentDraft {
            key,
            enabled,
            attestation: resolved.kind,
            document: stored_form(&document)?,
            certificates: resolved.certificates,
            ca_certificates: resolved.ca_certificates,
            resources,
        })
    }
}

fn settings(
    request: SettingsRequest,
    attestation: Attestation,
    judge: &Judge<'_>,
) -> Result<Settings, AdminError> {
    let custom_allocation = custom_allocation(&request, judge.stored)?;
    match request.allocation_policy {
        Some(AllocationPolicy::Custom) if custom_allocation.is_none() => {
            return Err(AdminError::CustomNeedsWebhook);
        }
        Some(AllocationPolicy::Static) if distinct(&request.iot_hubs) != 1 => {
            return Err(AdminError::StaticNeedsOne(distinct(&request.iot_hubs)));
        }
        Some(_) | None => {}
    }
    let is_linked = |host: &&HubHost| judge.service.hub_at(host).is_some();
    if let Some(host) = request.iot_hubs.iter().find(|host| !is_linked(host)) {
        return Err(AdminError::NotLinked(host.clone()));
    }
    let twin = &request.initial_twin;
    InitialTwin::new(&twin.tags, &twin.properties.desired)
        .map_err(|error: TwinError| AdminError::Twin(error.to_string()))?;
    Ok(Settings {
        attestation,
        capabilities: request.capabilities,
        initial_twin: request.initial_twin,
        provisioning_status: request.provisioning_status,
        reprovision_policy: request.reprovision_policy,
        allocation_policy: request.allocation_policy,
        iot_hubs: request.iot_hubs,
        custom_allocation_definition: custom_allocation,
        client_certificate_issuance_policy: request.client_certificate_issuance_policy,
        credential_policy_name: request.credential_policy_name,
        trust_bundle_id: request.trust_bundle_id,
    })
}

/// What the entry names; that it is there is decided where it is written.
fn resources(settings: &Settings) -> EnrolledResources {
    EnrolledResources {
        issuer: settings.issuer().cloned(),
        trust_bundle: settings.trust_bundle_id.clone(),
    }
}

/// The webhook; a client that sends back the URL as it was shown, without its query, means the stored one.
fn custom_allocation(
    request: &SettingsRequest,
    stored: Option<&EnrollmentRecord>,
) -> Result<Option<CustomAllocation>, AdminError> {
    let Some(sent) = request.custom_allocation.clone() else {
        return Ok(None);
    };
    let stored = stored.and_then(|record| record.document.get("customAllocationDefinition"));
    let stored = stored.and_then(|stored| CustomAllocation::deserialize(stored).ok());
    match stored {
        Some(stored) if sent.webhook_url.is_mask_of(&stored.webhook_url) => {
            Ok(Some(CustomAllocation {
                webhook_url: stored.webhook_url,
                ..sent
            }))
        }
        _ if sent.webhook_url.is_mask() => Err(AdminError::MaskedWebhook),
        _ => Ok(Some(sent)),
    }
}

fn stored_form(document: &impl serde::Serialize) -> Result<Value, AdminError> {
    serde_json::to_value(document).map_err(|error| AdminError::Document(error.to_string()))
}
