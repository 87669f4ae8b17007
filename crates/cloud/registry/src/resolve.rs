//! Which deployments a device gets, and what their merge is.

mod manifest;

use std::collections::{BTreeMap, BTreeSet};

use ids::{ConfigurationId, ModuleId, Timestamp};
use serde_json::{Map, Value};
use store::ContentKind;

use crate::deployment::ConfigurationError;
use crate::limits::MAX_MODULES;
use crate::twin::{ConfigurationStatus, TwinError, merge, require_desired, without_nulls};

/// What every path of a deployment begins with.
const DESIRED: &str = "properties.desired";

/// `modulesContent` that has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// Module to what it gets, whole sections before parts of them.
    modules: BTreeMap<ModuleId, Vec<Part>>,
}

/// Something to put at a path below `properties.desired`; the empty path is the whole.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    path: Vec<String>,
    value: Value,
}

/// A deployment whose condition a device matches.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub id: &'a ConfigurationId,
    pub priority: u32,
    /// Later wins among equals.
    pub created: Timestamp,
    pub content: &'a Content,
    /// Whether a rollout holds it back from this device: it is targeted, and not applied.
    pub held: bool,
}

/// What a device gets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolution {
    /// Every candidate, with whether it is part of the result.
    pub statuses: BTreeMap<ConfigurationId, ConfigurationStatus>,
    /// Desired properties per module. `None` without a base: the device keeps what it has.
    pub modules: Option<BTreeMap<ModuleId, Map<String, Value>>>,
}

impl Content {
    /// Checks `modulesContent`: module ids, paths, limits of twins, and that a layer leaves
    /// the system modules alone.
    ///
    /// # Errors
    /// The path inside `content` and what is wrong there.
    pub fn parse(modules_content: &Value) -> Result<Self, ConfigurationError> {
        let content = Self::read(modules_content)?;
        if let Some(fault) = manifest::look(&content).fault {
            return Err(fault);
        }
        // Parts that are within the limits may pass them together.
        for (module, desired) in alone(&content) {
            require_desired(&desired).map_err(|error| {
                twin_fault(&format!("modulesContent.{module}"), module.as_str(), error)
            })?;
        }
        Ok(content)
    }

    /// Like [`parse`](Self::parse), without the limits of twins: for what is stored, perhaps by a
    /// version that knew others.
    ///
    /// # Errors
    /// The path inside `content` and what is wrong there.
    pub(crate) fn read(modules_content: &Value) -> Result<Self, ConfigurationError> {
        let root = "modulesContent";
        let sections = modules_content
            .as_object()
            .ok_or_else(|| fault(root, "an object was expected"))?;
        let mut modules = BTreeMap::new();
        for (name, section) in sections {
            let path = format!("{root}.{name}");
            let id = ModuleId::parse(name).map_err(|error| fault(&path, error.to_string()))?;
            modules.insert(id, parts(&path, section)?);
        }
        let content = Self { modules };
        content.require_system_modules(root)?;
        if content.named_modules().len() > MAX_MODULES {
            return Err(fault(
                root,
                format!("names more than {MAX_MODULES} modules"),
            ));
        }
        Ok(content)
    }

    fn warnings(&self) -> Vec<String> {
        manifest::look(self).warnings
    }

    /// Layered is what does not set the whole of `$edgeAgent`.
    #[must_use]
    pub fn kind(&self) -> ContentKind {
        let whole = |parts: &Vec<Part>| parts.iter().any(|part| part.path.is_empty());
        match self.modules.get(&ModuleId::edge_agent()).is_some_and(whole) {
            true => ContentKind::Deployment,
            false => ContentKind::LayeredDeployment,
        }
    }

    fn require_system_modules(&self, root: &str) -> Result<(), ConfigurationError> {
        let agent = self
            .modules
            .get(&ModuleId::edge_agent())
            .into_iter()
            .flatten();
        let mut agent = agent.filter(|part| {
            part.path
                .first()
                .is_some_and(|first| first == "systemModules")
        });
        if let Some(part) = agent.next() {
            let path = format!("{root}.$edgeAgent.{DESIRED}.{}", part.path.join("."));
            return Err(fault(&path, "a layer cannot set system modules"));
        }
        for name in self.named_modules() {
            ModuleId::parse(&name).map_err(|error| {
                fault(
                    &format!("{root}.$edgeAgent.{DESIRED}.modules"),
                    error.to_string(),
                )
            })?;
        }
        Ok(())
    }

    /// Names of modules that are run or get desired properties, without the system modules.
    fn named_modules(&self) -> BTreeSet<String> {
        let mut result = BTreeMap::new();
        self.lay_over(&mut result);
        module_names(&result).collect()
    }

    /// Puts this content over what lower priorities left: what it names it
    /// replaces, the rest stays.
    fn lay_over(&self, result: &mut BTreeMap<ModuleId, Map<String, Value>>) {
        for (module, parts) in &self.modules {
            let desired = result.entry(module.clone()).or_default();
            parts.iter().for_each(|part| part.put(desired));
        }
    }
}

impl Part {
    fn put(&self, desired: &mut Map<String, Value>) {
        match (self.path.split_last(), &self.value) {
            (None, Value::Object(whole)) => *desired = without_nulls(whole),
            (None, _) => {}
            (Some((last, parents)), value) => {
                // A null first clears what is there, so that the value replaces instead of merging.
                for value in [&Value::Null, value] {
                    let mut patch = Map::from_iter([(last.clone(), value.clone())]);
                    for parent in parents.iter().rev() {
                        patch = Map::from_iter([(parent.clone(), patch.into())]);
                    }
                    merge(desired, &patch);
                }
            }
        }
    }
}

fn parts(path: &str, section: &Value) -> Result<Vec<Part>, ConfigurationError> {
    let section = section
        .as_object()
        .ok_or_else(|| fault(path, "an object was expected"))?;
    let mut parts = Vec::new();
    for (key, value) in section {
        let at = format!("{path}.{key}");
        let names = match key.strip_prefix(DESIRED) {
            Some("") => Vec::new(),
            Some(rest) if rest.starts_with('.') => {
                rest[1..].split('.').map(str::to_owned).collect()
            }
            _ => {
                return Err(fault(
                    &at,
                    "a key that is 'properties.desired' or begins with 'properties.desired.' was expected",
                ));
            }
        };
        if names.is_empty() && !value.is_object() {
            return Err(fault(&at, "an object was expected"));
        }
        let part = Part {
            path: names,
            value: value.clone(),
        };
        parts.push(part);
    }
    parts.sort_by_key(|part| part.path.len());
    Ok(parts)
}

/// What of a configuration's content is accepted and probably not meant, in words.
#[must_use]
pub fn warnings(content: &Value) -> Vec<String> {
    let read = Content::read(&content["modulesContent"]);
    read.map_or_else(|_| Vec::new(), |content| content.warnings())
}

fn twin_fault(section: &str, part: &str, error: TwinError) -> ConfigurationError {
    match error {
        TwinError::Invalid { path, problem } => fault(&format!("{section}.{path}"), problem),
        other => fault(part, other.to_string()),
    }
}

fn fault(path: &str, problem: impl Into<String>) -> ConfigurationError {
    ConfigurationError::Content {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

/// Modules of a result that need an identity: those that `$edgeAgent` runs and
/// those that get properties.
pub(crate) fn module_names(
    modules: &BTreeMap<ModuleId, Map<String, Value>>,
) -> impl Iterator<Item = String> {
    let run = modules
        .get(&ModuleId::edge_agent())
        .and_then(|agent| agent.get("modules"))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|run| run.keys().cloned());
    let given = modules
        .keys()
        .filter(|module| !module.is_system())
        .map(|module| module.as_str().to_owned());
    run.chain(given).collect::<BTreeSet<_>>().into_iter()
}

/// What the candidates together give a device.
#[must_use]
pub fn resolve(candidates: &[Candidate<'_>]) -> Resolution {
    let mut ordered: Vec<_> = candidates.iter().collect();
    ordered.sort_by(|a, b| (a.priority, a.created, a.id).cmp(&(b.priority, b.created, b.id)));
    let base = ordered
        .iter()
        .rev()
        .filter(|candidate| !candidate.held)
        .find(|candidate| candidate.content.kind() == ContentKind::Deployment);
    let mut statuses: BTreeMap<_, _> = ordered
        .iter()
        .map(|candidate| (candidate.id.clone(), ConfigurationStatus::Targeted))
        .collect();
    let Some(base) = base else {
        return Resolution {
            statuses,
            modules: None,
        };
    };
    let mut modules = BTreeMap::new();
    let layers = ordered.iter().filter(|candidate| {
        candidate.priority > base.priority
            && !candidate.held
            && candidate.content.kind() == ContentKind::LayeredDeployment
    });
    for candidate in std::iter::once(base).chain(layers) {
        candidate.content.lay_over(&mut modules);
        statuses.insert(candidate.id.clone(), ConfigurationStatus::Applied);
    }
    Resolution {
        statuses,
        modules: Some(modules),
    }
}

/// What one content alone gives a device.
pub(crate) fn alone(content: &Content) -> BTreeMap<ModuleId, Map<String, Value>> {
    let mut modules = BTreeMap::new();
    content.lay_over(&mut modules);
    modules
}

#[cfg(test)]
mod tests;
