use ids::{DeviceId, EnrollmentId, HubHost, IdError, RegistrationId, TrustBundleId};
use serde_json::Value;

use super::attestation::{AttestationRequest, attestation};
use super::{AllocationPolicy, IssuerReference, ProvisioningStatus, ReprovisionPolicy};
use crate::initial_twin::{InitialTwin, initial_twin, unwrapped};
use crate::lenient::{BodyError, Fields};
use crate::service_api::allocation::{CustomAllocation, WebhookUrl, WebhookVersion};
use crate::service_api::identity::Capabilities;

/// Most hubs that one enrollment may list.
const MAX_HUBS: usize = 50;

/// What requests for individual enrollments and groups have in common; absent
/// members have their defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsRequest {
    /// `attestation`, required: how devices prove themselves.
    pub attestation: AttestationRequest,
    /// `capabilities`: what the devices shall be able to do.
    pub capabilities: Capabilities,
    /// `initialTwin`: the twin of a new device.
    pub initial_twin: InitialTwin,
    /// `provisioningStatus`: whether the enrollment admits devices.
    pub provisioning_status: ProvisioningStatus,
    /// `reprovisionPolicy`: what happens to a device that registers again.
    pub reprovision_policy: ReprovisionPolicy,
    /// `allocationPolicy`; absent leaves the choice to the service's policy.
    pub allocation_policy: Option<AllocationPolicy>,
    /// `iotHubs`, or the older `iotHubHostName`.
    pub iot_hubs: Vec<HubHost>,
    /// `customAllocationDefinition`: the webhook, with all its members.
    pub custom_allocation: Option<CustomAllocation>,
    /// The issuer, in the members of any api-version.
    pub issuer: Option<IssuerReference>,
    /// `trustBundleId`: the trust bundle that the devices get.
    pub trust_bundle_id: Option<TrustBundleId>,
}

/// `PUT /enrollments/{id}`, and an item of a bulk operation.
#[derive(Debug, Clone, PartialEq)]
pub struct IndividualRequest {
    /// `registrationId`, to be compared with the path.
    pub registration_id: Option<RegistrationId>,
    /// `deviceId`; the registration id serves when it is absent.
    pub device_id: Option<DeviceId>,
    /// `optionalDeviceInformation`: any JSON of the operator's.
    pub optional_device_information: Option<Value>,
    /// What individual enrollments and groups have in common.
    pub settings: SettingsRequest,
}

/// `PUT /enrollmentGroups/{id}`, and an item of a bulk operation.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupRequest {
    /// `enrollmentGroupId`, to be compared with the path.
    pub enrollment_group_id: Option<EnrollmentId>,
    /// What individual enrollments and groups have in common.
    pub settings: SettingsRequest,
}

impl IndividualRequest {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        let information = fields.get("optionalDeviceInformation").cloned();
        Ok(Self {
            registration_id: parsed(&fields, "registrationId", RegistrationId::parse)?,
            device_id: parsed(&fields, "deviceId", DeviceId::parse)?,
            optional_device_information: information.map(unwrapped_value),
            settings: settings(&fields)?,
        })
    }
}

impl GroupRequest {
    /// Reads the body of a request.
    pub fn parse(body: &Value) -> Result<Self, BodyError> {
        let fields = Fields::of_body(body)?;
        Ok(Self {
            enrollment_group_id: parsed(&fields, "enrollmentGroupId", EnrollmentId::parse)?,
            settings: settings(&fields)?,
        })
    }
}

pub(super) fn parsed<T>(
    fields: &Fields<'_>,
    name: &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, BodyError> {
    match fields.text(name)? {
        None | Some("") => Ok(None),
        Some(text) => parse(text)
            .map(Some)
            .map_err(|error| fields.error(name, error.to_string())),
    }
}

/// One of a few words, in any letter case.
pub(super) fn word<T: Copy>(
    fields: &Fields<'_>,
    name: &str,
    words: &[(&str, T)],
) -> Result<Option<T>, BodyError> {
    let Some(text) = fields.text(name)?.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match words.iter().find(|(w, _)| w.eq_ignore_ascii_case(text)) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
            let problem = format!("{text:?} is not one of {}", known.join(", "));
            Err(fields.error(name, problem))
        }
    }
}

fn settings(fields: &Fields<'_>) -> Result<SettingsRequest, BodyError> {
    let capabilities = fields.object("capabilities")?;
    let iot_edge = capabilities
        .map(|c| c.boolean("iotEdge"))
        .transpose()?
        .flatten();
    let status = word(
        fields,
        "provisioningStatus",
        &[
            ("enabled", ProvisioningStatus::Enabled),
            ("disabled", ProvisioningStatus::Disabled),
        ],
    )?;
    let allocation_policy = word(
        fields,
        "allocationPolicy",
        &[
            ("hashed", AllocationPolicy::Hashed),
            ("geoLatency", AllocationPolicy::GeoLatency),
            ("static", AllocationPolicy::Static),
            ("custom", AllocationPolicy::Custom),
        ],
    )?;
    Ok(SettingsRequest {
        issuer: IssuerReference::read(fields)?,
        trust_bundle_id: parsed(fields, "trustBundleId", TrustBundleId::parse)?,
        attestation: attestation(fields)?,
        capabilities: Capabilities {
            iot_edge: iot_edge.unwrap_or_default(),
        },
        initial_twin: initial_twin(fields)?,
        provisioning_status: status.unwrap_or_default(),
        reprovision_policy: reprovision_policy(fields)?,
        allocation_policy,
        iot_hubs: iot_hubs(fields)?,
        custom_allocation: custom_allocation(fields)?,
    })
}

fn reprovision_policy(fields: &Fields<'_>) -> Result<ReprovisionPolicy, BodyError> {
    let default = ReprovisionPolicy::default();
    let Some(policy) = fields.object("reprovisionPolicy")? else {
        return Ok(default);
    };
    Ok(ReprovisionPolicy {
        update_hub_assignment: policy
            .boolean("updateHubAssignment")?
            .unwrap_or(default.update_hub_assignment),
        migrate_device_data: policy
            .boolean("migrateDeviceData")?
            .unwrap_or(default.migrate_device_data),
    })
}

fn custom_allocation(fields: &Fields<'_>) -> Result<Option<CustomAllocation>, BodyError> {
    let Some(definition) = fields.object("customAllocationDefinition")? else {
        return Ok(None);
    };
    let text = |name| {
        let text = definition.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| definition.error(name, "is missing"))
    };
    Ok(Some(CustomAllocation {
        webhook_url: WebhookUrl::parse(text("webhookUrl")?)
            .map_err(|error| definition.error("webhookUrl", error.to_string()))?,
        api_version: WebhookVersion::parse(text("apiVersion")?)
            .map_err(|error| definition.error("apiVersion", error))?,
    }))
}

fn iot_hubs(fields: &Fields<'_>) -> Result<Vec<HubHost>, BodyError> {
    let mut texts = fields.texts("iotHubs")?.unwrap_or_default();
    if texts.is_empty()
        && let Some(single) = fields.text("iotHubHostName")?.filter(|t| !t.is_empty())
    {
        texts.push(single.to_owned());
    }
    if texts.len() > MAX_HUBS {
        let problem = format!(
            "{} hubs are listed, {MAX_HUBS} at most are allowed",
            texts.len()
        );
        return Err(fields.error("iotHubs", problem));
    }
    let parse = |text: &String| {
        HubHost::parse(text).map_err(|error| fields.error("iotHubs", error.to_string()))
    };
    texts.iter().map(parse).collect()
}

fn unwrapped_value(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(unwrapped(map)),
        other => other,
    }
}

#[cfg(test)]
mod tests;
