//! The body of a register request.

use ids::RegistrationId;
use serde::Serialize;
use serde_json::Value;

use crate::binary::{Base64Bytes, MAX_TPM_KEY, optional_bytes};
use crate::lenient::{self, BodyError, Fields};

/// Largest request body, bytes. The payload of a device may be 64 KiB; certificates and
/// quoting need the rest.
pub const MAX_BODY: usize = 96 * 1024;

/// The body of a register request. Everything in it is a claim of a device that
/// has proven nothing yet.
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
    /// `endorsementKey`: the `TPM2B_PUBLIC` of the TPM's endorsement key.
    pub endorsement_key: Base64Bytes,
    /// `storageRootKey`: the `TPM2B_PUBLIC` of the TPM's storage root key.
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
    let Some(endorsement_key) = optional_bytes(&tpm, "endorsementKey", MAX_TPM_KEY)? else {
        return Err(tpm.error("endorsementKey", "is missing"));
    };
    Ok(Some(TpmClaim {
        endorsement_key,
        storage_root_key: optional_bytes(&tpm, "storageRootKey", MAX_TPM_KEY)?,
    }))
}

fn csr_claim(fields: &Fields<'_>) -> Result<Option<CsrClaim>, BodyError> {
    if let Some(der) = optional_bytes(fields, "csr", MAX_CSR)? {
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
    /// The device's registration id, the same as in the request's path.
    pub registration_id: RegistrationId,
    /// What it tells a custom allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// By which TPM it proves itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmRequest>,
    /// A certificate request (PKCS#10, DER).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr: Option<Base64Bytes>,
}

/// The public keys of a device's TPM, each a `TPM2B_PUBLIC`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TpmRequest {
    /// The endorsement key, which the enrollment names.
    pub endorsement_key: Base64Bytes,
    /// The storage root key, under which the TPM keeps what it is given.
    pub storage_root_key: Base64Bytes,
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
