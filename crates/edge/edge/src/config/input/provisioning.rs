//! The section `[provisioning]`, with the attestation in it.

use ids::{HubHost, IdScope, RegistrationId};

use super::{X509_ONLY, file};
use crate::config::reader::{At, Section};
use crate::config::{FileReference, Provisioning};

pub(super) fn provisioning(section: Section<'_, '_>) -> Option<Provisioning> {
    source_is_dps(&section)?;
    for key in [
        "connection_string",
        "iothub_hostname",
        "device_id",
        "authentication",
        "device_id_pk",
    ] {
        section.not_offered(key, "it belongs to source = \"manual\"; remove it");
    }
    let endpoint = section
        .required_text("global_endpoint")
        .and_then(|at| endpoint(&section, at));
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
    let attestation = match section.section("attestation") {
        Some(attestation) => attestation_x509(attestation),
        None => {
            if !section.has("attestation") {
                section.missing("attestation");
            }
            None
        }
    };
    section.finish();
    let (registration_id, identity_cert, identity_pk) = attestation?;
    Some(Provisioning {
        endpoint: endpoint?,
        id_scope: id_scope?,
        registration_id,
        payload,
        identity_cert,
        identity_pk,
    })
}

/// `source` is `dps`, the only one that is offered.
fn source_is_dps(section: &Section<'_, '_>) -> Option<()> {
    let source = section.required_text("source")?;
    match source.value.as_str() {
        "dps" => Some(()),
        "manual" | "none" => {
            let message = format!(
                "provisioning.source: {:?} is known from Azure IoT Edge but not offered yet; \
                 {X509_ONLY}",
                source.value
            );
            section.fault(source.line, message);
            None
        }
        other => {
            section.fault(
                source.line,
                format!("provisioning.source: {other:?} is not a source; {X509_ONLY}"),
            );
            None
        }
    }
}

fn endpoint(section: &Section<'_, '_>, at: At<String>) -> Option<HubHost> {
    let host = at
        .value
        .split_at_checked("https://".len())
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https://"))
        .map(|(_, rest)| rest.trim_end_matches('/'));
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

type X509 = (
    Option<(RegistrationId, usize)>,
    FileReference,
    FileReference,
);

fn attestation_x509(section: Section<'_, '_>) -> Option<X509> {
    method_is_x509(&section)?;
    section.not_offered(
        "symmetric_key",
        "it belongs to method = \"symmetric_key\"; remove it",
    );
    let registration_id =
        section
            .text("registration_id")
            .and_then(|at| match RegistrationId::parse(&at.value) {
                Ok(id) => Some((id, at.line)),
                Err(error) => {
                    section.fault(
                        at.line,
                        format!("provisioning.attestation.registration_id: {error}"),
                    );
                    None
                }
            });
    if section.is_table("identity_cert") {
        let instead = "certificates issued on the device (EST, local CA, self-signed) come later; \
            name a file, identity_cert = \"file:///…\", and that of its key, identity_pk";
        if !section.none_offered(&["identity_cert"], instead) {
            section.missing("identity_cert");
        }
        section.know(&["identity_pk"]);
        section.finish();
        return None;
    }
    let identity_cert = file(&section, "identity_cert", true);
    let identity_pk = file(&section, "identity_pk", true);
    section.finish();
    Some((registration_id, identity_cert?, identity_pk?))
}

/// `method` is `x509`, the only one that is offered.
fn method_is_x509(section: &Section<'_, '_>) -> Option<()> {
    let method = section.required_text("method")?;
    match method.value.as_str() {
        "x509" => Some(()),
        "tpm" | "symmetric_key" => {
            let message = format!(
                "provisioning.attestation.method: {:?} is known from Azure IoT Edge but not \
                 offered yet; use \"x509\"",
                method.value
            );
            section.fault(method.line, message);
            None
        }
        other => {
            section.fault(
                method.line,
                format!("provisioning.attestation.method: {other:?} is not a method; use \"x509\""),
            );
            None
        }
    }
}
