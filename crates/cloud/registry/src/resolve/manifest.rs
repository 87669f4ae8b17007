//! Checks what a deployment gives the system modules, as the device's agent will read it.

use ids::ModuleId;
use serde_json::{Map, Value, json};
use store::ContentKind;
use wire::edge_api::manifest::{AgentDesired, ManifestError, ModuleSettings};
use wire::lenient::{BodyError, Fields};

use super::{Content, alone, fault};
use crate::deployment::ConfigurationError;

/// Best and worst priority of a route.
const ROUTE_PRIORITIES: std::ops::RangeInclusive<i64> = 0..=9;

/// What was found in a content.
#[derive(Default)]
pub(super) struct Findings {
    /// The first value of a kind, or with a word, that no agent takes.
    pub(super) fault: Option<ConfigurationError>,
    /// What an agent will refuse or ignore.
    pub(super) warnings: Vec<String>,
}

/// Looks at what a content sets on `$edgeAgent` and `$edgeHub`.
pub(super) fn look(content: &Content) -> Findings {
    let mut findings = Findings::default();
    let modules = alone(content);
    if let Some(agent) = modules.get(&ModuleId::edge_agent()) {
        let root = "modulesContent.$edgeAgent.properties.desired";
        let whole = content.kind() == ContentKind::Deployment;
        findings.look_at_agent(root, agent, whole);
    }
    if let Some(hub) = modules.get(&ModuleId::edge_hub()) {
        findings.look_at_edge_hub("modulesContent.$edgeHub.properties.desired", hub);
    } else if content.kind() == ContentKind::Deployment {
        findings.warn(
            "modulesContent.$edgeHub",
            "is missing: the edge hub gets no routes",
        );
    }
    findings
}

impl Findings {
    fn refuse(&mut self, root: &str, error: BodyError) {
        let path = match error.path.is_empty() {
            true => root.to_owned(),
            false => format!("{root}.{}", error.path),
        };
        self.fault.get_or_insert(fault(&path, error.problem));
    }

    fn warn(&mut self, path: &str, problem: impl std::fmt::Display) {
        self.warnings.push(format!("{path} {problem}"));
    }

    fn look_at_agent(&mut self, root: &str, agent: &Map<String, Value>, whole: bool) {
        let mut rest = agent.clone();
        for section in ["systemModules", "modules"] {
            let path = format!("{root}.{section}");
            match rest.shift_remove(section) {
                Some(Value::Object(modules)) => {
                    for (name, module) in &modules {
                        self.look_at_module(&format!("{path}.{name}"), module, whole);
                    }
                }
                Some(_) => self.refuse(&path, BodyError::new("", "an object was expected")),
                None if whole && section == "systemModules" => {
                    self.warn(&path, "is missing: Azure's agent refuses such a deployment");
                }
                None => {}
            }
        }
        if rest.is_empty() {
            return;
        }
        match AgentDesired::parse(&Value::Object(rest)) {
            Err(ManifestError::Format(error)) => self.refuse(root, error),
            Err(error @ ManifestError::Schema(_)) => self.warn(root, error),
            Ok(_) | Err(ManifestError::Empty) => {}
        }
    }

    fn look_at_module(&mut self, path: &str, module: &Value, whole: bool) {
        let mut module = module.clone();
        let Some(members) = module.as_object_mut() else {
            return self.refuse(path, BodyError::new("", "an object was expected"));
        };
        // A layer may set a part of a module whose image a base names.
        let settings = members.entry("settings").or_insert(Value::Null);
        if settings.is_null() {
            *settings = json!({});
        }
        if let Some(settings) = settings.as_object_mut()
            && settings.get("image").is_none_or(Value::is_null)
        {
            if whole || !settings.is_empty() {
                self.warn(
                    &format!("{path}.settings.image"),
                    "is missing: the module cannot run",
                );
            }
            settings.insert("image".to_owned(), json!("none"));
        }
        match Fields::of_body(&module).and_then(|fields| ModuleSettings::parse(&fields)) {
            Ok(ModuleSettings {
                create_options: Ok(options),
                ..
            }) => {
                for member in options.unknown() {
                    let path = format!("{path}.settings.createOptions.{member}");
                    self.warn(&path, "is not known to the container engine");
                }
            }
            Ok(ModuleSettings {
                create_options: Err(error),
                ..
            })
            | Err(error) => self.refuse(path, error),
        }
    }

    fn look_at_edge_hub(&mut self, root: &str, hub: &Map<String, Value>) {
        if let Err(error) = self.read_edge_hub(root, hub) {
            self.refuse(root, error);
        }
    }

    fn read_edge_hub(&mut self, root: &str, hub: &Map<String, Value>) -> Result<(), BodyError> {
        let hub = Value::Object(hub.clone());
        let fields = Fields::of_body(&hub)?;
        fields.text("schemaVersion")?;
        if let Some(store) = fields.object("storeAndForwardConfiguration")? {
            if store
                .whole("timeToLiveSecs")?
                .is_some_and(|seconds| seconds < 0)
            {
                return Err(store.error("timeToLiveSecs", "is negative"));
            }
            if let Some(limits) = store.object("storeLimits")? {
                limits.whole("maxSizeBytes")?;
            }
        }
        let Some(routes) = fields.object("routes")? else {
            return Ok(());
        };
        for (name, route) in routes.map() {
            let text = match route {
                Value::Object(_) => routes
                    .object(name)?
                    .map_or(Ok(None), |route| text(&route))?,
                _ => routes.text(name)?,
            };
            let shaped = |text: &str| {
                let text = text.to_ascii_uppercase();
                text.trim_start().starts_with("FROM") && text.contains("INTO")
            };
            if text.is_some_and(|text| !shaped(text)) {
                let path = format!("{root}.routes.{name}");
                self.warn(&path, "is not FROM … INTO …: the edge hub refuses it");
            }
        }
        Ok(())
    }
}

/// The text of a route that is an object.
fn text<'a>(route: &Fields<'a>) -> Result<Option<&'a str>, BodyError> {
    if let Some(priority) = route.whole("priority")?
        && !ROUTE_PRIORITIES.contains(&priority)
    {
        return Err(route.error("priority", format!("{priority} is outside 0 to 9")));
    }
    if route
        .whole("timeToLiveSecs")?
        .is_some_and(|seconds| seconds < 0)
    {
        return Err(route.error("timeToLiveSecs", "is negative"));
    }
    let text = route.text("route")?;
    match text {
        Some(_) => Ok(text),
        None => Err(route.error("route", "is missing")),
    }
}
