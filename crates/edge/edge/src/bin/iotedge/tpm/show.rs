use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tpm::{EndorsementCertificate, Tpm};

use crate::output::{self, Format};

pub fn run(tpm: &Tpm, format: Format) -> anyhow::Result<()> {
    let about = tpm.about()?;
    let keys = tpm
        .public_keys()
        .context("the keys of the TPM cannot be read")?;
    let certificates = tpm
        .endorsement_certificates()
        .context("the certificates in the TPM cannot be read")?;
    let (endorsement, storage_root) = (
        STANDARD.encode(&keys.endorsement),
        STANDARD.encode(&keys.storage_root),
    );
    let suggested = registration_id(&keys.endorsement);
    if format == Format::Json {
        return output::json(&json!({
            "tcti": tpm.settings().tcti.to_string(),
            "manufacturer": about.manufacturer,
            "firmware": about.firmware,
            "lockedOut": about.is_locked_out,
            "endorsementKey": endorsement,
            "storageRootKey": storage_root,
            "registrationId": suggested,
            "endorsementCertificates": certificates.iter().map(as_json).collect::<Vec<_>>(),
        }));
    }
    let mut lines = vec![
        format!("TPM:                      {about}"),
        format!("TCTI:                     {}", tpm.settings().tcti),
        format!("Endorsement key:          {endorsement}"),
        format!("Storage root key:         {storage_root}"),
        format!("SHA-256, to be an id:     {suggested}"),
    ];
    match &certificates[..] {
        [] => lines.push("Endorsement certificate:  none".to_owned()),
        several => lines.extend(several.iter().map(in_words)),
    }
    output::text(lines)
}

/// What Azure's guide suggests as a registration id: SHA-256 of the endorsement key, hexadecimal.
pub fn registration_id(endorsement: &[u8]) -> String {
    let digest = digest(&SHA256, endorsement);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn as_json(found: &EndorsementCertificate) -> Value {
    json!({
        "index": format!("{:#010x}", found.index),
        "subject": found.certificate.subject(),
        "issuer": found.certificate.issuer(),
        "notAfter": found.certificate.not_after(),
        "isOfThisTpm": found.is_of_this_tpm,
    })
}

fn in_words(found: &EndorsementCertificate) -> String {
    let (issuer, end) = (
        found.certificate.issuer(),
        found.certificate.not_after().in_seconds(),
    );
    let whose = match found.is_of_this_tpm {
        true => "",
        false => ", for another key than the endorsement key",
    };
    format!("Endorsement certificate:  of {issuer}, until {end}{whose}")
}
