//! `config.toml` for a device whose key is in the TPM.

use std::path::Path;

use anyhow::{anyhow, bail};
use edge::config::{ApplyError, examine_file, write_applied};
use edge::files::durable;
use ids::{HubHost, IdScope, RegistrationId};
use tpm::{Tcti, TpmSettings};

use super::report::{Done, Outcome};
use crate::Device;
use crate::config::{Daemon, tell};

/// The first line of what this command writes: such a file may be replaced.
const OURS: &str = "# Written by `iotedge tpm provision`, which replaces this file as long as this \
                    line stands.";

/// What the file says.
pub struct Content<'a> {
    pub endpoint: &'a HubHost,
    pub scope: &'a IdScope,
    pub name: &'a RegistrationId,
    pub certificate: &'a Path,
    pub key: u32,
    pub trust: Option<&'a Path>,
    pub tpm: &'a TpmSettings,
}

/// A text in quotes of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn file_uri(path: &Path) -> String {
    quoted(&format!("file://{}", path.display()))
}

pub fn text(content: &Content<'_>) -> String {
    let mut lines = vec![OURS.to_owned()];
    lines.extend(
        content
            .trust
            .map(|path| format!("trust_bundle_cert = {}", file_uri(path))),
    );
    lines.extend([
        String::new(),
        "[provisioning]".to_owned(),
        "source = \"dps\"".to_owned(),
        format!(
            "global_endpoint = {}",
            quoted(&format!("https://{}", content.endpoint))
        ),
        format!("id_scope = {}", quoted(content.scope.as_str())),
        String::new(),
        "[provisioning.attestation]".to_owned(),
        "method = \"x509\"".to_owned(),
        format!("registration_id = {}", quoted(content.name.as_str())),
        format!("identity_cert = {}", file_uri(content.certificate)),
        format!("identity_pk = \"tpm:{:#010x}\"", content.key),
    ]);
    if content.tpm.tcti != Tcti::default() {
        lines.extend([
            String::new(),
            "[tpm]".to_owned(),
            format!("tcti = {}", quoted(&content.tpm.tcti.to_string())),
        ]);
    }
    lines.join("\n") + "\n"
}

/// Writes the file, unless it says the same already.
pub fn write(device: &Device, text: &str, force: bool) -> Outcome<()> {
    let path = device.paths.config();
    let named = path.display().to_string();
    match std::fs::read_to_string(&path) {
        Ok(there) if there == text => return Ok(((), Done::Already(named))),
        Ok(there) if !there.starts_with(OURS) && !force => bail!(
            "{named} was not written by this command; --force replaces it, or write this into \
             it:\n{text}"
        ),
        _ => {}
    }
    durable::write_in_any_folder(&path, text.as_bytes())?;
    Ok(((), Done::Now(named)))
}

/// What `iotedge config apply` does.
pub async fn apply(device: &Device) -> Outcome<()> {
    let source = device.paths.config();
    let applied = examine_file(&source, edge::clock::now()).map_err(|error| match error {
        ApplyError::Faults { faults, .. } => {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            anyhow!(lines.join("; "))
        }
        other => other.into(),
    })?;
    write_applied(&device.paths.applied(), &source, &applied.text)?;
    let text = match tell(device).await? {
        Daemon::Reloaded(parts) if parts.is_empty() => "the daemon has it already".to_owned(),
        Daemon::Reloaded(parts) => format!("restarted: {}", parts.join(", ")),
        Daemon::Absent | Daemon::NotTold => {
            format!("the daemon does not run; {}", device.paths.start_hint())
        }
    };
    Ok(((), Done::Now(text)))
}
