//! Makes a [`Config`] from a TOML tree, and finds all faults of it.

mod azure_services;
mod engine;
mod provisioning;

use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use azure_services::{edge_ca, not_offered_parts, sockets, watchdog};
use engine::{agent, moby_runtime};
use provisioning::provisioning;

use super::file_uri;
use super::reader::{At, Faults, Section, root};
use super::{Config, Fault, FileReference, ReprovisioningMode, acceptable};

const WHOLE_SECTION: &str = "remove the section";
const X509_ONLY: &str = "use source = \"dps\" with an attestation of method = \"x509\"";
/// Azure's `cloud_timeout_sec` when none is given.
const CLOUD_TIMEOUT: Duration = Duration::from_secs(70);
const YEAR: u64 = 365 * 24 * 3600;

pub(super) fn read(
    text: &str,
    table: &Spanned<DeTable<'_>>,
) -> Result<(Config, Vec<Fault>), Vec<Fault>> {
    let faults = Faults::new(text);
    let config = top(root(&faults, table));
    let found = faults.into_sorted();
    match config {
        Some(config) if acceptable(&found) => Ok((config, found)),
        _ => Err(found),
    }
}

fn top(top: Section<'_, '_>) -> Option<Config> {
    let hostname = top.text("hostname").and_then(|at| hostname(&top, at));
    let trust_bundle = file(&top, "trust_bundle_cert", false);
    let reprovisioning = reprovisioning(&top);
    let cloud_timeout = cloud_timeout(&top);
    let elevated_permissions = top
        .boolean("allow_elevated_docker_permissions")
        .is_none_or(|at| at.value);
    keys_without_effect(&top);
    keys_not_offered(&top);
    not_offered_parts(&top);
    watchdog(&top);
    sockets(&top);
    edge_ca(&top);
    let agent_env = agent(&top);
    let runtime = moby_runtime(&top);
    let provisioning = match top.section("provisioning") {
        Some(section) => provisioning(section),
        None => {
            if !top.has("provisioning") {
                top.fault(
                    1,
                    "[provisioning] is missing; `iotedge config template` shows the \
                    block \"DPS provisioning with X.509 certificate\"",
                );
            }
            None
        }
    };
    top.finish();
    Some(Config {
        hostname,
        trust_bundle,
        reprovisioning,
        cloud_timeout,
        elevated_permissions,
        provisioning: provisioning?,
        agent_env,
        runtime: runtime?,
    })
}

fn keys_without_effect(top: &Section<'_, '_>) {
    top.without_effect(
        &["cloud_retries"],
        "attempts go on for ever, with growing pauses",
    );
    top.without_effect(
        &["prefer_module_identity_cache"],
        "modules are always served from the device's own state",
    );
    top.without_effect(
        &["aziot_max_requests"],
        "the services that it is about are parts of aziot-edged, which does not ask them over \
         sockets",
    );
}

fn keys_not_offered(top: &Section<'_, '_>) {
    for key in ["parent_hostname", "local_gateway_hostname", "nested_edge"] {
        top.not_offered(key, "nested devices come later, remove the line");
    }
    top.not_offered(
        "imported_master_encryption_key",
        "modules cannot encrypt with the workload API yet, remove the line",
    );
    top.not_offered("additional_info", "remove the line");
    for key in ["iotedge_max_requests", "localid", "endpoints"] {
        top.not_offered(key, WHOLE_SECTION);
    }
}

fn hostname(top: &Section<'_, '_>, at: At<String>) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if at.value.len() <= 253 && at.value.split('.').all(label) {
        if at.value.contains('_') {
            let message = "hostname: a name with _ is not valid in DNS; modules may not reach the device by it";
            top.warn(at.line, message);
        }
        return Some(at.value);
    }
    top.fault(
        at.line,
        format!(
            "hostname: {:?} is not a host name (letters, digits and - between dots)",
            at.value
        ),
    );
    None
}

fn reprovisioning(top: &Section<'_, '_>) -> ReprovisioningMode {
    let Some(At { value, line }) = top.text("auto_reprovisioning_mode") else {
        return ReprovisioningMode::default();
    };
    match value.as_str() {
        "Dynamic" => ReprovisioningMode::Dynamic,
        "AlwaysOnStartup" => ReprovisioningMode::AlwaysOnStartup,
        "OnErrorOnly" => ReprovisioningMode::OnErrorOnly,
        other => {
            let message = format!(
                "auto_reprovisioning_mode: {other:?} is not one of Dynamic, AlwaysOnStartup, \
                 OnErrorOnly"
            );
            top.fault(line, message);
            ReprovisioningMode::default()
        }
    }
}

fn cloud_timeout(top: &Section<'_, '_>) -> Duration {
    match top.unsigned("cloud_timeout_sec") {
        Some(At { value, line }) if value < 5 => {
            top.fault(
                line,
                format!("cloud_timeout_sec: {value} is less than 5 seconds"),
            );
            CLOUD_TIMEOUT
        }
        // A longer time makes no difference, and would overflow the clock.
        Some(At { value, .. }) => Duration::from_secs(value.min(YEAR)),
        None => CLOUD_TIMEOUT,
    }
}

/// A file that a key names by a `file:///…` URI.
fn file(section: &Section<'_, '_>, key: &'static str, required: bool) -> Option<FileReference> {
    let At { value, line } = if required {
        section.required_text(key)?
    } else {
        section.text(key)?
    };
    let name = section.name(key);
    if value.starts_with("pkcs11:") {
        section.fault(
            line,
            format!(
                "{name}: keys in PKCS#11 modules are known from Azure IoT \
            Edge but not offered yet; use file:///…"
            ),
        );
        return None;
    }
    match file_uri::path(&value) {
        Ok(path) => Some(FileReference { path, line, key }),
        Err(problem) => {
            section.fault(line, format!("{name}: {value:?} {problem}"));
            None
        }
    }
}
