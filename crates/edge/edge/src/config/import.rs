//! `iotedge config import` and `iotedge config mp`: configurations that programs write.

mod old;
mod provisioning;
mod yaml;

use std::path::Path;

use toml::{Table as Toml, Value};

use self::old::Table;
use super::{Fault, read_device_connection};

/// A new `config.toml`, and what should be known about it.
#[derive(Debug)]
pub struct Imported {
    pub text: String,
    /// Warnings and notes.
    pub faults: Vec<Fault>,
}

/// A configuration with the connection string of a device.
///
/// # Errors
/// When the text is not such a string.
pub fn with_connection_string(text: &str) -> Result<String, String> {
    let text = text.trim();
    read_device_connection(text)?;
    let quoted = Value::String(text.to_owned());
    Ok(format!(
        "auto_reprovisioning_mode = \"OnErrorOnly\"\n\n[provisioning]\nsource = \"manual\"\n\
         connection_string = {quoted}\n"
    ))
}

/// Makes a `config.toml` of what iotedge before 1.2 had, `config.yaml`. The file of 1.2 and later is
/// a `config.toml` already and is kept as it is. `master_key` is the key with which modules of the
/// old release encrypted, if the device has one.
///
/// # Errors
/// The first fault of the old file. What cannot be imported is a warning where the rest is of use
/// without it.
pub fn import(text: &str, master_key: Option<&Path>) -> Result<Imported, Fault> {
    let is_toml = text
        .parse::<Toml>()
        .is_ok_and(|table| table.contains_key("provisioning"));
    if is_toml {
        return Ok(Imported {
            text: text.to_owned(),
            faults: Vec::new(),
        });
    }
    let Some(root) = yaml::parse(text)? else {
        return Err(Fault::error(None, "the file holds nothing"));
    };
    let mut faults = Vec::new();
    let mut config = imported(Table::new(&root, "")?, &mut faults)?;
    if let Some(path) = master_key {
        let path = path.to_string_lossy().into_owned();
        config.insert("imported_master_encryption_key".to_owned(), path.into());
    }
    faults.sort_by_key(|fault| fault.line);
    Ok(Imported {
        text: config.to_string(),
        faults,
    })
}

fn imported(mut old: Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let mut new = Toml::new();
    put(&mut new, "hostname", old.text("hostname")?);
    put(&mut new, "parent_hostname", old.text("parent_hostname")?);
    let Some(provisioning) = old.table("provisioning")? else {
        return Err(old.missing("provisioning"));
    };
    let (mode, provisioning) = provisioning::imported(provisioning, faults)?;
    new.insert("auto_reprovisioning_mode".to_owned(), mode.into());
    new.insert("provisioning".to_owned(), provisioning.into());
    if let Some(agent) = old.table("agent")? {
        put_table(&mut new, "agent", self::agent(agent, faults)?);
    }
    if let Some(certificates) = old.table("certificates")? {
        self::certificates(certificates, &mut new, faults)?;
    }
    for section in ["connect", "listen"] {
        if let Some(mut table) = old.table(section)? {
            let mut uris = Toml::new();
            for key in ["management_uri", "workload_uri"] {
                put(&mut uris, key, table.text(key)?.map(socket));
            }
            table.finish(faults);
            put_table(&mut new, section, uris);
        }
    }
    if let Some(mut watchdog) = old.table("watchdog")? {
        let retries = watchdog.any("max_retries");
        watchdog.finish(faults);
        let table = retries.map(|retries| Toml::from_iter([("max_retries".to_owned(), retries)]));
        put_table(&mut new, "watchdog", table.unwrap_or_default());
    }
    if let Some(runtime) = old.table("moby_runtime")? {
        put_table(&mut new, "moby_runtime", moby_runtime(runtime, faults)?);
    }
    // The new runtime has folders of its own.
    let _ = old.node("homedir");
    old.finish(faults);
    Ok(new)
}

/// The agent's environment and image. Null and empty tables are left out.
fn agent(mut old: Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let mut new = Toml::new();
    for key in ["name", "type", "imagePullPolicy"] {
        put(&mut new, key, old.text(key)?);
    }
    if let Some(Value::Table(env)) = old.any("env") {
        let env = env.into_iter().map(|(name, value)| (name, as_text(value)));
        put_table(&mut new, "env", env.collect());
    }
    if let Some(mut config) = old.table("config")? {
        let mut table = Toml::new();
        for key in ["image", "digest"] {
            put(&mut table, key, config.text(key)?);
        }
        for key in ["createOptions", "auth"] {
            if let Some(Value::Table(inner)) = config.any(key) {
                put_table(&mut table, key, inner);
            }
        }
        let _ = config.node("imageHash");
        config.finish(faults);
        put_table(&mut new, "config", table);
    }
    old.finish(faults);
    Ok(new)
}

/// An environment has texts only; YAML makes numbers of some of them.
fn as_text(value: Value) -> Value {
    match value {
        Value::Integer(number) => Value::String(number.to_string()),
        Value::Boolean(value) => Value::String(value.to_string()),
        other => other,
    }
}

fn certificates(mut old: Table<'_>, new: &mut Toml, faults: &mut Vec<Fault>) -> Result<(), Fault> {
    let mut edge_ca = Toml::new();
    let ca = old.text("device_ca_cert")?.map(file_uri);
    let key = old.text("device_ca_pk")?.map(file_uri);
    let days = old.any("auto_generated_ca_lifetime_days");
    put(
        new,
        "trust_bundle_cert",
        old.text("trusted_ca_certs")?.map(file_uri),
    );
    match (ca, key, days) {
        (Some(ca), Some(key), _) => {
            put(&mut edge_ca, "cert", Some(ca));
            put(&mut edge_ca, "pk", Some(key));
        }
        (None, None, Some(days)) => {
            edge_ca.insert("auto_generated_edge_ca_expiry_days".to_owned(), days);
        }
        (None, None, None) => {}
        (Some(_), None, _) => return Err(old.missing("device_ca_pk")),
        (None, Some(_), _) => return Err(old.missing("device_ca_cert")),
    }
    old.finish(faults);
    put_table(new, "edge_ca", edge_ca);
    Ok(())
}

fn moby_runtime(mut old: Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let mut new = Toml::new();
    put(&mut new, "uri", old.text("uri")?);
    if let Some(network) = old.any("network") {
        new.insert("network".to_owned(), network);
    }
    if let Some(mut trust) = old.table("content_trust")? {
        if let Some(Value::Table(certificates)) = trust.any("ca_certs") {
            let certificates = certificates.into_iter().map(|(registry, path)| match path {
                Value::String(path) => (registry, Value::String(file_uri(path))),
                other => (registry, other),
            });
            let mut table = Toml::new();
            put_table(&mut table, "ca_certs", certificates.collect());
            put_table(&mut new, "content_trust", table);
        }
        trust.finish(faults);
    }
    old.finish(faults);
    Ok(new)
}

/// A path or a `file` URI, as a URI.
fn file_uri(path: String) -> String {
    if path.starts_with('/') {
        let escaped = path.replace('%', "%25").replace(' ', "%20");
        format!("file://{escaped}")
    } else {
        path
    }
}

/// The units of systemd had other names.
fn socket(uri: String) -> String {
    match uri.as_str() {
        "fd://iotedge.mgmt.socket" => "fd://aziot-edged.mgmt.socket".to_owned(),
        "fd://iotedge.socket" => "fd://aziot-edged.workload.socket".to_owned(),
        _ => uri,
    }
}

fn put(table: &mut Toml, key: &str, value: Option<String>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}

fn put_table(table: &mut Toml, key: &str, inner: Toml) {
    if !inner.is_empty() {
        table.insert(key.to_owned(), inner.into());
    }
}

#[cfg(test)]
mod tests;
