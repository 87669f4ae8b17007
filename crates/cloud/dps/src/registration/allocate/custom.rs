//! Custom allocation: what the webhook of an enrollment is asked.

use ids::{DeviceId, HubHost, HubName};
use provisioning::{
    EnrollmentKey, EnrollmentRecord, LinkedHub, Provisioning, RegistrationRecord, SkippedHub,
    WebhookQuestion,
};
use serde::Deserialize;
use serde_json::Value;
use wire::service_api::allocation::{
    AllocationRequest, CustomAllocation as Webhook, RuntimeCertificate, RuntimeCertificates,
    RuntimeContext, RuntimeProof,
};
use wire::service_api::enrollment::{Attestation, IssuerMembers};

use crate::enrollment_view::{self, Secrets};
use crate::registration::attest::{AttestedDevice, Proof};
use crate::registration::enrollment::UnreadableEnrollment;
use crate::registration::not_proven::NotProven;

/// A device whose hub a webhook chooses. Only `allocate` makes one.
#[derive(Debug)]
pub struct CustomAllocation {
    pub(super) device: AttestedDevice,
    pub(super) question: WebhookCall,
}

#[derive(Debug)]
pub(super) struct WebhookCall {
    pub(super) device_id: DeviceId,
    pub(super) webhook: Webhook,
    pub(super) hubs: Vec<(HubName, HubHost)>,
    pub(super) skipped: Vec<SkippedHub>,
}

pub(super) fn offered(candidates: &[&LinkedHub]) -> Vec<(HubName, HubHost)> {
    let pair = |hub: &&LinkedHub| (hub.name.clone(), hub.host.clone());
    candidates.iter().map(pair).collect()
}

impl CustomAllocation {
    pub fn device(&self) -> &AttestedDevice {
        &self.device
    }

    /// The name of the device at the hub that the webhook will choose.
    pub fn device_id(&self) -> &DeviceId {
        &self.question.device_id
    }

    /// What the webhook is asked. `None` when the enrollment has changed since
    /// the device proved itself.
    pub async fn question(
        &self,
        provisioning: &Provisioning,
        payload: Option<&Value>,
    ) -> Result<Option<WebhookQuestion>, NotProven> {
        let enrollment = self.device.enrollment();
        let Some(record) = provisioning.enrollment(enrollment.key()).await? else {
            return Ok(None);
        };
        if record.etag != *enrollment.version() {
            return Ok(None);
        }
        let id = self.device.registration_id();
        let current = provisioning.registration(id).await?;
        let request = self.request(provisioning, &record, current.as_ref(), payload)?;
        let input = serde_json::to_string(&request).map_err(|error| UnreadableEnrollment {
            key: record.key.clone(),
            problem: error.to_string(),
        })?;
        let question = &self.question;
        Ok(Some(WebhookQuestion {
            definition: question.webhook.clone(),
            input,
            hubs: question.hubs.clone(),
            skipped: question.skipped.clone(),
        }))
    }

    fn request(
        &self,
        provisioning: &Provisioning,
        record: &EnrollmentRecord,
        current: Option<&RegistrationRecord>,
        payload: Option<&Value>,
    ) -> Result<AllocationRequest, UnreadableEnrollment> {
        let service = provisioning.service();
        let assignment = current.and_then(RegistrationRecord::assignment);
        let assigned = assignment.and_then(|(hub, device)| {
            let hub = service.hub(hub)?;
            Some((hub.host.clone(), device.clone()))
        });
        let (host, device_id) = assigned.unzip();
        let members = IssuerMembers::of_version(self.question.webhook.api_version.as_str());
        let document = enrollment_view::describe(record, None, (Secrets::Masked, members))?;
        let (individual, group) = match record.key {
            EnrollmentKey::Individual(_) => (Some(document), None),
            EnrollmentKey::Group(_) => (None, Some(document)),
        };
        let sees_payload = self.question.webhook.api_version.shows_payload();
        Ok(AllocationRequest {
            individual_enrollment: individual,
            enrollment_group: group,
            device_runtime_context: RuntimeContext {
                registration_id: self.device.registration_id().clone(),
                current_iot_hub_host_name: host,
                current_device_id: device_id,
                proof: proof(self.device.proof(), record),
                payload: payload.filter(|_| sees_payload).cloned(),
            },
            linked_hubs: self
                .question
                .hubs
                .iter()
                .map(|(_, host)| host.clone())
                .collect(),
        })
    }
}

fn proof(proof: &Proof, enrollment: &EnrollmentRecord) -> RuntimeProof {
    match proof {
        Proof::Leaf(leaf) => RuntimeProof::X509 {
            client_certificates: RuntimeCertificates {
                primary: RuntimeCertificate {
                    certificate: leaf.to_pem(),
                    info: provisioning::describe(leaf),
                },
            },
        },
        Proof::Keys(_) => RuntimeProof::SymmetricKey {},
        Proof::Tpm(_) => RuntimeProof::Tpm {
            endorsement_key: endorsement_key(enrollment),
        },
    }
}

/// The key that the device proved to have is the one of its enrollment.
fn endorsement_key(enrollment: &EnrollmentRecord) -> String {
    let stored = enrollment.document.get("attestation");
    match stored.map(Attestation::deserialize) {
        Some(Ok(Attestation::Tpm { tpm })) => tpm.endorsement_key.into(),
        _ => String::new(),
    }
}
