//! One module of a deployment.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::create_options::CreateOptions;
use super::{MAX_CREATE_OPTIONS, require_docker};
use crate::lenient::{BodyError, Fields};

/// `startupOrder` of modules that do not care: last.
const LAST: u32 = u32::MAX;
const CREATE_OPTIONS: &str = "createOptions";

/// Whether a module is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DesiredStatus {
    /// The module shall run.
    #[default]
    Running,
    /// The module's container shall exist, and not run.
    Stopped,
}

/// When a module that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// A module that ended stays ended.
    Never,
    /// When it ended with another code than 0.
    OnFailure,
    /// As `on-failure`, and when its health check fails. The manifest's default.
    #[default]
    OnUnhealthy,
    /// The module is started again whenever it ended.
    Always,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Before a container is created, unless the image is on the device already.
    #[default]
    OnCreate,
    /// Never: the image has to be on the device.
    Never,
}

/// What a deployment says about one module.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleSettings {
    /// `version`: text for people, without effect.
    pub version: Option<String>,
    /// `status`: whether the module shall run.
    pub status: DesiredStatus,
    /// `restartPolicy`: when it is started again.
    pub restart_policy: RestartPolicy,
    /// `imagePullPolicy`: when its image is pulled.
    pub pull_policy: PullPolicy,
    /// `startupOrder`: lower starts first.
    pub startup_order: u32,
    /// `settings.image` as written; a missing tag means `latest`.
    pub image: String,
    /// `settings.digest`: pins the image, `sha256:…`.
    pub digest: Option<String>,
    /// `settings.createOptions…`: Docker's ContainerCreate JSON, its chunks joined. A fault in it
    /// concerns this module alone, so that the others of the deployment go on.
    pub create_options: Result<CreateOptions, BodyError>,
    /// `env`: values may be secret.
    pub env: BTreeMap<String, String>,
}

impl ModuleSettings {
    /// Reads one member of `modules` or `systemModules`.
    ///
    /// # Errors
    /// When a member is missing or has the wrong form; the path names it. A fault of
    /// `createOptions` is in [`create_options`](Self::create_options).
    pub fn parse(fields: &Fields<'_>) -> Result<Self, BodyError> {
        if let Some(kind) = fields.text("type")? {
            require_docker(fields, "type", kind)?;
        }
        let settings = fields
            .object("settings")?
            .ok_or_else(|| fields.error("settings", "is missing"))?;
        let image = settings
            .text("image")?
            .map(str::trim)
            .filter(|image| !image.is_empty());
        let image = image.ok_or_else(|| settings.error("image", "is missing"))?;
        Ok(Self {
            version: fields.text("version")?.map(str::to_owned),
            status: choice(
                fields,
                "status",
                &[
                    ("running", DesiredStatus::Running),
                    ("stopped", DesiredStatus::Stopped),
                ],
            )?,
            restart_policy: choice(fields, "restartPolicy", RESTART_POLICIES)?,
            pull_policy: choice(
                fields,
                "imagePullPolicy",
                &[
                    ("on-create", PullPolicy::OnCreate),
                    ("never", PullPolicy::Never),
                ],
            )?,
            startup_order: startup_order(fields)?,
            image: image.to_owned(),
            digest: settings
                .text("digest")?
                .filter(|d| !d.is_empty())
                .map(str::to_owned),
            create_options: read_create_options(&settings),
            env: env(fields)?,
        })
    }

    /// The image with its tag: `reg/x` is `reg/x:latest`; a pinned digest replaces the tag.
    #[must_use]
    pub fn image_reference(&self) -> String {
        let last = self.image.rsplit('/').next().unwrap_or_default();
        match &self.digest {
            Some(digest) if !self.image.contains('@') => {
                let bare = last.rsplit_once(':').map_or(self.image.len(), |(_, tag)| {
                    self.image.len() - tag.len() - 1
                });
                format!("{}@{digest}", &self.image[..bare])
            }
            None if !last.contains(':') && !last.contains('@') => format!("{}:latest", self.image),
            _ => self.image.clone(),
        }
    }
}

const RESTART_POLICIES: &[(&str, RestartPolicy)] = &[
    ("never", RestartPolicy::Never),
    ("on-failure", RestartPolicy::OnFailure),
    ("on-unhealthy", RestartPolicy::OnUnhealthy),
    ("always", RestartPolicy::Always),
];

fn choice<T: Copy + Default>(
    fields: &Fields<'_>,
    name: &str,
    choices: &[(&str, T)],
) -> Result<T, BodyError> {
    let Some(text) = fields.text(name)? else {
        return Ok(T::default());
    };
    let found = choices
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        fields.error(name, format!("{text:?} is not one of {}", words.join(", ")))
    })
}

fn startup_order(fields: &Fields<'_>) -> Result<u32, BodyError> {
    let given = fields.whole("startupOrder")?;
    given.map_or(Ok(LAST), |order| {
        u32::try_from(order)
            .map_err(|_| fields.error("startupOrder", format!("{order} is outside 0 to {LAST}")))
    })
}

fn env(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, BodyError> {
    let Some(list) = fields.object("env")? else {
        return Ok(BTreeMap::new());
    };
    let mut found = BTreeMap::new();
    for name in list.map().keys().filter(|name| !name.starts_with('$')) {
        let Some(entry) = list.object(name)? else {
            continue;
        };
        let value = match entry.get("value") {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => scalar.to_string(),
            Some(_) => {
                return Err(entry.error("value", "a string, number or truth value was expected"));
            }
        };
        found.insert(name.clone(), value);
    }
    Ok(found)
}

fn read_create_options(settings: &Fields<'_>) -> Result<CreateOptions, BodyError> {
    CreateOptions::read(create_options(settings)?)
        .map_err(|error| settings.error(&format!("{CREATE_OPTIONS}.{}", error.path), error.problem))
}

/// Twin values were at most 512 characters long once, so that the text comes in chunks:
/// `createOptions`, `createOptions01` to `createOptions99`.
fn create_options(settings: &Fields<'_>) -> Result<Map<String, Value>, BodyError> {
    const NAME: &str = CREATE_OPTIONS;
    if let Some(Value::Object(map)) = settings.get(NAME) {
        return Ok(map.clone());
    }
    let mut text = settings.text(NAME)?.unwrap_or_default().to_owned();
    for index in 1..=99 {
        let Some(chunk) = settings.text(&format!("{NAME}{index:02}"))? else {
            break;
        };
        text.push_str(chunk);
    }
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    if text.len() > MAX_CREATE_OPTIONS {
        return Err(settings.error(NAME, format!("more than {MAX_CREATE_OPTIONS} characters")));
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(settings.error(NAME, "the text is not a JSON object")),
        Err(error) => Err(settings.error(NAME, format!("the text is not JSON: {error}"))),
    }
}
