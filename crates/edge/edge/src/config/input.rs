//! From a TOML tree to a [`Config`], reporting every fault at once.

mod provisioning;

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use provisioning::provisioning;

use super::file_uri;
use super::reader::{At, Faults, Section, TextOrNumber, root};
use super::{Config, Fault, FileReference, MobyRuntime, ReprovisioningMode, acceptable};

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
    let elevated_permissions = top
        .boolean("allow_elevated_docker_permissions")
        .is_none_or(|at| at.value);
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
            let message =
                "hostname: a name with _ is none for DNS; modules may not reach the device by it";
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
        // Nobody can tell a longer time from this one, and clocks end somewhere.
        Some(At { value, .. }) => Duration::from_secs(value.min(YEAR)),
        None => CLOUD_TIMEOUT,
    }
}

/// Sections that Azure's runtime splits among its services, and `iotedge config import` writes even
/// when they are empty.
fn not_offered_parts(top: &Section<'_, '_>) {
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
            // Nothing is collected, as it says.
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

/// Azure's watchdog starts the container of the edge agent again and gives up after so many
/// failures.
fn watchdog(top: &Section<'_, '_>) {
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

fn sockets(top: &Section<'_, '_>) {
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
            let served = usual.contains(&value) || (may_be_activated && value == activated);
            if !served {
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

fn edge_ca(top: &Section<'_, '_>) {
    let Some(section) = top.section("edge_ca") else {
        return;
    };
    // Where the certificate comes from. Each says that modules are to get certificates from that
    // CA.
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

/// The bootstrap agent of Azure is a container; here the agent is part of the daemon, so that only
/// its environment counts.
fn agent(top: &Section<'_, '_>) -> Vec<(String, String)> {
    let Some(section) = top.section("agent") else {
        return Vec::new();
    };
    let built_in = "the edge agent is part of aziot-edged and needs no image";
    section.without_effect(&["config"], built_in);
    for (key, usual) in [
        ("name", "edgeAgent"),
        ("type", "docker"),
        ("imagePullPolicy", "on-create"),
    ] {
        if section.text(key).is_some_and(|at| at.value != usual) {
            section.without_effect(&[key], built_in);
        }
    }
    let env = section
        .section("env")
        .map(|env| env.texts())
        .unwrap_or_default();
    section.finish();
    env
}

fn moby_runtime(top: &Section<'_, '_>) -> Option<MobyRuntime> {
    let Some(section) = top.section("moby_runtime") else {
        return (!top.has("moby_runtime")).then(MobyRuntime::default);
    };
    let usual = MobyRuntime::default();
    let socket = match section.text("uri") {
        None if section.has("uri") => None,
        None => Some(usual.socket),
        Some(At { value, line }) => match value
            .strip_prefix("unix://")
            .filter(|path| path.starts_with('/'))
        {
            Some(path) => Some(PathBuf::from(path)),
            None => {
                section.fault(
                    line,
                    format!("moby_runtime.uri: {value:?} is not unix:///path/of/docker.sock"),
                );
                None
            }
        },
    };
    let network = if section.is_table("network") {
        let table = section.section("network")?;
        let instead = "create the network with these settings yourself and give its name";
        if table.boolean("ipv6").is_some_and(|at| at.value) {
            table.not_offered("ipv6", instead);
        }
        table.not_offered("ipam", instead);
        let name = table.required_text("name").map(|at| at.value);
        table.finish();
        name
    } else {
        // As in the original, an empty name asks for the usual network.
        let named = section.text("network").filter(|at| !at.value.is_empty());
        Some(named.map_or(usual.network, |at| at.value))
    };
    section.not_offered("content_trust", "remove the line");
    section.finish();
    Some(MobyRuntime {
        socket: socket?,
        network: network?,
    })
}

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
