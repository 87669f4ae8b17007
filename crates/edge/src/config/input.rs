//! From a TOML tree to a [`Config`], reporting every fault at once.

mod provisioning;

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use provisioning::provisioning;

use super::reader::{At, Faults, Section, root};
use super::{Config, Fault, FileReference, MobyRuntime, ReprovisioningMode, acceptable};

const WHOLE_SECTION: &str = "remove the section";
const X509_ONLY: &str = "use source = \"dps\" with an attestation of method = \"x509\"";
/// Azure's `cloud_timeout_sec` when none is given.
const CLOUD_TIMEOUT: Duration = Duration::from_secs(70);

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
        "cloud_retries",
        "attempts go on for ever, with growing pauses",
    );
    top.without_effect(
        "prefer_module_identity_cache",
        "modules are always served from the device's own state",
    );
    let elevated_permissions = top
        .boolean("allow_elevated_docker_permissions")
        .is_none_or(|at| at.value);
    for key in ["parent_hostname", "local_gateway_hostname", "nested_edge"] {
        top.not_offered(key, "nested devices come later, remove the line");
    }
    for key in ["imported_master_encryption_key", "additional_info"] {
        top.not_offered(key, "remove the line");
    }
    for key in [
        "aziot_max_requests",
        "iotedge_max_requests",
        "cert_issuance",
        "localid",
        "aziot_keys",
        "preloaded_keys",
        "preloaded_certs",
        "tpm",
        "image_garbage_collection",
    ] {
        top.not_offered(key, WHOLE_SECTION);
    }
    watchdog(&top);
    sockets(&top);
    edge_ca(&top);
    let agent_env = agent(&top);
    let runtime = moby_runtime(&top);
    let provisioning = match top.section("provisioning") {
        Some(section) => provisioning(section),
        None => {
            if !top.has("provisioning") {
                top.fault(1, "[provisioning] is missing; `iotedge config template` shows the block \"DPS provisioning with X.509 certificate\"");
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
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if at.value.len() <= 253 && at.value.split('.').all(label) {
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
                "auto_reprovisioning_mode: {other:?} is none of Dynamic, AlwaysOnStartup, OnErrorOnly"
            );
            top.fault(line, message);
            ReprovisioningMode::default()
        }
    }
}

fn cloud_timeout(top: &Section<'_, '_>) -> Duration {
    match top.unsigned("cloud_timeout_sec") {
        Some(At { value, .. }) if (5..=3600).contains(&value) => Duration::from_secs(value),
        Some(At { value, line }) => {
            top.fault(
                line,
                format!("cloud_timeout_sec: {value} is outside 5 to 3600 seconds"),
            );
            CLOUD_TIMEOUT
        }
        None => CLOUD_TIMEOUT,
    }
}

fn watchdog(top: &Section<'_, '_>) {
    let Some(section) = top.section("watchdog") else {
        return;
    };
    if let Some(At { value, line }) = section.text("max_retries")
        && value != "infinite"
    {
        section.fault(
            line,
            format!("watchdog.max_retries: {value:?} is not offered; \"infinite\" is what happens"),
        );
    }
    section.finish();
}

fn sockets(top: &Section<'_, '_>) {
    for (name, prefix) in [("connect", "unix:///"), ("listen", "fd://")] {
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
            if !usual.contains(&value) && (prefix != "fd://" || value != activated) {
                let message = format!(
                    "{name}.{key}: other sockets than {} are not offered yet; remove the line",
                    usual[0]
                );
                section.fault(line, message);
            }
        }
        section.finish();
    }
}

fn edge_ca(top: &Section<'_, '_>) {
    let Some(section) = top.section("edge_ca") else {
        return;
    };
    section.without_effect(
        "auto_generated_edge_ca_expiry_days",
        "no certificates are issued to modules yet",
    );
    for key in [
        "cert",
        "pk",
        "method",
        "common_name",
        "subject",
        "auto_renew",
        "expiry_days",
        "url",
    ] {
        section.not_offered(
            key,
            "no certificates are issued to modules yet, remove the line",
        );
    }
    section.finish();
}

/// The bootstrap agent of Azure is a container; here the agent is part of the daemon, so that only its environment counts.
fn agent(top: &Section<'_, '_>) -> Vec<(String, String)> {
    let Some(section) = top.section("agent") else {
        return Vec::new();
    };
    let built_in = "the edge agent is part of aziot-edged and needs no image";
    for key in ["name", "type", "imagePullPolicy", "config"] {
        section.without_effect(key, built_in);
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
        for key in ["ipv6", "ipam"] {
            table.not_offered(
                key,
                "create the network with these settings yourself and give its name",
            );
        }
        let name = table.required_text("name").map(|at| at.value);
        table.finish();
        name
    } else {
        Some(section.text("network").map_or(usual.network, |at| at.value))
    };
    section.not_offered("content_trust", "remove the line");
    section.finish();
    Some(MobyRuntime {
        socket: socket?,
        network: network?,
    })
}

/// A `file:///…` URI.
fn file(section: &Section<'_, '_>, key: &'static str, required: bool) -> Option<FileReference> {
    let At { value, line } = if required {
        section.required_text(key)?
    } else {
        section.text(key)?
    };
    let name = section.name(key);
    if value.starts_with("pkcs11:") {
        section.fault(line, format!("{name}: keys in PKCS#11 modules are known from Azure IoT Edge but not offered yet; use file:///…"));
        return None;
    }
    match value.strip_prefix("file://") {
        Some(path) if path.starts_with('/') => Some(FileReference {
            path: Path::new(path).to_owned(),
            line,
            key,
        }),
        Some(_) => {
            section.fault(
                line,
                format!("{name}: {value:?} needs three slashes and an absolute path, file:///path"),
            );
            None
        }
        None => {
            section.fault(
                line,
                format!("{name}: {value:?} is not a file URI; write file:///path"),
            );
            None
        }
    }
}
