//! `iotedge config mp` and `iotedge config import`: commands that write a config.toml.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use edge::config::{Config, Fault, Severity, import, with_connection_string};
use edge::files::durable;
use serde_json::json;

use super::{findings, word};
use crate::Device;
use crate::output::{self, Format};

/// The file where iotedge before 1.2 kept the key with which modules encrypted.
const OLD_MASTER_KEY: &str = "var/lib/iotedge/hsm/enc_keys/\
    edgelet-masterWt5mT2xpO72EPKlt2Tt0Sq4uJCrMvfl2rzzKRB3pnyo_.enc.key";

/// Where the new file goes.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// The file to write, also -o; /etc/aziot/config.toml when it is not given.
    #[arg(long, value_name = "FILE")]
    out_config_file: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long, short = 'f')]
    force: bool,
}

/// `iotedge config mp`.
#[derive(Debug, clap::Args)]
pub struct Mp {
    /// The connection string of the device, from the hub.
    #[arg(long, short = 'c', value_name = "TEXT")]
    connection_string: String,
    #[command(flatten)]
    target: Target,
}

/// `iotedge config import`.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The old file; /etc/iotedge/config.yaml when it is not given.
    #[arg(long, short = 'c', value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Azure's tools have `-o FILE` on two commands, where `-o` is the form of the output on all others.
pub fn azures_short_flag(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let at = |name: &str| arguments.iter().position(|argument| argument == name);
    let verb = at("mp").or_else(|| at("import"));
    if let (Some(config), Some(verb)) = (at("config"), verb)
        && config < verb
    {
        for argument in arguments.iter_mut().skip(verb + 1) {
            if argument == "-o" {
                *argument = "--out-config-file".into();
            }
        }
    }
    arguments
}

impl Target {
    /// The file, if it may be written.
    fn path(&self, device: &Device, verb: &str) -> anyhow::Result<PathBuf> {
        let path = self
            .out_config_file
            .clone()
            .unwrap_or_else(|| device.paths.config());
        if !self.force && path.exists() {
            bail!(
                "File {} already exists. Azure IoT Edge has already been configured.\n\n\
                 To have the configuration take effect, run:\n\n    {}\n\n\
                 To reconfigure IoT Edge, run:\n\n    {}\n",
                path.display(),
                device.paths.command("iotedge config apply"),
                device
                    .paths
                    .command(&format!("iotedge config {verb} --force")),
            );
        }
        // A path without a folder means the current one.
        std::path::absolute(&path).with_context(|| path.display().to_string())
    }
}

impl Mp {
    pub fn run(&self, device: &Device) -> anyhow::Result<()> {
        let path = self.target.path(device, "mp")?;
        let text = match with_connection_string(&self.connection_string) {
            Ok(text) => text,
            Err(problem) => bail!("invalid connection string: {problem}"),
        };
        durable::write_in_any_folder(&path, text.as_bytes())?;
        let gateway = "WARNING: This configuration is not suitable when using IoT Edge as a \
                       gateway.";
        report(&path, &text, &[], &["", gateway], device)
    }
}

impl Import {
    pub fn run(&self, device: &Device) -> anyhow::Result<()> {
        let target = self.target.path(device, "import")?;
        let root = device.paths.root();
        let old = self
            .config_file
            .clone()
            .unwrap_or_else(|| root.join("etc/iotedge/config.yaml"));
        let text = match std::fs::read_to_string(&old) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("there is no old config at {} to import", old.display())
            }
            other => other.with_context(|| format!("could not open {}", old.display()))?,
        };
        let master_key = root.join(OLD_MASTER_KEY);
        let master_key = master_key.is_file().then_some(master_key);
        let imported = import(&text, master_key.as_deref())
            .map_err(|fault| anyhow::anyhow!("could not parse {}: {fault}", old.display()))?;
        durable::write_in_any_folder(&target, imported.text.as_bytes())?;
        report(&target, &imported.text, &imported.faults, &[], device)
    }
}

/// Says where the file is and what comes next. A file that cannot be applied ends in an error.
fn report(
    path: &Path,
    text: &str,
    imported: &[Fault],
    last: &[&str],
    device: &Device,
) -> anyhow::Result<()> {
    let refused = Config::parse(text).err().unwrap_or_default();
    let refused: Vec<Fault> = refused
        .into_iter()
        .filter(|fault| fault.severity == Severity::Error)
        .collect();
    if device.output == Format::Json {
        output::json(&json!({
            "written": path,
            "findings": findings(imported),
            "refused": findings(&refused),
        }))?;
    } else {
        let warnings = imported.iter();
        let mut lines: Vec<String> = warnings
            .map(|fault| format!("{}: {fault}", word(fault.severity)))
            .collect();
        lines.extend([
            "Azure IoT Edge has been configured successfully!".to_owned(),
            format!("The configuration has been written to {}", path.display()),
        ]);
        if refused.is_empty() {
            let apply = format!("iotedge config apply -c '{}'", path.display());
            lines.extend([
                "To apply the new configuration to services, run:".to_owned(),
                String::new(),
                format!("    sudo {}", device.paths.command(&apply)),
            ]);
            lines.extend(last.iter().map(|line| (*line).to_owned()));
        }
        output::text(lines)?;
    }
    if refused.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = refused.iter().map(ToString::to_string).collect();
    bail!(
        "`iotedge config apply` will refuse {}:\n{}",
        path.display(),
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_flag_of_azures_tools_names_the_file() {
        let read = |text: &str| {
            let arguments = text.split(' ').map(OsString::from);
            let read = azures_short_flag(arguments).into_iter();
            let read = read.map(|argument| argument.to_string_lossy().into_owned());
            read.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            read("iotedge config mp -c x -o /f"),
            "iotedge config mp -c x --out-config-file /f"
        );
        for same in [
            "iotedge -o json config mp",
            "iotedge config apply -o json",
            "iotedge check -o json",
        ] {
            assert_eq!(read(same), same);
        }
    }
}
