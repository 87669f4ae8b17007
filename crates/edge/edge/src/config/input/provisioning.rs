//! `[provisioning]`, with the authentication or attestation in it.

use ids::{DeviceId, HubHost, IdScope, RegistrationId};

use super::identity::{self, IdentityName};
use super::location::{file, inline_key, symmetric_key};
use crate::config::connection_string::read_device_connection;
use crate::config::fault::LineNumber;
use crate::config::issuance::CertIssuance;
use crate::config::location::SymmetricKey;
use crate::config::offered::Form;
use crate::config::provisioning::{
    Attestation, Dps, Manual, ManualCredential, NamedRegistration, Source,
};
use crate::config::reader::{At, Section};
use crate::config::values::scheme;

const MANUAL_KEYS: [&str; 4] = [
    "connection_string",
    "iothub_hostname",
    "device_id",
    "authentication",
];
const DPS_KEYS: [&str; 4] = ["global_endpoint", "id_scope", "attestation", "payload"];

pub(super) fn provisioning(section: Section<'_, '_>, issuers: &CertIssuance) -> Option<Source> {
    let source = section.required_text("source")?;
    let what = format!("provisioning.source = {:?}", source.value);
    let found = match source.value.as_str() {
        "dps" => {
            let why = "it belongs to source = \"manual\"; remove it";
            section.misplaced(&MANUAL_KEYS, why);
            dps(&section, issuers).map(Source::Dps)
        }
        "manual" => {
            section.form_of_value(Form::SourceManual, &what, source.line);
            let why = "it belongs to source = \"dps\"; remove it";
            section.misplaced(&DPS_KEYS, why);
            manual(&section, issuers).map(Source::Manual)
        }
        "none" => {
            section.form_of_value(Form::SourceNone, &what, source.line);
            section.know(&MANUAL_KEYS);
            section.know(&DPS_KEYS);
            None
        }
        other => {
            let message = format!(
                "provisioning.source: {other:?} is not a source; write \"dps\" or \"manual\""
            );
            section.fault(source.line, message);
            return None;
        }
    };
    section.finish();
    found
}

fn manual(section: &Section<'_, '_>, issuers: &CertIssuance) -> Option<Manual> {
    if section.has("connection_string") {
        let why = "it is part of connection_string already; remove one of them";
        section.misplaced(&MANUAL_KEYS[1..], why);
        return by_connection_string(section);
    }
    let hub = section.required_text("iothub_hostname").and_then(|at| {
        let host = HubHost::parse(&at.value);
        let fault = |error| {
            let message = format!("provisioning.iothub_hostname: {error}");
            section.fault(at.line, message);
        };
        host.map_err(fault).ok()
    });
    let device_id = section.required_text("device_id").and_then(|at| {
        let id = DeviceId::parse(&at.value);
        let fault = |error| section.fault(at.line, format!("provisioning.device_id: {error}"));
        id.map_err(fault).ok()
    });
    let Some(authentication) = section.section("authentication") else {
        if !section.has("authentication") {
            section.missing("authentication");
        }
        return None;
    };
    let credential = authentication_of(authentication, device_id.as_ref(), issuers);
    Some(Manual {
        hub: hub?,
        device_id: device_id?,
        credential: credential?,
    })
}

fn by_connection_string(section: &Section<'_, '_>) -> Option<Manual> {
    let At { value, line } = section.required_text("connection_string")?;
    match read_device_connection(&value) {
        Ok(read) => Some(Manual {
            hub: read.hub,
            device_id: read.device_id,
            credential: ManualCredential::SharedKey(SymmetricKey::Inline(inline_key(
                read.key, line,
            ))),
        }),
        Err(problem) => {
            section.fault(line, format!("provisioning.connection_string: {problem}"));
            None
        }
    }
}

fn authentication_of(
    section: Section<'_, '_>,
    device_id: Option<&DeviceId>,
    issuers: &CertIssuance,
) -> Option<ManualCredential> {
    let method = section.required_text("method")?;
    let credential = match method.value.as_str() {
        "sas" => {
            let why = "it belongs to method = \"x509\"; remove it";
            section.misplaced(&["identity_cert", "identity_pk"], why);
            symmetric_key(&section, "device_id_pk").map(ManualCredential::SharedKey)
        }
        "x509" => {
            section.misplaced(
                &["device_id_pk"],
                "it belongs to method = \"sas\"; remove it",
            );
            let name = device_id.map_or(IdentityName::Unknown, |id| {
                IdentityName::Device(id.as_str())
            });
            identity::x509(&section, name, issuers).map(ManualCredential::X509)
        }
        other => {
            let message = format!(
                "provisioning.authentication.method: {other:?} is not a method; write \"sas\" for \
                 a symmetric key, or \"x509\""
            );
            section.fault(method.line, message);
            return None;
        }
    };
    section.finish();
    credential
}

fn dps(section: &Section<'_, '_>, issuers: &CertIssuance) -> Option<Dps> {
    let endpoint = section
        .required_text("global_endpoint")
        .and_then(|at| endpoint(section, &at));
    let id_scope = section.required_text("id_scope").and_then(|at| {
        IdScope::parse(&at.value)
            .map_err(|error| section.fault(at.line, format!("provisioning.id_scope: {error}")))
            .ok()
    });
    let payload = section.section("payload").and_then(|payload| {
        let file = file(&payload, "uri", true);
        payload.finish();
        file
    });
    let Some(attestation) = section.section("attestation") else {
        if !section.has("attestation") {
            section.missing("attestation");
        }
        return None;
    };
    let attestation = attestation_of(attestation, issuers);
    Some(Dps {
        endpoint: endpoint?,
        id_scope: id_scope?,
        payload,
        attestation: attestation?,
    })
}

fn endpoint(section: &Section<'_, '_>, at: &At<String>) -> Option<HubHost> {
    let host = scheme(&at.value, "https://").map(|rest| rest.trim_end_matches('/'));
    let parsed = host
        .ok_or_else(|| "it has to begin with https://".to_owned())
        .and_then(|host| HubHost::parse(host).map_err(|error| error.to_string()));
    parsed
        .map_err(|problem| {
            section.fault(
                at.line,
                format!("provisioning.global_endpoint: {:?}: {problem}", at.value),
            )
        })
        .ok()
}

fn attestation_of(section: Section<'_, '_>, issuers: &CertIssuance) -> Option<Attestation> {
    let method = section.required_text("method")?;
    let what = format!("provisioning.attestation.method = {:?}", method.value);
    let x509_only = "it belongs to method = \"x509\"; remove it";
    let key_only = "it belongs to method = \"symmetric_key\"; remove it";
    let attestation = match method.value.as_str() {
        "x509" => {
            section.misplaced(&["symmetric_key"], key_only);
            let registration_id = registration_id(&section);
            identity::of_registration(&section, registration_id, issuers)
        }
        "symmetric_key" => {
            section.form_of_value(Form::SymmetricKey, &what, method.line);
            section.misplaced(&["identity_cert", "identity_pk"], x509_only);
            let id = required_registration_id(&section);
            let key = symmetric_key(&section, "symmetric_key");
            id.zip(key).map(|(id, key)| Attestation::SymmetricKey {
                registration_id: id,
                key,
            })
        }
        "tpm" => {
            section.misplaced(&["identity_cert", "identity_pk"], x509_only);
            section.misplaced(&["symmetric_key"], key_only);
            let id = required_registration_id(&section);
            id.map(|registration_id| Attestation::Tpm { registration_id })
        }
        other => {
            let message = format!(
                "provisioning.attestation.method: {other:?} is not a method; write \"x509\", \
                 \"symmetric_key\" or \"tpm\""
            );
            section.fault(method.line, message);
            return None;
        }
    };
    section.finish();
    attestation
}

fn required_registration_id(section: &Section<'_, '_>) -> Option<RegistrationId> {
    let found = registration_id(section);
    if found.is_none() && !section.has("registration_id") {
        section.missing("registration_id");
    }
    found.map(|named| named.id)
}

fn registration_id(section: &Section<'_, '_>) -> Option<NamedRegistration> {
    let At { value, line } = section.text("registration_id")?;
    match RegistrationId::parse(&value) {
        Ok(id) => Some(NamedRegistration {
            id,
            line: LineNumber(line),
        }),
        Err(error) => {
            let message = format!("provisioning.attestation.registration_id: {error}");
            section.fault(line, message);
            None
        }
    }
}
