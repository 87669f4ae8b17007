//! `config.toml`: the owner's file, read strictly. What the article's X.509 path needs is offered;
//! everything else that Azure's template knows is named as not offered yet instead of being
//! ignored.

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

/// What `iotedge config template` prints: every line that is commented with a single `#` and no
/// space can be uncommented.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    /// Works, with a consequence that the owner should know.
    Warning,
    Error,
}

/// One finding about a configuration: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line of `config.toml`, from 1; `None` when it is about the file as a whole.
    pub line: Option<usize>,
    /// How much it weighs.
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

/// Whether nothing in the list forbids to go on.
#[must_use]
pub fn acceptable(faults: &[Fault]) -> bool {
    faults.iter().all(|fault| fault.severity < Severity::Error)
}

/// When the device registers again although it has an assignment (`auto_reprovisioning_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReprovisioningMode {
    /// When the hub does not know it any more or refuses its credential.
    #[default]
    Dynamic,
    /// At each start, keeping the assignment it has until a new one is there; and as `Dynamic`.
    AlwaysOnStartup,
    /// Only when the hub refuses its credential.
    OnErrorOnly,
}

/// A file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReference {
    pub path: PathBuf,
    /// Where the configuration names it.
    pub line: usize,
    /// The key that names it.
    pub key: &'static str,
}

/// Registration with a provisioning service by X.509.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    pub endpoint: HubHost,
    pub id_scope: IdScope,
    /// `registration_id`; the certificate's common name when absent.
    pub registration_id: Option<(RegistrationId, usize)>,
    /// `payload.uri`: JSON, read at each registration.
    pub payload: Option<FileReference>,
    /// `identity_cert`: PEM chain, leaf first.
    pub identity_cert: FileReference,
    pub identity_pk: FileReference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobyRuntime {
    /// Path of its socket.
    pub socket: PathBuf,
    /// The network of the modules, as configured.
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

/// A configuration in which every key is known and every value has the right form. Only
/// [`Config::parse`] makes one.
///
/// The files that it names have not been looked at; [`examine`] does that.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// `hostname`; the machine's when absent.
    pub hostname: Option<String>,
    /// `trust_bundle_cert`: PEM roots for modules, and for the connections of the device itself.
    pub trust_bundle: Option<FileReference>,
    pub reprovisioning: ReprovisioningMode,
    /// `cloud_timeout_sec`: longest time of one registration.
    pub cloud_timeout: Duration,
    pub elevated_permissions: bool,
    pub provisioning: Provisioning,
    /// `[agent.env]`, handed to modules as far as the runtime does.
    pub agent_env: Vec<(String, String)>,
    pub runtime: MobyRuntime,
}

impl Config {
    /// Reads a file's text. The notes and warnings come with the configuration; errors come instead
    /// of it, all at once.
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
