//! The deployment manifest as a device reads it: desired properties of `$edgeAgent` and
//! what it reports back
//!.

mod create_options;
mod methods;
mod module;
mod reported;

use std::collections::BTreeMap;

use ids::ModuleId;
use serde_json::{Map, Value};

use crate::lenient::{BodyError, Fields};

pub use create_options::CreateOptions;
pub use methods::{
    LogsContent, LogsEncoding, LogsFilter, LogsItem, LogsRequest, ModuleLogs, Moment,
    RestartRequest, SupportBundleRequest, TaskRunStatus, TaskStatus, TaskStatusRequest,
    UploadLogsRequest,
};
pub use module::{DesiredStatus, ModuleSettings, PullPolicy, RestartPolicy};
pub use reported::{AgentReported, LastDesired, ReportedModule, RuntimeStatus};

/// Newest schema that is understood. Azure's agent accepts the same major version up to this one.
pub const NEWEST_SCHEMA: (u32, u32) = (1, 1);
/// Most modules that one device is asked to run.
pub const MAX_MODULES: usize = 200;
/// Most characters of one module's `createOptions` after joining its chunks.
pub const MAX_CREATE_OPTIONS: usize = 64 * 1024;

/// Why a manifest cannot be followed. [`code`](Self::code) is what `lastDesiredStatus` reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// No deployment has reached the device yet.
    #[error("no deployment has been set for this device yet")]
    Empty,
    /// Another schema than ours.
    #[error("schemaVersion {0:?} is not supported; 1.0 and 1.1 are")]
    Schema(String),
    /// Something in it has the wrong form.
    #[error("the deployment cannot be read: {0}")]
    Format(BodyError),
}

impl From<BodyError> for ManifestError {
    fn from(error: BodyError) -> Self {
        Self::Format(error)
    }
}

impl ManifestError {
    /// The code of `lastDesiredStatus`: 400 bad format, 412 unsupported schema, 417 nothing set.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Format(_) => 400,
            Self::Schema(_) => 412,
            Self::Empty => 417,
        }
    }
}

/// Credentials of a container registry. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredential {
    /// Host of the registry, for example `reg.example`.
    pub address: String,
    /// The user name at the registry.
    pub username: String,
    /// The password of that user.
    pub password: String,
}

impl std::fmt::Debug for RegistryCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            address, username, ..
        } = self;
        write!(f, "RegistryCredential({username}@{address}, redacted)")
    }
}

/// Desired properties of `$edgeAgent`, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentDesired {
    /// As it was sent, for example `1.1`.
    pub schema_version: String,
    /// `runtime.settings.minDockerVersion`, accepted and reported back.
    pub min_docker_version: Option<String>,
    /// `runtime.settings.loggingOptions`: the engine's LogConfig, which is text in the manifest.
    pub logging_options: Option<Map<String, Value>>,
    /// `runtime.settings.registryCredentials`, by the name in the manifest.
    pub registry_credentials: BTreeMap<String, RegistryCredential>,
    /// `systemModules`: `edgeAgent` and `edgeHub`.
    pub system_modules: BTreeMap<ModuleId, ModuleSettings>,
    /// `modules`: the modules beside the system modules, by name.
    pub modules: BTreeMap<ModuleId, ModuleSettings>,
}

impl AgentDesired {
    /// Reads desired properties; `$version` and `$metadata` beside them are ignored.
    ///
    /// # Errors
    /// When there is nothing yet, the schema is not ours, or a member has the
    /// wrong form; says which.
    pub fn parse(desired: &Value) -> Result<Self, ManifestError> {
        let fields = Fields::of_body(desired)?;
        if fields.map().keys().all(|key| key.starts_with('$')) {
            return Err(ManifestError::Empty);
        }
        let schema_version = fields.text("schemaVersion")?.unwrap_or("1.0").to_owned();
        require_our_schema(&schema_version)?;
        let runtime = fields.object("runtime")?;
        if let Some(kind) = runtime
            .as_ref()
            .map(|r| r.text("type"))
            .transpose()?
            .flatten()
        {
            require_docker(&fields, "runtime.type", kind)?;
        }
        let settings = runtime.map(|r| r.object("settings")).transpose()?.flatten();
        let text = |name: &str| match &settings {
            Some(settings) => settings.text(name),
            None => Ok(None),
        };
        Ok(Self {
            min_docker_version: text("minDockerVersion")?.map(str::to_owned),
            logging_options: settings.as_ref().map(logging).transpose()?.flatten(),
            registry_credentials: credentials(settings.as_ref())?,
            system_modules: modules(&fields, "systemModules")?,
            modules: modules(&fields, "modules")?,
            schema_version,
        })
    }
}

fn require_our_schema(text: &str) -> Result<(), ManifestError> {
    let mut numbers = text.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next(), numbers.next().unwrap_or(Ok(0)));
    match (major, minor) {
        (Some(Ok(major)), Ok(minor)) if major == NEWEST_SCHEMA.0 && minor <= NEWEST_SCHEMA.1 => {
            Ok(())
        }
        _ => Err(ManifestError::Schema(text.chars().take(40).collect())),
    }
}

fn require_docker(fields: &Fields<'_>, path: &str, kind: &str) -> Result<(), BodyError> {
    if kind.eq_ignore_ascii_case("docker") {
        return Ok(());
    }
    Err(fields.error(
        path,
        format!("{kind:?} is not a module type; \"docker\" is"),
    ))
}

fn logging(settings: &Fields<'_>) -> Result<Option<Map<String, Value>>, BodyError> {
    const NAME: &str = "loggingOptions";
    let given = match settings.get(NAME) {
        None => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => serde_json::from_str(text)
            .map_err(|error| settings.error(NAME, format!("the text is not JSON: {error}")))?,
        Some(other) => other.clone(),
    };
    let given = match given {
        Value::Null => return Ok(None),
        Value::Object(map) => map,
        _ => return Err(settings.error(NAME, "a JSON object was expected")),
    };
    let read = create_options::log_config(&given)
        .map_err(|error| settings.error(&format!("{NAME}.{}", error.path), error.problem))?;
    Ok((!read.is_empty()).then_some(read))
}

fn credentials(
    settings: Option<&Fields<'_>>,
) -> Result<BTreeMap<String, RegistryCredential>, BodyError> {
    let Some(list) = settings
        .map(|s| s.object("registryCredentials"))
        .transpose()?
        .flatten()
    else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    for name in list.map().keys() {
        let Some(entry) = list.object(name)? else {
            continue;
        };
        let text = |member: &str| {
            let given = entry.text(member)?;
            given
                .map(str::to_owned)
                .ok_or_else(|| entry.error(member, "is missing"))
        };
        let credential = RegistryCredential {
            address: text("address")?,
            username: text("username")?,
            password: text("password")?,
        };
        found.insert(name.clone(), credential);
    }
    Ok(found)
}

fn modules(
    fields: &Fields<'_>,
    section: &str,
) -> Result<BTreeMap<ModuleId, ModuleSettings>, BodyError> {
    let Some(section) = fields.object(section)? else {
        return Ok(BTreeMap::new());
    };
    if section.map().len() > MAX_MODULES {
        return Err(section.error("", format!("more than {MAX_MODULES} modules")));
    }
    let mut found = BTreeMap::new();
    for name in section.map().keys().filter(|name| !name.starts_with('$')) {
        let Some(entry) = section.object(name)? else {
            continue;
        };
        let id = ModuleId::parse(name).map_err(|error| section.error(name, error.to_string()))?;
        found.insert(id, ModuleSettings::parse(&entry)?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
