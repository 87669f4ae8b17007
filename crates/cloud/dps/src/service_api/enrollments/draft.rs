//! Enrollments and groups that operators write, checked before they are stored. Pure; `now` and the
//! linked hubs are arguments.
//!
//! A certificate that has expired, that no TLS handshake can prove, or that is a CA where a
//! device's own belongs is refused. One that is merely useless is accepted, as Azure accepts it,
//! with a warning: see [`super::warnings`].

use ids::{EnrollmentId, HubHost, IssuerName, RegistrationId, Timestamp};
use pki::{CertificateError, PemError};
use provisioning::{
    EnrolledIssuance, EnrollmentDraft, EnrollmentKey, EnrollmentRecord, ProvisioningService,
};
use registry::{InitialTwin, TwinError};
use serde::Deserialize;
use serde_json::Value;
use wire::error::DpsErrorCode;
use wire::lenient::BodyError;
use wire::service_api::allocation::CustomAllocation;
use wire::service_api::enrollment::{
    AllocationPolicy, Attestation, EnrollmentGroup, GroupRequest, IndividualEnrollment,
    IndividualRequest, ProvisioningStatus, Settings, SettingsRequest,
};
use wire::service_api::identity::KeyText;

mod attestation;
mod certificates;
mod trust;

use crate::error::{IdMismatch, NounError};
use crate::registration::allocate::distinct;
use crate::registration::credential::UnusableTpmKey;
use attestation::ResolvedAttestation;
pub(super) use trust::Uploaded;

/// Why an enrollment is not acceptable.
#[derive(Debug, thiserror::Error)]
pub(super) enum DraftFault {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    OtherId(#[from] IdMismatch),
    #[error("the attestation {0} is not offered by this version; use x509, symmetricKey or tpm")]
    AttestationNotOffered(&'static str),
    #[error(
        "the attestation is {from} and cannot become {to}; delete the enrollment and create it anew"
    )]
    AttestationChanged {
        from: &'static str,
        to: &'static str,
    },
    /// Keys that are not those of a TPM, or not supported.
    #[error(transparent)]
    Tpm(#[from] UnusableTpmKey),
    #[error("{0}")]
    WrongMember(&'static str),
    #[error("the {slot} certificate cannot be read")]
    Unreadable {
        slot: &'static str,
        source: PemError,
    },
    #[error("the {slot} certificate ({subject}) {problem}")]
    Unusable {
        slot: &'static str,
        subject: String,
        problem: String,
    },
    /// `info` without a certificate, and none of that thumbprint is stored.
    #[error(
        "the {slot} certificate is only described, and none with that thumbprint is stored in \
         this enrollment; send the certificate"
    )]
    NotStored { slot: &'static str },
    #[error("primary and secondary are the same certificate")]
    SameTwice,
    #[error("custom allocation needs customAllocationDefinition with webhookUrl and apiVersion")]
    CustomNeedsWebhook,
    /// The masked URL of a webhook, and no stored URL has that mask.
    #[error("webhookUrl is shown without its query; send it whole")]
    MaskedWebhook,
    #[error("static allocation needs exactly one hub in iotHubs, found {0}")]
    StaticNeedsOne(usize),
    #[error("hub {0} is not linked to this provisioning service")]
    NotLinked(HubHost),
    #[error(
        "certificatePolicyName is {0}, which is another issuer; an issuer has one policy, so name \
         that issuer as certificateAuthorityName"
    )]
    PolicyOfAnotherIssuer(IssuerName),
    #[error("the initial twin is not acceptable: {0}")]
    Twin(String),
    #[error("the enrollment cannot be stored: {0}")]
    Document(String),
}

impl NounError for DraftFault {}

impl NounError for CertificateError {
    /// An uploaded CA certificate, as it is stored, cannot be read.
    fn code(&self) -> DpsErrorCode {
        DpsErrorCode::InternalServerError
    }
}

/// What a draft is checked against.
pub(super) struct DraftContext<'a> {
    pub(super) service: &'a ProvisioningService,
    /// The record that is replaced; its spelling of the id stays.
    pub(super) stored: Option<&'a EnrollmentRecord>,
    /// The CA certificates of the service; needed for groups only.
    pub(super) uploaded: &'a [Uploaded<'a>],
    /// Makes a key where the operator brings none.
    pub(super) fresh_key: &'a (dyn Fn() -> KeyText + Sync),
    pub(super) now: Timestamp,
}

/// The checked parts of an enrollment, before its document is written.
struct Checked {
    settings: Settings,
    attestation: ResolvedAttestation,
}

impl DraftContext<'_> {
    /// Reads and checks the body of a PUT, or an item of a bulk operation.
    pub(super) fn draft(
        &self,
        key: &EnrollmentKey,
        body: &Value,
    ) -> Result<EnrollmentDraft, DraftFault> {
        let mismatch = |named: &str| {
            DraftFault::from(IdMismatch {
                path: key.as_str().to_owned(),
                body: named.to_owned(),
            })
        };
        let spelled = self.stored.map_or(key, |stored| &stored.key);
        match spelled {
            EnrollmentKey::Individual(id) => {
                let request = IndividualRequest::parse(body)?;
                match &request.registration_id {
                    Some(named) if named != id => Err(mismatch(named.as_str())),
                    _ => self.individual(id, request),
                }
            }
            EnrollmentKey::Group(id) => {
                let request = GroupRequest::parse(body)?;
                match &request.enrollment_group_id {
                    Some(named) if named.folded() != id.folded() => Err(mismatch(named.as_str())),
                    _ => self.group(id, request),
                }
            }
        }
    }

    fn individual(
        &self,
        id: &RegistrationId,
        request: IndividualRequest,
    ) -> Result<EnrollmentDraft, DraftFault> {
        let key = EnrollmentKey::Individual(id.clone());
        let checked = self.check(&key, request.settings)?;
        let document = stored_form(&IndividualEnrollment {
            registration_id: id.clone(),
            device_id: request.device_id,
            registration_state: None,
            optional_device_information: request.optional_device_information,
            settings: checked.settings.clone(),
            version: None,
        })?;
        Ok(checked.into_draft(key, document))
    }

    fn group(
        &self,
        id: &EnrollmentId,
        request: GroupRequest,
    ) -> Result<EnrollmentDraft, DraftFault> {
        let key = EnrollmentKey::Group(id.clone());
        let checked = self.check(&key, request.settings)?;
        let document = stored_form(&EnrollmentGroup {
            enrollment_group_id: id.clone(),
            settings: checked.settings.clone(),
            version: None,
        })?;
        Ok(checked.into_draft(key, document))
    }

    fn check(&self, key: &EnrollmentKey, request: SettingsRequest) -> Result<Checked, DraftFault> {
        let attestation = attestation::resolve(key, &request.attestation, self)?;
        let settings = settings(request, attestation.document.clone(), self)?;
        Ok(Checked {
            settings,
            attestation,
        })
    }
}

impl Checked {
    fn into_draft(self, key: EnrollmentKey, document: Value) -> EnrollmentDraft {
        EnrollmentDraft {
            key,
            enabled: self.settings.provisioning_status == ProvisioningStatus::Enabled,
            attestation: self.attestation.kind,
            document,
            certificates: self.attestation.certificates,
            ca_certificates: self.attestation.ca_certificates,
            issuance: issuance(&self.settings),
        }
    }
}

fn settings(
    request: SettingsRequest,
    attestation: Attestation,
    context: &DraftContext<'_>,
) -> Result<Settings, DraftFault> {
    let custom_allocation = custom_allocation(&request, context.stored)?;
    match request.allocation_policy {
        Some(AllocationPolicy::Custom) if custom_allocation.is_none() => {
            return Err(DraftFault::CustomNeedsWebhook);
        }
        Some(AllocationPolicy::Static) if distinct(&request.iot_hubs) != 1 => {
            return Err(DraftFault::StaticNeedsOne(distinct(&request.iot_hubs)));
        }
        Some(_) | None => {}
    }
    let is_linked = |host: &&HubHost| context.service.hub_at(host).is_some();
    if let Some(host) = request.iot_hubs.iter().find(|host| !is_linked(host)) {
        return Err(DraftFault::NotLinked(host.clone()));
    }
    let twin = &request.initial_twin;
    InitialTwin::new(&twin.tags, &twin.properties.desired)
        .map_err(|error: TwinError| DraftFault::Twin(error.to_string()))?;
    let (issuer, policy, namespace) = match request.issuer {
        Some(named) => (Some(named.issuer), named.policy, named.namespace),
        None => (None, None, None),
    };
    Ok(Settings {
        attestation,
        capabilities: request.capabilities,
        initial_twin: request.initial_twin,
        provisioning_status: request.provisioning_status,
        reprovision_policy: request.reprovision_policy,
        allocation_policy: request.allocation_policy,
        iot_hubs: request.iot_hubs,
        custom_allocation_definition: custom_allocation,
        certificate_authority_name: issuer,
        certificate_policy_name: policy,
        namespace_name: namespace,
        client_certificate_issuance_policy: None,
        trust_bundle_id: request.trust_bundle_id,
    })
}

/// What the enrollment names; that it is there is decided where it is written.
fn issuance(settings: &Settings) -> EnrolledIssuance {
    EnrolledIssuance {
        issuer: settings.issuer().cloned(),
        trust_bundle: settings.trust_bundle_id.clone(),
    }
}

/// The webhook. A client that sends back the masked URL means the stored one.
fn custom_allocation(
    request: &SettingsRequest,
    stored: Option<&EnrollmentRecord>,
) -> Result<Option<CustomAllocation>, DraftFault> {
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
        _ if sent.webhook_url.is_mask() => Err(DraftFault::MaskedWebhook),
        _ => Ok(Some(sent)),
    }
}

fn stored_form(document: &impl serde::Serialize) -> Result<Value, DraftFault> {
    serde_json::to_value(document).map_err(|error| DraftFault::Document(error.to_string()))
}
