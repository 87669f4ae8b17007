//! Enrollments and claims of TPMs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use software_tpm::SoftwareTpm;

pub fn tpm_enrollment(id: &str, endorsement: &[u8], storage_root: Option<&[u8]>) -> Value {
    let mut tpm = json!({"endorsementKey": STANDARD.encode(endorsement)});
    if let Some(root) = storage_root {
        tpm["storageRootKey"] = json!(STANDARD.encode(root));
    }
    json!({
        "registrationId": id,
        "attestation": {"type": "tpm", "tpm": tpm},
        "capabilities": {"iotEdge": true},
    })
}

pub fn claim(tpm: &SoftwareTpm) -> Value {
    json!({
        "endorsementKey": STANDARD.encode(tpm.endorsement_key()),
        "storageRootKey": STANDARD.encode(tpm.storage_root_key()),
    })
}
