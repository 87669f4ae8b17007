//! Custom allocation: the webhook that chooses a hub, what it is asked and what it may answer.
//! Azure's `concepts-custom-allocation.md`; signature and time stamp are ours.

use ids::{DeviceId, HubHost, RegistrationId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::certificate_info::CertificateInfo;
use crate::initial_twin::{InitialTwin, initial_twin};
use crate::lenient::{self, BodyError, Fields};
use crate::sas::SharedAccessKey;

mod definition;

pub(crate) use definition::is_loopback;

pub use definition::{CustomAllocation, MASK, WebhookUrl, WebhookUrlError, WebhookVersion};

/// Largest answer that is read, bytes: an initial twin may be 40 KiB, a payload 64 KiB.
pub const MAX_ANSWER: usize = 128 * 1024;
/// Largest `payload` of an answer, bytes of JSON.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// Request header: `sha256=` and the HMAC-SHA256 of `{timestamp}.{body}` in lower-case hexadecimal.
pub const SIGNATURE: &str = "x-muster-signature";
/// Request header: when the request was signed, seconds since 1970.
pub const SIGNED_AT: &str = "x-muster-timestamp";

/// The value of [`SIGNATURE`]; `signed_at` is that of [`SIGNED_AT`].
#[must_use]
pub fn signature(key: &SharedAccessKey, signed_at: i64, body: &[u8]) -> String {
    let mut text = format!("{signed_at}.").into_bytes();
    text.extend_from_slice(body);
    let tag = key.sign(&text);
    let digits: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// The body of the request to a webhook.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationRequest {
    /// The individual enrollment that the device came through, as the service API shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub individual_enrollment: Option<Value>,
    /// The enrollment group that the device came through, as the service API shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrollment_group: Option<Value>,
    /// The device that registers, and how it proved itself.
    pub device_runtime_context: RuntimeContext,
    /// Hosts of the hubs that may be chosen.
    pub linked_hubs: Vec<HubHost>,
}

/// A device that registers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeContext {
    /// The registration id of the device.
    pub registration_id: RegistrationId,
    /// Its hub up to now; absent at the first assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_iot_hub_host_name: Option<HubHost>,
    /// The device in that hub, of an earlier assignment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_device_id: Option<DeviceId>,
    /// The proof of the device's identity.
    #[serde(flatten)]
    pub proof: RuntimeProof,
    /// `payload` of the register request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// How a device proved itself, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RuntimeProof {
    /// With a certificate and its key.
    X509 {
        /// The certificate that it showed.
        #[serde(rename = "clientCertificates")]
        client_certificates: RuntimeCertificates,
    },
    /// By a key, which is not described.
    SymmetricKey {},
    /// With the endorsement key of a TPM.
    Tpm {
        /// Base64 of its `TPM2B_PUBLIC`.
        #[serde(rename = "endorsementKey")]
        endorsement_key: String,
    },
}

/// The certificate that a device showed, in the place where Azure's types look for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuntimeCertificates {
    /// The leaf of its chain.
    pub primary: RuntimeCertificate,
}

/// A certificate of the device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuntimeCertificate {
    /// The certificate as PEM text.
    pub certificate: String,
    /// The certificate in words.
    pub info: CertificateInfo,
}

/// What a webhook answered. Whether the hub is one that was offered is for the reader to see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllocationAnswer {
    /// Host name of the hub, one of `linkedHubs`.
    pub iot_hub_host_name: HubHost,
    /// The device's twin, whatever the reprovision policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwin>,
    /// Any JSON, passed to the device with its registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

impl AllocationAnswer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// When it is too large, not a JSON object, names no hub, or a member has the
    /// wrong form; says which.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        if body.len() > MAX_ANSWER {
            let problem = format!("the answer is longer than {MAX_ANSWER} bytes");
            return Err(BodyError::new("", problem));
        }
        let text = body;
        let body = lenient::parse(text)?;
        let fields = Fields::of_body(&body)?;
        if fields.get("initialTwin").is_some() {
            // A twin does not keep another number than it was given.
            lenient::parse_exactly(text)?;
        }
        let host = fields.text("iotHubHostName")?.filter(|t| !t.is_empty());
        let host = host.ok_or_else(|| fields.error("iotHubHostName", "is missing"))?;
        let payload = fields.get("payload").cloned();
        if payload
            .as_ref()
            .is_some_and(|payload| payload.to_string().len() > MAX_PAYLOAD)
        {
            let problem = format!("is longer than {MAX_PAYLOAD} bytes");
            return Err(fields.error("payload", problem));
        }
        Ok(Self {
            iot_hub_host_name: HubHost::parse(host)
                .map_err(|error| fields.error("iotHubHostName", error.to_string()))?,
            initial_twin: match fields.get("initialTwin") {
                Some(_) => Some(initial_twin(&fields)?),
                None => None,
            },
            payload,
        })
    }
}

/// What an allocation was asked and answered, as operators see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedAllocation {
    /// Of the paths `/muster/v1/dps/allocations/{id}`.
    pub id: i64,
    /// The registration that was allocated.
    pub registration_id: RegistrationId,
    /// The time of the allocation, UTC.
    pub at: Timestamp,
    /// `webhook`, `input`, `status`, `output`, `failure`.
    #[serde(flatten)]
    pub note: Value,
}

/// A recorded question put again, which changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replay {
    /// The allocation as it was recorded.
    pub recorded: RecordedAllocation,
    /// The outcome of asking the webhook again.
    pub replayed: Value,
    /// Whether both come to the same.
    pub same: bool,
}

/// The key that signs the requests to a service's webhooks.
#[derive(Serialize)]
pub struct SigningKey {
    /// Base64 of the HMAC-SHA256 key.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a webhook answered is kept as text and read again: a number that is read a little off
    /// would be another twin.
    #[test]
    fn numbers_are_read_back_as_they_were() {
        let digits = "4".repeat(123) + "1";
        let body = format!(
            r#"{{"iotHubHostName":"h","payload":[0.1,1e-7,{digits}.5,4.4444444444444445e122]}}"#
        );
        let answer = AllocationAnswer::parse(body.as_bytes()).unwrap();
        let kept = serde_json::to_vec(&answer).unwrap();
        let again: AllocationAnswer = serde_json::from_slice(&kept).unwrap();
        assert_eq!(again, answer);
    }

    #[test]
    fn the_answer_of_azures_tutorial() {
        let answer = AllocationAnswer::parse(
            br#"{"iotHubHostName":"toasters.azure-devices.net","initialTwin":{"properties":{"desired":
                {"state":"ready"}},"tags":{"deviceType":"toaster"}}}"#,
        )
        .unwrap();
        assert_eq!(
            answer.iot_hub_host_name.as_str(),
            "toasters.azure-devices.net"
        );
        let twin = answer.initial_twin.unwrap();
        assert_eq!(twin.tags["deviceType"], "toaster");
        assert_eq!(twin.properties.desired["state"], "ready");
        assert_eq!(answer.payload, None);
    }

    #[test]
    fn no_initial_twin_is_not_an_empty_one() {
        let bare =
            AllocationAnswer::parse(br#"{"iotHubHostName":"h","initialTwin":null}"#).unwrap();
        assert_eq!(bare.initial_twin, None);
        let empty = AllocationAnswer::parse(br#"{"iotHubHostName":"h","initialTwin":{}}"#).unwrap();
        assert_eq!(empty.initial_twin, Some(InitialTwin::default()));
    }

    #[test]
    fn bad_answers_say_where() {
        let long = json!({"iotHubHostName": "h", "payload": "x".repeat(MAX_PAYLOAD)}).to_string();
        for (body, place) in [
            ("", ""),
            ("[]", ""),
            ("{}", "iotHubHostName"),
            (r#"{"iotHubHostName":""}"#, "iotHubHostName"),
            (r#"{"iotHubHostName":"a b"}"#, "iotHubHostName"),
            (r#"{"iotHubHostName":"h","initialTwin":[]}"#, "initialTwin"),
            (&long, "payload"),
        ] {
            let error = AllocationAnswer::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.path, place, "{error}");
        }
        let huge = vec![b' '; MAX_ANSWER + 1];
        let error = AllocationAnswer::parse(&huge).unwrap_err().to_string();
        assert!(error.contains("longer than"), "{error}");
    }

    #[test]
    fn what_is_asked_of_a_device_with_a_key() {
        let request = AllocationRequest {
            individual_enrollment: None,
            enrollment_group: Some(json!({"enrollmentGroupId": "g"})),
            device_runtime_context: RuntimeContext {
                registration_id: RegistrationId::parse("d").unwrap(),
                current_iot_hub_host_name: None,
                current_device_id: None,
                proof: RuntimeProof::SymmetricKey {},
                payload: None,
            },
            linked_hubs: vec![HubHost::parse("h").unwrap()],
        };
        assert_eq!(
            serde_json::to_value(request).unwrap(),
            json!({
                "enrollmentGroup": {"enrollmentGroupId": "g"},
                "deviceRuntimeContext": {"registrationId": "d", "symmetricKey": {}},
                "linkedHubs": ["h"],
            })
        );
    }
}
