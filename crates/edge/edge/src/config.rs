//! `config.toml`, the owner's file, read strictly. The keys of provisioning by X.509 are offered.
//! Every other key of Azure's template is refused by name as not offered yet, and never ignored.

mod apply;
mod characters;
mod credential;
mod diff;
mod file_uri;
mod input;
mod key_file;
mod reader;
mod syntax;
mod unknown_key;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ids::{HubHost, IdScope, RegistrationId};

pub use apply::{Applied, ApplyError, digest_of, examine_file, read_applied, write_applied};
pub use credential::{Credential, Examined, examine};
pub use diff::{Change, changes};

/// What `iotedge config template` prints. A line that is commented with a single `#` and no
/// space can be uncommented.
pub const TEMPLATE: &str = include_str!("config/template.toml");

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    /// Works, but has a consequence that the owner should know.
    Warning,
    Error,
}

/// A fault of a configuration, with its line and the way to correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line of `config.toml`, from 1; `None` for the file as a whole.
    pub line: Option<usize>,
    pub severity: Severity,
    pub message: String,
}

impl Fault {
    pub(crate) fn error(line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            line,
            severity: Severity::Error,
            message: message.into(),
        }
    }

    pub(crate) fn warning(line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            line,
            severity: Severity::Warning,
            message: message.into(),
        }
    }

    pub(crate) fn note(line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            line,
            severity: Severity::Note,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Whether none of the faults is an error.
#[must_use]
pub fn acceptable(faults: &[Fault]) -> bool {
    faults.iter().all(|fault| fault.severity < Severity::Error)
}

/// When the device registers again although it has an assignment (`auto_reprovisioning_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReprovisioningMode {
    /// When the hub does not know the device any more, or refuses its credential.
    #[default]
    Dynamic,
    /// At each start, and when `Dynamic` does. The kept assignment is used until there
    /// is a new one.
    AlwaysOnStartup,
    /// Only when the hub refuses its credential.
    OnErrorOnly,
}

/// A file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReference {
    pub path: PathBuf,
    /// The line of the key that names it.
    pub line: usize,
    pub key: &'static str,
}

/// Registration with a provisioning service by X.509.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    pub endpoint: HubHost,
    pub id_scope: IdScope,
    /// `registration_id` with its line; without it, the certificate's common name is used.
    pub registration_id: Option<(RegistrationId, usize)>,
    /// `payload.uri`: JSON, read at each registration.
    pub payload: Option<FileReference>,
    /// `identity_cert`: PEM chain, leaf first.
    pub identity_cert: FileReference,
    pub identity_pk: FileReference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobyRuntime {
    pub socket: PathBuf,
    /// The network of the modules, as the configuration names it.
    pub network: String,
}

impl MobyRuntime {
    /// `unix://` URI of the engine.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("unix://{}", self.socket.display())
    }
}

impl Default for MobyRuntime {
    fn default() -> Self {
        Self {
            socket: Path::new("/var/run/docker.sock").to_owned(),
            network: "azure-iot-edge".to_owned(),
        }
    }
}

/// A configuration with known keys and valid values. Only [`Config::parse`] makes one.
///
/// The files that it names have not been read; [`examine`] does that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `hostname`; without it, that of the machine.
    pub hostname: Option<String>,
    /// `trust_bundle_cert`: PEM roots for modules, and for the connections of the device itself.
    pub trust_bundle: Option<FileReference>,
    /// `auto_reprovisioning_mode`: when the device registers again.
    pub reprovisioning: ReprovisioningMode,
    /// `cloud_timeout_sec`: the longest time of one registration.
    pub cloud_timeout: Duration,
    /// `allow_elevated_docker_permissions`: whether deployments may ask for privileges.
    pub elevated_permissions: bool,
    pub provisioning: Provisioning,
    /// `[agent.env]`. Some of its variables are passed on to modules.
    pub agent_env: Vec<(String, String)>,
    /// `[moby_runtime]`: the container engine and its network.
    pub runtime: MobyRuntime,
}

impl Config {
    /// Reads the text of a file. Notes and warnings come together with the configuration,
    /// errors instead of it.
    ///
    /// # Errors
    /// Every fault that was found, in the order of the file.
    pub fn parse(text: &str) -> Result<(Self, Vec<Fault>), Vec<Fault>> {
        let table = syntax::parse(text)?;
        input::read(text, &table)
    }
}

#[cfg(test)]
mod tests;
