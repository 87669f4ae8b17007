//! Makes a [`Config`] from a TOML tree, and finds all faults of it.

mod agent;
mod engine;
mod est;
mod identity;
mod issuance;
mod keys;
mod location;
mod provisioning;
mod renewal;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use self::agent::{agent, image_gc, watchdog};
use self::engine::{moby_runtime, sockets};
use self::issuance::{cert_issuance, edge_ca};
use self::keys::{pkcs11_library, preloaded_certs, preloaded_keys, tpm};
use self::location::file;
use self::provisioning::provisioning;
use super::fault::LineNumber;
use super::issuance::CertIssuance;
use super::location::FileReference;
use super::offered::{Form, Offer};
use super::provisioning::Source;
use super::reader::{At, Faults, Section, root};
use super::{Config, Fault, ReprovisioningMode, acceptable};

/// Azure's `cloud_timeout_sec` when none is given.
const CLOUD_TIMEOUT: Duration = Duration::from_secs(70);
const YEAR: u64 = 365 * 24 * 3600;

pub(super) fn read(
    text: &str,
    table: &Spanned<DeTable<'_>>,
    offer: Offer,
) -> Result<(Config, Vec<Fault>), Vec<Fault>> {
    let faults = Faults::new(text, offer);
    let config = top(root(&faults, table));
    let found = faults.into_sorted();
    match config {
        Some(config) if acceptable(&found) => Ok((config, found)),
        _ => Err(found),
    }
}

/// The whole file. Every part is read before the first missing one ends it, so that all faults
/// are found at once.
fn top(top: Section<'_, '_>) -> Option<Config> {
    let hostname = top.text("hostname").and_then(|at| hostname(&top, at));
    let trust_bundle = file(&top, "trust_bundle_cert", false);
    let reprovisioning = reprovisioning(&top);
    let cloud_timeout = cloud_timeout(&top);
    let elevated_permissions = top
        .boolean("allow_elevated_docker_permissions")
        .is_none_or(|at| at.value);
    keys_without_effect(&top);
    let cert_issuance = cert_issuance(&top);
    let edge_ca = edge_ca(&top, &cert_issuance);
    let (pkcs11, tpm) = (pkcs11_library(&top), tpm(&top));
    let (preloaded_keys, preloaded_certs) = (preloaded_keys(&top), preloaded_certs(&top));
    let imported_master_key = imported_master_key(&top);
    let additional_info = file(&top, "additional_info", false);
    let local_id_domain = local_id_domain(&top);
    let (agent_env, watchdog, image_gc) = (agent(&top), watchdog(&top), image_gc(&top));
    let (sockets, runtime) = (sockets(&top), moby_runtime(&top));
    let source = source(&top, &cert_issuance);
    let parent_hostname = parent_hostname(&top, source.as_ref());
    top.finish();
    Some(Config {
        hostname,
        trust_bundle,
        reprovisioning,
        cloud_timeout,
        elevated_permissions,
        source: source?,
        edge_ca: edge_ca?,
        cert_issuance,
        pkcs11,
        preloaded_keys,
        preloaded_certs,
        tpm,
        imported_master_key,
        additional_info,
        local_id_domain,
        parent_hostname,
        agent_env,
        watchdog,
        image_gc,
        sockets,
        runtime: runtime?,
    })
}

fn source(top: &Section<'_, '_>, issuers: &CertIssuance) -> Option<Source> {
    if let Some(section) = top.section("provisioning") {
        return provisioning(section, issuers);
    }
    if !top.has("provisioning") {
        top.fault(
            1,
            "[provisioning] is missing; `iotedge config template` shows the block \"DPS \
             provisioning with X.509 certificate\", and others",
        );
    }
    None
}

fn keys_without_effect(top: &Section<'_, '_>) {
    top.without_effect(
        &["hostname"],
        "modules connect to the hub itself; the name is for an edge hub between them",
    );
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
    top.without_effect(
        &["iotedge_max_requests"],
        "the sockets of aziot-edged do not count the connections of a user",
    );
    top.without_effect(&["endpoints"], "Azure's released tools ignore it, too");
}

/// The gateway that a nested device speaks to. `local_gateway_hostname` is its name in `aziotctl`.
fn parent_hostname(top: &Section<'_, '_>, source: Option<&Source>) -> Option<String> {
    let parent = top.text("parent_hostname");
    let gateway = top.text("local_gateway_hostname");
    if let (Some(_), Some(at)) = (&parent, &gateway) {
        let message = "local_gateway_hostname: parent_hostname says it already; remove one";
        top.fault(at.line, message);
    }
    let (key, at) = match (parent, gateway) {
        (Some(at), _) => ("parent_hostname", at),
        (None, at) => ("local_gateway_hostname", at?),
    };
    top.form(Form::ParentHostname, key, at.line);
    if matches!(source, Some(Source::Dps(_))) {
        let message = format!(
            "{key}: a nested device is provisioned manually; use source = \"manual\", or remove \
             the line"
        );
        top.fault(at.line, message);
    }
    if !is_host_name(&at.value) {
        let message = format!("{key}: {:?} is not a host name", at.value);
        top.fault(at.line, message);
    }
    Some(at.value)
}

/// What `iotedge config import` writes, so that modules can decrypt what they encrypted before:
/// a path and not a URI.
fn imported_master_key(top: &Section<'_, '_>) -> Option<FileReference> {
    let key = "imported_master_encryption_key";
    let At { value, line } = top.text(key)?;
    top.form(Form::ImportedMasterKey, key, line);
    if !value.starts_with('/') {
        top.fault(line, format!("{key}: {value:?} is not an absolute path"));
        return None;
    }
    Some(FileReference {
        path: PathBuf::from(value),
        line: LineNumber(line),
        key: key.to_owned(),
    })
}

fn local_id_domain(top: &Section<'_, '_>) -> Option<String> {
    let section = top.asking_section("localid")?;
    top.form(Form::LocalIds, "localid", section.line());
    let domain = section.required_text("domain");
    if let Some(At { value, line }) = &domain
        && !is_host_name(value)
    {
        section.fault(*line, format!("localid.domain: {value:?} is not a domain"));
    }
    section.finish();
    domain.map(|at| at.value)
}

fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn hostname(top: &Section<'_, '_>, at: At<String>) -> Option<String> {
    if is_host_name(&at.value) {
        if at.value.contains('_') {
            let message = "hostname: a name with _ is not valid in DNS; modules may not reach the \
                           device by it";
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
