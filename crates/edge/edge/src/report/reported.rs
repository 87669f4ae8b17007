//! The reported properties of `$edgeAgent`.

use std::collections::BTreeMap;

use ids::ModuleId;
use serde_json::Value;
use wire::edge_api::manifest::{
    AgentDesired, AgentReported, CreateOptions, DesiredStatus, LastDesired, ModuleSettings,
    PullPolicy, ReportedModule, RestartPolicy, RuntimeStatus,
};

use super::Reporter;
use super::details::{agent_image, agent_name, last_exit};
use crate::plan::ModuleHealth;
use crate::runtime::Observed;

/// Most bytes of a text in a twin. A hub refuses the whole report for a longer one.
const LONGEST_TEXT: usize = 4096;

impl Reporter<'_> {
    /// Everything but the modules.
    pub(super) fn of_manifest(
        &self,
        manifest: &AgentDesired,
        version: u64,
        problems: &[String],
    ) -> AgentReported {
        AgentReported {
            last_desired_version: version,
            last_desired_status: LastDesired {
                code: if problems.is_empty() { 200 } else { 500 },
                description: within_twin_limit(problems.join("; ")),
            },
            min_docker_version: manifest.min_docker_version.clone(),
            registry_credentials: manifest.registry_credentials.keys().cloned().collect(),
            system_modules: self.system_modules(manifest),
            ..self.of_agent()
        }
    }

    pub(super) fn of_agent(&self) -> AgentReported {
        AgentReported {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            last_desired_version: 0,
            last_desired_status: LastDesired {
                code: 200,
                description: String::new(),
            },
            min_docker_version: None,
            registry_credentials: Vec::new(),
            architecture: self.architecture.unwrap_or_default().to_owned(),
            system_modules: BTreeMap::from([(agent_name(), self.reported_agent(None))]),
            modules: BTreeMap::new(),
        }
    }

    pub(super) fn reported_module(
        &self,
        module: &ModuleId,
        settings: &ModuleSettings,
        found: Option<&Observed>,
        health: &ModuleHealth,
    ) -> ReportedModule {
        let restarts = self.memory.restarts.get(module);
        let restarts = restarts.copied().unwrap_or_default();
        let exit = found.and_then(last_exit);
        ReportedModule {
            settings: as_created(settings, found),
            image_hash: found.and_then(|found| found.image_id.clone()),
            runtime_status: health.status,
            status_description: within_twin_limit(health.description.clone()),
            exit_code: exit.map(|(code, _)| code).or_else(|| found.map(|_| 0)),
            restart_count: restarts.count,
            last_start: found.and_then(|found| found.started),
            last_exit: exit.map(|(_, at)| at),
            last_restart: restarts.last,
        }
    }

    /// The agent is this program, whatever image the deployment names: it runs.
    fn reported_agent(&self, settings: Option<&ModuleSettings>) -> ReportedModule {
        let built_in = agent_image();
        ReportedModule {
            settings: settings
                .cloned()
                .unwrap_or_else(|| agent_settings(&built_in)),
            image_hash: None,
            runtime_status: RuntimeStatus::Running,
            status_description: format!("part of {built_in}"),
            exit_code: Some(0),
            restart_count: 0,
            last_start: Some(self.started),
            last_exit: None,
            last_restart: None,
        }
    }

    fn system_modules(&self, manifest: &AgentDesired) -> BTreeMap<ModuleId, ReportedModule> {
        let agent = agent_name();
        let of_agent = self.reported_agent(manifest.system_modules.get(&agent));
        let mut reports = BTreeMap::from([(agent.clone(), of_agent)]);
        let others = manifest
            .system_modules
            .iter()
            .filter(|(module, _)| **module != agent);
        for (module, settings) in others {
            let description =
                "not offered by this runtime yet; modules speak to the hub themselves";
            let health = ModuleHealth::new(RuntimeStatus::Unknown, description);
            let report = self.reported_module(module, settings, None, &health);
            reports.insert(module.clone(), report);
        }
        reports
    }
}

/// A report has the settings of the container that is there, even if the deployment has others.
fn as_created(settings: &ModuleSettings, found: Option<&Observed>) -> ModuleSettings {
    let mut settings = settings.clone();
    let Some(found) = found else { return settings };
    if settings.image != found.image {
        settings.digest = None;
        settings.image.clone_from(&found.image);
    }
    let kept = found.create_options.as_deref();
    if let Some(Ok(Value::Object(kept))) = kept.map(serde_json::from_str::<Value>)
        && let Ok(options) = CreateOptions::read(kept)
        && settings
            .create_options
            .as_ref()
            .map(CreateOptions::without_values)
            != Ok(options.without_values())
    {
        settings.create_options = Ok(options);
    }
    settings
}

/// The text, cut where it is too long for a twin.
pub(super) fn within_twin_limit(mut text: String) -> String {
    const CUT: char = '…';
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT - CUT.len_utf8()));
        text.push(CUT);
    }
    text
}

fn agent_settings(image: &str) -> ModuleSettings {
    ModuleSettings {
        version: None,
        status: DesiredStatus::Running,
        restart_policy: RestartPolicy::Always,
        pull_policy: PullPolicy::OnCreate,
        startup_order: u32::MAX,
        image: image.to_owned(),
        digest: None,
        create_options: Ok(CreateOptions::default()),
        env: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let fits = "x".repeat(LONGEST_TEXT);
        assert_eq!(within_twin_limit(fits.clone()), fits);
        let cut = within_twin_limit("x".to_owned() + &"한".repeat(2000));
        assert_eq!(cut, "x".to_owned() + &"한".repeat(1364) + "…");
        assert!(cut.len() <= LONGEST_TEXT);
    }
}
