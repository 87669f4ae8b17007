//! The device API of a provisioning service: register, poll, look up.
//!
//! HTTPS and MQTT carry the same JSON. The server writes it and our own devices read it, so the types do both.

use ids::{DeviceId, EnrollmentId, HubHost, RegistrationId, Timestamp, TrustBundleId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::binary::Base64Bytes;
use crate::error::ServiceError;
use crate::lenient::{self, BodyError, Fields};
use crate::muster_api::issuers::TrustBundle;
use crate::service_api::enrollment::{MAX_TPM_KEY, binary};

/// The api-version that device daemons send.
pub const API_VERSION: &str = "2021-06-01";
/// Largest request body, bytes. The payload of a device may be 64 KiB; certificates and quoting need the rest.
pub const MAX_BODY: usize = 96 * 1024;
/// Seconds a device is asked to wait before it polls. Ours is finished when the first answer leaves, so the shortest there is.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Seconds between polls while somebody else is asked.
pub const RETRY_AFTER_WORKING: u32 = 2;

/// The body of a register request. Everything in it is a claim of a device that has proven nothing yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnverifiedRegister {
    /// `registrationId`, when the client repeats it in the body.
    pub registration_id: Option<RegistrationId>,
    /// `payload`, which a custom allocation gets to see.
    pub payload: Option<Value>,
    /// `tpm`: by which TPM it wants to prove itself.
    pub tpm: Option<TpmClaim>,
    /// `csr` or `clientCertificateCsr`: what it wants a certificate for.
    pub csr: Option<CsrClaim>,
}

/// The public keys of the TPM that a device says it has, each a `TPM2B_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmClaim {
    /// `endorsementKey`.
    pub endorsement_key: Base64Bytes,
    /// `storageRootKey`.
    pub storage_root_key: Option<Base64Bytes>,
}

/// A PKCS#10 request, in the form of one of two preview api-versions. Nothing has been read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsrClaim {
    /// `csr` of 2025-07-01-preview: base64 of DER.
    Der(Base64Bytes),
    /// `clientCertificateCsr` of 2021-11-01-preview: PEM.
    Pem(String),
}

/// Longest certificate request, bytes of DER or PEM.
pub const MAX_CSR: usize = 16 * 1024;

impl UnverifiedRegister {
    /// Reads a body; an empty one, or only white space, is a request without claims (C# over MQTT).
    ///
    /// # Errors
    /// When it is not a JSON object, or `registrationId` is not one.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        let body = lenient::parse(body)?;
        let fields = Fields::of_body(&body)?;
        let registration_id = match fields.text("registrationId")? {
            None | Some("") => None,
            Some(text) => Some(
                RegistrationId::parse(text)
                    .map_err(|error| fields.error("registrationId", error.to_string()))?,
            ),
        };
        Ok(Self {
            registration_id,
            payload: fields.get("payload").cloned(),
            tpm: tpm_claim(&fields)?,
            csr: csr_claim(&fields)?,
        })
    }
}

fn tpm_claim(fields: &Fields<'_>) -> Result<Option<TpmClaim>, BodyError> {
    let Some(tpm) = fields.object("tpm")? else {
        return Ok(None);
    };
    let Some(endorsement_key) = binary(&tpm, "endorsementKey", MAX_TPM_KEY)? else {
        return Err(tpm.error("endorsementKey", "is missing"));
    };
    Ok(Some(TpmClaim {
        endorsement_key,
        storage_root_key: binary(&tpm, "storageRootKey", MAX_TPM_KEY)?,
    }))
}

fn csr_claim(fields: &Fields<'_>) -> Result<Option<CsrClaim>, BodyError> {
    if let Some(der) = binary(fields, "csr", MAX_CSR)? {
        return Ok(Some(CsrClaim::Der(der)));
    }
    match fields.text("clientCertificateCsr")? {
        None | Some("") => Ok(None),
        Some(pem) if pem.len() > MAX_CSR => {
            let problem = format!("is longer than {MAX_CSR} bytes");
            Err(fields.error("clientCertificateCsr", problem))
        }
        Some(pem) => Ok(Some(CsrClaim::Pem(pem.to_owned()))),
    }
}

impl UnverifiedRegister {
    /// Requires that no certificate is asked for: one is issued by registering only.
    ///
    /// # Errors
    /// When one is.
    pub fn require_no_csr(&self) -> Result<(), BodyError> {
        let member = match self.csr {
            None => return Ok(()),
            Some(CsrClaim::Der(_)) => "csr",
            Some(CsrClaim::Pem(_)) => "clientCertificateCsr",
        };
        let problem = "certificates are issued by a register request only";
        Err(BodyError::new(member, problem))
    }

    /// Requires that the body names the registration of the path or connection, if it names one.
    ///
    /// # Errors
    /// When it names another one.
    pub fn require_id(&self, id: &RegistrationId) -> Result<(), BodyError> {
        match &self.registration_id {
            Some(named) if named != id => Err(BodyError::new(
                "registrationId",
                format!("{named} is not the registration id {id} of the request"),
            )),
            _ => Ok(()),
        }
    }
}

/// The body that a device sends to register.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterRequest {
    /// Its registration id.
    pub registration_id: RegistrationId,
    /// What it tells a custom allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// Where a registration stands.
///
/// Device daemons know only `assigning`, `assigned` and `failed`; the others appear in the service API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// Enrolled, never registered.
    Unassigned,
    /// Accepted, not finished.
    Assigning,
    /// The device has a hub.
    Assigned,
    /// It has none; `errorCode` and `errorMessage` say why.
    Failed,
    /// Its enrollment is disabled.
    Disabled,
}

/// How an assignment came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Substatus {
    /// The first assignment.
    InitialAssignment,
    /// Moved, or given back, with its twin.
    DeviceDataMigrated,
    /// Moved, or given back, with the enrollment's first twin.
    DeviceDataReset,
    /// The same hub and twin as before.
    ReprovisionedToInitialAssignment,
}

/// One certificate in words. Azure's clients require all eight members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateInfo {
    /// Distinguished name of the subject, such as `CN=edge-001`.
    pub subject_name: String,
    /// Upper-case hexadecimal.
    pub sha1_thumbprint: String,
    /// Upper-case hexadecimal.
    pub sha256_thumbprint: String,
    /// Distinguished name of the issuer.
    pub issuer_name: String,
    /// Start of validity.
    pub not_before_utc: Timestamp,
    /// End of validity.
    pub not_after_utc: Timestamp,
    /// Upper-case hexadecimal.
    pub serial_number: String,
    /// 3 for every certificate of today.
    pub version: i32,
}

/// By which certificates a device proved itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct X509Result {
    /// The leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_info: Option<CertificateInfo>,
    /// The group, for a device of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<EnrollmentId>,
    /// The group's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_certificate_info: Option<CertificateInfo>,
}

/// Members of [`RegistrationState`] that say how a device proved itself and what was issued to it; what is remembered of a
/// registration besides its result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttestationDetail {
    /// By certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509: Option<X509Result>,
    /// By a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeyResult>,
    /// By a TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmResult>,
    /// The certificate issued for `csr` and those of its issuers, DER, leaf first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issued_certificate_chain: Vec<Base64Bytes>,
    /// The same for `clientCertificateCsr`, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_client_certificate: Option<String>,
    /// Which trust bundle the device is told; remembered, and told as [`RegistrationState::trust_bundle`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle_id: Option<TrustBundleId>,
}

/// What a device with a TPM is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmResult {
    /// Its key for the hub, wrapped for its TPM. Clients with a TPM cannot do without.
    pub authentication_key: Base64Bytes,
}

/// The refusal that a TPM's first register request is answered with: 401, and what the TPM has to prove itself with.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmChallenge {
    /// What every refusal carries.
    #[serde(flatten)]
    pub error: ServiceError,
    /// The key that the next request's token is to be signed with, wrapped for the TPM.
    pub authentication_key: Base64Bytes,
    /// The name of that key: the token's `skn`.
    pub key_name: &'static str,
}

/// By which key a device proved itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymmetricKeyResult {
    /// The group, for a device whose key is derived from a group's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<EnrollmentId>,
}

/// `DeviceRegistrationResult`: a registration as its device sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationState {
    /// Which registration.
    pub registration_id: RegistrationId,
    /// First registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Timestamp>,
    /// Where to connect; no scheme, with a port when that is not the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<HubHost>,
    /// As which device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// Where it stands.
    pub status: RegistrationStatus,
    /// Only when assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Substatus>,
    /// Only when failed: six digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Only when failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Last registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Timestamp>,
    /// Version of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// What a custom allocation answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// How it proved itself, and what was issued to it.
    #[serde(flatten)]
    pub detail: AttestationDetail,
    /// The CA certificates that the device shall trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle: Option<TrustBundle>,
}

impl RegistrationState {
    /// A registration of which only its status is told.
    #[must_use]
    pub fn bare(registration_id: RegistrationId, status: RegistrationStatus) -> Self {
        Self {
            registration_id,
            created_date_time_utc: None,
            assigned_hub: None,
            device_id: None,
            status,
            substatus: None,
            error_code: None,
            error_message: None,
            last_updated_date_time_utc: None,
            etag: None,
            payload: None,
            detail: AttestationDetail::default(),
            trust_bundle: None,
        }
    }
}

/// The answer to register and to a poll. Device daemons insist on `registrationState`, also while assigning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationStatus {
    /// Opaque to devices.
    pub operation_id: String,
    /// The same as inside `registrationState`.
    pub status: RegistrationStatus,
    /// Details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationState>,
}

impl OperationStatus {
    /// The answer to an accepted register request.
    #[must_use]
    pub fn assigning(operation_id: String, registration_id: RegistrationId) -> Self {
        let status = RegistrationStatus::Assigning;
        Self {
            operation_id,
            status,
            registration_state: Some(RegistrationState::bare(registration_id, status)),
        }
    }

    /// The answer to a poll of a finished operation.
    #[must_use]
    pub fn finished(operation_id: String, state: RegistrationState) -> Self {
        Self {
            operation_id,
            status: state.status,
            registration_state: Some(state),
        }
    }
}

/// `PUT` target of a register request, without host and query.
#[must_use]
pub fn register_path(id_scope: &str, registration_id: &str) -> String {
    format!("/{id_scope}/registrations/{registration_id}/register")
}

/// `GET` target of a poll, without host and query.
#[must_use]
pub fn operation_path(id_scope: &str, registration_id: &str, operation_id: &str) -> String {
    format!("/{id_scope}/registrations/{registration_id}/operations/{operation_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn register_bodies_of_real_clients() {
        for (body, id) in [
            (r#"{"registrationId":"my-device"}"#, Some("my-device")),
            (
                r#"{"payload": null, "registrationId": "my-device"}"#,
                Some("my-device"),
            ),
            (
                r#"{"RegistrationID":"my-device","payload":{"a":1}}"#,
                Some("my-device"),
            ),
            ("{}", None),
            ("", None),
            (" ", None),
        ] {
            let read = UnverifiedRegister::parse(body.as_bytes()).unwrap();
            assert_eq!(
                read.registration_id.as_ref().map(RegistrationId::as_str),
                id,
                "{body}"
            );
        }
        let read = UnverifiedRegister::parse(br#"{"payload":{"rack":7}}"#).unwrap();
        assert_eq!(read.payload, Some(serde_json::json!({"rack": 7})));
    }

    #[test]
    fn bad_register_bodies_say_where() {
        for (body, wanted) in [
            ("{\"registrationId\":", "line 1 column"),
            ("[]", "a JSON object was expected"),
            (
                r#"{"registrationId":7}"#,
                "'registrationId': a string was expected",
            ),
            (r#"{"registrationId":"a b"}"#, "contains ' '"),
        ] {
            let error = UnverifiedRegister::parse(body.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{body}: {error}");
        }
    }
}
