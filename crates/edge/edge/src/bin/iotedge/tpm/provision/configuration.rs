//! `config.toml` for a device whose key is in the TPM.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use edge::config::{ApplyError, examine_file, write_applied};
use edge::files::durable;
use ids::{HubHost, IdScope, RegistrationId};
use tpm::{Authorization, TpmSettings};

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

/// What the file says of provisioning. The authorization values of the TPM follow it.
fn provisioning(content: &Content<'_>) -> String {
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
    lines.extend(tpm(content.tpm));
    lines.join("\n") + "\n"
}

/// `[tpm]`, as far as it is not what the device takes without it.
fn tpm(settings: &TpmSettings) -> Vec<String> {
    let usual = TpmSettings::default();
    let mut lines = Vec::new();
    if settings.tcti != usual.tcti {
        lines.push(format!("tcti = {}", quoted(&settings.tcti.to_string())));
    }
    if settings.auth_key_index != usual.auth_key_index {
        lines.push(format!("auth_key_index = {:#08x}", settings.auth_key_index));
    }
    if !lines.is_empty() {
        lines.splice(..0, [String::new(), "[tpm]".to_owned()]);
    }
    lines
}

/// `[tpm.hierarchy_authorization]`, which no output shows.
fn authorization(settings: &TpmSettings) -> anyhow::Result<String> {
    let values = [
        ("endorsement", &settings.endorsement),
        ("owner", &settings.owner),
    ];
    let mut text = String::new();
    for (key, value) in values {
        if *value == Authorization::default() {
            continue;
        }
        let value = std::str::from_utf8(value.as_bytes())
            .with_context(|| format!("tpm.hierarchy_authorization.{key}"))?;
        text += &format!("{key} = {}\n", quoted(value));
    }
    Ok(match text.is_empty() {
        true => text,
        false => format!("\n[tpm.hierarchy_authorization]\n{text}"),
    })
}

/// Writes the file, unless it says the same already. The one that it replaces is kept beside it.
pub fn write(device: &Device, content: &Content<'_>, force: bool) -> Outcome<()> {
    let path = device.paths.config();
    let named = path.display().to_string();
    let provisioning = provisioning(content);
    let text = format!("{provisioning}{}", authorization(content.tpm)?);
    let there = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        read => Some(read.with_context(|| named.clone())?),
    };
    let done = match there {
        Some(there) if there == text => return Ok(((), Done::Already(named))),
        Some(there) if !there.starts_with(OURS) && !force => bail!(
            "{named} was not written by this command; --force replaces it, or write this into \
             it:\n{provisioning}"
        ),
        Some(there) => {
            let kept = path.with_extension("toml.before");
            durable::write_in_any_folder(&kept, there.as_bytes())?;
            format!("{named}; the one before is {}", kept.display())
        }
        None => named,
    };
    durable::write_in_any_folder(&path, text.as_bytes())?;
    Ok(((), Done::Now(done)))
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

#[cfg(test)]
mod tests {
    use edge::config::Config;

    use super::*;

    #[test]
    fn settings_of_the_tpm_are_written_as_they_are_read() {
        let (endpoint, scope, name) = (
            HubHost::parse("dps.example").unwrap(),
            IdScope::parse("0ne0012AB34").unwrap(),
            RegistrationId::parse("a").unwrap(),
        );
        let full = TpmSettings {
            tcti: "swtpm:host=127.0.0.1,port=2321".parse().unwrap(),
            auth_key_index: 0x20,
            owner: Authorization::new("o\"w\\n"),
            endorsement: Authorization::new("e"),
        };
        let owner_only = TpmSettings {
            owner: Authorization::new("o"),
            ..TpmSettings::default()
        };
        for settings in [TpmSettings::default(), owner_only, full] {
            let content = Content {
                endpoint: &endpoint,
                scope: &scope,
                name: &name,
                certificate: Path::new("/c.pem"),
                key: 0x8100_0002,
                trust: None,
                tpm: &settings,
            };
            let text = provisioning(&content) + &authorization(&settings).unwrap();
            let (config, _) = Config::parse(&text).unwrap();
            assert_eq!(config.tpm_settings(), settings, "{text}");
        }
    }
}
