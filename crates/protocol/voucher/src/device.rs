use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ids::{RegistrationId, Thumbprint};
use pki::Certificate;
use pki::tpm::EndorsementKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::VoucherError;

/// Longest entry, characters.
const MAX_ENTRY: usize = 64 * 1024;

/// How a device proves what it is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The certificate of its maker.
    Certificate(Box<Certificate>),
    /// SHA-256 of that certificate, which is delivered apart.
    Thumbprint(Thumbprint),
    /// Its TPM.
    EndorsementKey(EndorsementKey),
}

/// A device of a batch.
#[derive(Debug, Clone)]
pub struct Device {
    /// The name by which it registers.
    pub id: RegistrationId,
    /// The credential that its maker gave it.
    pub credential: Credential,
    /// Twin tags.
    pub tags: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    id: RegistrationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbprint: Option<Thumbprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    endorsement_key: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    tags: Map<String, Value>,
}

impl Device {
    /// The entry of the device, once its credential is one that can register as its id.
    pub(crate) fn to_entry(&self) -> Result<String, VoucherError> {
        let unusable = |problem: String| VoucherError::Unusable {
            id: self.id.clone(),
            problem,
        };
        self.named_as_registered().map_err(unusable)?;
        let mut entry = Entry {
            id: self.id.clone(),
            certificate: None,
            thumbprint: None,
            endorsement_key: None,
            tags: self.tags.clone(),
        };
        match &self.credential {
            Credential::Certificate(one) => entry.certificate = Some(STANDARD.encode(one.der())),
            Credential::Thumbprint(hash) => entry.thumbprint = Some(*hash),
            Credential::EndorsementKey(key) => {
                entry.endorsement_key = Some(STANDARD.encode(key.as_bytes()));
            }
        }
        let json = serde_json::to_vec(&entry).map_err(|error| unusable(error.to_string()))?;
        let text = URL_SAFE_NO_PAD.encode(json);
        match text.len() > MAX_ENTRY {
            true => Err(unusable("has too large tags".to_owned())),
            false => Ok(text),
        }
    }

    /// Reads the entry at a position, counted from 0.
    pub(crate) fn of_entry(position: usize, text: &str) -> Result<Self, VoucherError> {
        let bad = |problem: String| VoucherError::Device {
            number: position + 1,
            problem,
        };
        if text.len() > MAX_ENTRY {
            return Err(bad("it is too long".to_owned()));
        }
        let json = URL_SAFE_NO_PAD.decode(text);
        let json = json.map_err(|_| bad("it is not base64url".to_owned()))?;
        let entry: Entry = serde_json::from_slice(&json).map_err(|error| bad(error.to_string()))?;
        let device = Self {
            credential: credential(&entry).map_err(bad)?,
            id: entry.id,
            tags: entry.tags,
        };
        device
            .named_as_registered()
            .map_err(|problem| bad(format!("device {} {problem}", device.id)))?;
        Ok(device)
    }

    /// A device registers as the common name of its certificate, and as nothing else.
    fn named_as_registered(&self) -> Result<(), String> {
        let Credential::Certificate(certificate) = &self.credential else {
            return Ok(());
        };
        let name = certificate.subject_common_name().unwrap_or_default();
        match name.eq_ignore_ascii_case(self.id.as_str()) {
            true => Ok(()),
            false => Err(format!(
                "has a certificate with the common name {name:?}; it can only register as that"
            )),
        }
    }
}

fn credential(entry: &Entry) -> Result<Credential, String> {
    let bytes = |text: &str| {
        STANDARD
            .decode(text)
            .map_err(|_| "it is not base64".to_owned())
    };
    match (
        &entry.certificate,
        &entry.thumbprint,
        &entry.endorsement_key,
    ) {
        (Some(text), None, None) => Certificate::from_der(&bytes(text)?)
            .map(|one| Credential::Certificate(Box::new(one)))
            .map_err(|error| error.to_string()),
        (None, Some(hash), None) => Ok(Credential::Thumbprint(*hash)),
        (None, None, Some(text)) => EndorsementKey::parse(&bytes(text)?)
            .map(Credential::EndorsementKey)
            .map_err(|error| error.to_string()),
        _ => Err("exactly one of certificate, thumbprint and endorsementKey is wanted".to_owned()),
    }
}

/// What a list of digests says of an entry.
pub(crate) fn digest_of(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// Refuses a second device of one id.
pub(crate) fn distinct<'a>(devices: impl Iterator<Item = &'a Device>) -> Result<(), VoucherError> {
    let mut seen = BTreeSet::new();
    for device in devices {
        if !seen.insert(device.id.as_str().to_ascii_lowercase()) {
            return Err(VoucherError::Twice(device.id.clone()));
        }
    }
    Ok(())
}
