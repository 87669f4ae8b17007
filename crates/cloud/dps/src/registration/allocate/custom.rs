//! Custom allocation: what the webhook of an enrollment is asked.

use ids::{DeviceId, HubHost, HubName};
use provisioning::{
    EnrollmentKey, EnrollmentRecord, LinkedHub, PassedOver, Provisioning, RegistrationRecord,
    WebhookQuestion,
};
use serde::Deserialize;
use serde_json::Value;
use wire::service_api::allocation::{
    AllocationRequest, CustomAllocation, RuntimeCertificate, RuntimeCertificates, RuntimeContext,
    RuntimeProof,
};
use wire::service_api::enrollment::Attestation;

use crate::certificate;
use crate::enrollment_view::{Secrets, shown};
use crate::registration::attest::{AttestedDevice, Proof};
use crate::registration::enrollment::BadRecord;
use crate::registration::refusal::NotProven;

/// A device whose hub a webhook chooses. Only `allocate` makes one.
#[derive(Debug)]
pub struct Asking {
    pub(crate) device: AttestedDevice,
    pub(crate) device_id: DeviceId,
    pub(crate) definition: CustomAllocation,
    pub(crate) hubs: Vec<(HubName, HubHost)>,
    pub(crate) passed_over: Vec<PassedOver>,
}

pub(crate) fn offered(candidates: &[&LinkedHub]) -> Vec<(HubName, HubHost)> {
    let pair = |hub: &&LinkedHub| (hub.name.clone(), hub.host.clone());
    candidates.iter().map(pair).collect()
}

impl Asking {
    /// The device.
    #[must_use]
    pub fn device(&self) -> &AttestedDevice {
        &self.device
    }

    /// Its name at whichever hub.
    #[must_use]
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// What the webhook is asked. `None` when the enrollment has gone or changed since the device proved itself.
    ///
    /// # Errors
    /// When what is stored cannot be read.
    pub async fn question(
        &self,
        registry: &Provisioning,
        payload: Option<&Value>,
    ) -> Result<Option<WebhookQuestion>, NotProven> {
        let entry = self.device.enrollment().entry();
        let Some(record) = registry.enrollment(entry.key()).await? else {
            return Ok(None);
        };
        if record.etag != *entry.version() {
            return Ok(None);
        }
        let id = self.device.registration_id();
        let current = registry.registration(id).await?;
        let request = self.request(registry, &record, current.as_ref(), payload)?;
        Ok(Some(WebhookQuestion {
            definition: self.definition.clone(),
            input: serde_json::to_string(&request).map_err(|error| BadRecord {
                key: record.key.clone(),
                problem: error.to_string(),
            })?,
            hubs: self.hubs.clone(),
            passed_over: self.passed_over.clone(),
        }))
    }

    fn request(
        &self,
        registry: &Provisioning,
        record: &EnrollmentRecord,
        current: Option<&RegistrationRecord>,
        payload: Option<&Value>,
    ) -> Result<AllocationRequest, BadRecord> {
        let service = registry.service();
        let assignment = current.and_then(RegistrationRecord::assignment);
        let place = assignment.and_then(|(hub, device)| {
            let hub = service.hub(hub)?;
            Some((hub.host.clone(), device.clone()))
        });
        let (host, device_id) = place.unzip();
        let document = shown(record, None, Secrets::Hidden)?;
        let (individual, group) = match record.key {
            EnrollmentKey::Individual(_) => (Some(document), None),
            EnrollmentKey::Group(_) => (None, Some(document)),
        };
        let sees_payload = self.definition.api_version.shows_payload();
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
            linked_hubs: self.hubs.iter().map(|(_, host)| host.clone()).collect(),
        })
    }
}

fn proof(proof: &Proof, enrollment: &EnrollmentRecord) -> RuntimeProof {
    match proof {
        Proof::Leaf(leaf) => RuntimeProof::X509 {
            client_certificates: RuntimeCertificates {
                primary: RuntimeCertificate {
                    certificate: leaf.to_pem(),
                    info: certificate::describe(leaf),
                },
            },
        },
        Proof::Keys(_) => RuntimeProof::SymmetricKey {},
        Proof::Tpm(_) => RuntimeProof::Tpm {
            endorsement_key: endorsement_key(enrollment),
        },
    }
}

/// The key that the device proved to have: the enrollment's own.
fn endorsement_key(enrollment: &EnrollmentRecord) -> String {
    let stored = enrollment.document.get("attestation");
    match stored.map(Attestation::deserialize) {
        Some(Ok(Attestation::Tpm { tpm })) => tpm.endorsement_key.into(),
        _ => String::new(),
    }
}
