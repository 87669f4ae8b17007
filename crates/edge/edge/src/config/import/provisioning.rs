//! The section `provisioning` of `config.yaml`.

use toml::Table as Toml;

use super::old::Table;
use super::put;
use crate::config::{Fault, read_device_connection};

/// `auto_reprovisioning_mode` and `[provisioning]`.
pub(super) fn imported(
    mut old: Table<'_>,
    faults: &mut Vec<Fault>,
) -> Result<(&'static str, Toml), Fault> {
    let always = old.boolean("always_reprovision_on_startup")?;
    let dynamic = old.boolean("dynamic_reprovisioning")?;
    let mode = match (dynamic, always) {
        (true, _) => "Dynamic",
        (false, true) => "AlwaysOnStartup",
        (false, false) => "OnErrorOnly",
    };
    let line = old.line;
    let provisioning = match old.text("source")?.as_deref() {
        None | Some("manual") => manual(&mut old, faults)?,
        Some("dps") => dps(&mut old, faults)?,
        Some("external") => {
            let message = "provisioning.source: \"external\" has no successor in config.toml; \
                           write a config.toml by hand, `iotedge config template` shows how";
            return Err(Fault::error(Some(line), message));
        }
        Some(other) => {
            let message = format!("provisioning.source: {other:?} is not a source");
            return Err(Fault::error(Some(line), message));
        }
    };
    old.finish(faults);
    Ok((mode, provisioning))
}

fn manual(old: &mut Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let string = old.text("device_connection_string")?;
    let authentication = old.table("authentication")?;
    match (string, authentication) {
        (Some(_), Some(_)) => {
            let message = "provisioning: device_connection_string and authentication are two ways; \
                           remove one";
            Err(Fault::error(Some(old.line), message))
        }
        (Some(string), None) => by_connection_string(&string, old.line),
        (None, Some(mut authentication)) => {
            let line = authentication.line;
            let provisioning = match authentication.text("method")?.as_deref() {
                Some("device_connection_string") => {
                    let string = authentication.required_text("device_connection_string")?;
                    by_connection_string(&string, line)?
                }
                Some("x509") => {
                    let mut new = source("manual");
                    for key in ["iothub_hostname", "device_id"] {
                        let text = authentication.required_text(key)?;
                        put(&mut new, key, Some(text));
                    }
                    let identity = x509(&mut authentication)?;
                    new.insert("authentication".to_owned(), identity.into());
                    new
                }
                other => return Err(unknown_method(other, line)),
            };
            authentication.finish(faults);
            Ok(provisioning)
        }
        (None, None) => Err(old.missing("device_connection_string")),
    }
}

fn by_connection_string(string: &str, line: usize) -> Result<Toml, Fault> {
    let read = read_device_connection(string).map_err(|problem| {
        Fault::error(Some(line), format!("device_connection_string: {problem}"))
    })?;
    let mut key = Toml::new();
    put(&mut key, "value", Some(read.key.to_base64().to_string()));
    let mut authentication = method("sas");
    authentication.insert("device_id_pk".to_owned(), key.into());
    let mut new = source("manual");
    put(&mut new, "iothub_hostname", Some(read.hub.to_string()));
    put(&mut new, "device_id", Some(read.device_id.to_string()));
    new.insert("authentication".to_owned(), authentication.into());
    Ok(new)
}

fn dps(old: &mut Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let mut new = source("dps");
    let endpoint = old.required_text("global_endpoint")?;
    put(&mut new, "global_endpoint", Some(endpoint));
    put(&mut new, "id_scope", Some(old.required_text("scope_id")?));
    // Before 1.0.7 there was attestation by TPM only, and its id stood here.
    let own_id = old.text("registration_id")?;
    let attestation = match (old.table("attestation")?, own_id) {
        (Some(_), Some(_)) => {
            let message = "provisioning.registration_id: it belongs into attestation; remove it";
            return Err(Fault::error(Some(old.line), message));
        }
        (Some(table), None) => attestation(table, faults)?,
        (None, Some(id)) => {
            let mut tpm = method("tpm");
            put(&mut tpm, "registration_id", Some(id));
            tpm
        }
        (None, None) => return Err(old.missing("attestation")),
    };
    new.insert("attestation".to_owned(), attestation.into());
    Ok(new)
}

fn attestation(mut old: Table<'_>, faults: &mut Vec<Fault>) -> Result<Toml, Fault> {
    let line = old.line;
    let id = old.text("registration_id")?;
    let mut new = match old.text("method")?.as_deref() {
        Some("tpm") => method("tpm"),
        Some("symmetric_key") => {
            let mut key = Toml::new();
            put(&mut key, "value", Some(old.required_text("symmetric_key")?));
            let mut new = method("symmetric_key");
            new.insert("symmetric_key".to_owned(), key.into());
            new
        }
        Some("x509") => x509(&mut old)?,
        other => return Err(unknown_method(other, line)),
    };
    put(&mut new, "registration_id", id);
    old.finish(faults);
    Ok(new)
}

fn x509(old: &mut Table<'_>) -> Result<Toml, Fault> {
    let mut new = method("x509");
    for key in ["identity_cert", "identity_pk"] {
        let uri = super::file_uri(old.required_text(key)?);
        put(&mut new, key, Some(uri));
    }
    Ok(new)
}

fn unknown_method(method: Option<&str>, line: usize) -> Fault {
    let message = match method {
        Some(method) => format!("provisioning: the method {method:?} is not known"),
        None => "provisioning: method is missing".to_owned(),
    };
    Fault::error(Some(line), message)
}

fn source(name: &str) -> Toml {
    Toml::from_iter([("source".to_owned(), name.into())])
}

fn method(name: &str) -> Toml {
    Toml::from_iter([("method".to_owned(), name.into())])
}
