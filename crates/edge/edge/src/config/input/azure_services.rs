//! Sections of Azure's template about services that are parts of this daemon, or that it
//! does not offer yet.

use super::WHOLE_SECTION;
use crate::config::reader::{At, Section, TextOrNumber};

/// Sections for the services of Azure's runtime. `iotedge config import` writes them even
/// when they are empty.
pub(super) fn not_offered_parts(top: &Section<'_, '_>) {
    top.not_offered(
        "aziot_keys",
        "keys in PKCS#11 modules come later, use keys in files and remove the section",
    );
    for key in ["preloaded_keys", "preloaded_certs"] {
        top.not_offered(key, WHOLE_SECTION);
    }
    if let Some(section) = top.asking_section("cert_issuance") {
        section.none_offered(
            &["est", "local_ca"],
            "certificates issued on the device come later, use certificates in files and remove \
             the section",
        );
        section.finish();
    }
    top.not_offered("tpm", "attestation by TPM comes later, remove the section");
    if let Some(section) = top.asking_section("image_garbage_collection") {
        let keys = [
            "cleanup_recurrence",
            "image_age_cleanup_threshold",
            "cleanup_time",
        ];
        match section.boolean("enabled") {
            // Images are not collected, which is what the section asks for.
            Some(At { value: false, .. }) => section.know(&keys),
            _ => {
                let instead =
                    "images are not removed yet, write enabled = false or remove the section";
                section.none_offered(&["enabled", keys[0], keys[1], keys[2]], instead);
            }
        }
        section.finish();
    }
}

/// Azure's watchdog restarts the container of the edge agent, and gives up
/// after this many failures.
pub(super) fn watchdog(top: &Section<'_, '_>) {
    let Some(section) = top.section("watchdog") else {
        return;
    };
    match section.text_or_unsigned("max_retries") {
        Some(At {
            value: TextOrNumber::Text(text),
            line,
        }) if !text.eq_ignore_ascii_case("infinite") => {
            section.fault(
                line,
                format!(
                    "watchdog.max_retries: {text:?} is neither \"infinite\" nor a whole number"
                ),
            );
        }
        Some(At {
            value: TextOrNumber::Number(_),
            ..
        }) => section.without_effect(
            &["max_retries"],
            "the edge agent is part of aziot-edged, there is nothing that could be watched and \
             given up",
        ),
        _ => {}
    }
    section.finish();
}

pub(super) fn sockets(top: &Section<'_, '_>) {
    for (name, may_be_activated) in [("connect", false), ("listen", true)] {
        let Some(section) = top.section(name) else {
            continue;
        };
        for (key, socket) in [("workload_uri", "workload"), ("management_uri", "mgmt")] {
            let Some(At { value, line }) = section.text(key) else {
                continue;
            };
            let usual = [
                format!("unix:///var/run/iotedge/{socket}.sock"),
                format!("unix:///run/iotedge/{socket}.sock"),
            ];
            let activated = format!("fd://aziot-edged.{socket}.socket");
            let is_supported = usual.contains(&value) || (may_be_activated && value == activated);
            if !is_supported {
                let message = format!(
                    "{name}.{key}: other sockets than {} are known from Azure IoT Edge but not \
                     offered yet; remove the line",
                    usual[0]
                );
                section.fault(line, message);
            }
        }
        if may_be_activated {
            section.without_effect(
                &["min_tls_version"],
                "the sockets are files of this device, where TLS is not spoken",
            );
        }
        section.finish();
    }
}

pub(super) fn edge_ca(top: &Section<'_, '_>) {
    let Some(section) = top.section("edge_ca") else {
        return;
    };
    // The source of the CA certificate. Each of these keys asks for certificates for modules.
    let from_a_ca = section.none_offered(
        &[
            "method",
            "cert",
            "pk",
            "url",
            "username",
            "password",
            "identity_cert",
            "identity_pk",
            "bootstrap_identity_cert",
            "bootstrap_identity_pk",
        ],
        "no certificates are issued to modules yet, remove the section [edge_ca]",
    );
    let how = [
        "auto_generated_edge_ca_expiry_days",
        "expiry_days",
        "auto_renew",
        "common_name",
        "subject",
    ];
    if from_a_ca {
        section.know(&how);
    } else {
        section.without_effect(&how, "no certificates are issued to modules yet");
    }
    section.finish();
}
