//! Tells owner and hub how the modules are doing.

use std::collections::BTreeMap;

use ids::{ModuleId, Timestamp};
use serde_json::{Value, json};
use wire::edge_api::local::{ExitStatus, ModuleDetails, ModuleState, ModuleStatus};
use wire::edge_api::manifest::{
    AgentDesired, AgentReported, CreateOptions, DesiredStatus, LastDesired, ManifestError,
    ModuleSettings, PullPolicy, ReportedModule, RestartPolicy, RuntimeStatus,
};

use super::{Agent, Aim};
use crate::clock;
use crate::plan::{Plan, Verdict, Wanted, plan};
use crate::runtime::{ContainerState, ModuleRuntime, Observed, RuntimeError};

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl<R: ModuleRuntime> Agent<R> {
    pub(super) fn account(&self, aim: &Aim, observed: &[Observed], plan: &Plan) {
        let find = |module: &ModuleId| observed.iter().find(|found| found.module == *module);
        let problems = self.problems(plan);
        let modules = aim.wanted.iter().filter_map(|(module, wanted)| {
            let verdict = self.with_remarks(module, wanted, plan.verdicts.get(module)?);
            let reported = self.reported(module, &wanted.settings, find(module), &verdict);
            Some((module.clone(), reported))
        });
        let reported = AgentReported {
            last_desired_version: aim.version,
            last_desired_status: status_of(&problems),
            min_docker_version: aim.desired.min_docker_version.clone(),
            system_modules: self.system_modules(&aim.desired),
            modules: modules.collect(),
            ..self.bare_report()
        };
        self.publish(&reported);
        let mut details = vec![self.agent_details()];
        let mut warnings = Vec::new();
        for (module, wanted) in &aim.wanted {
            let Some(verdict) = plan.verdicts.get(module) else {
                continue;
            };
            let texts = self.remarks(module, wanted);
            warnings.extend(texts.map(|text| format!("{module}: {text}")));
            let verdict = self.with_remarks(module, wanted, verdict);
            let found = find(module);
            // What runs, and not what is wanted.
            let image = found.map_or(&wanted.settings.image, |found| &found.image);
            details.push(details_of(module, image, found, Some(&verdict)));
        }
        let others = observed
            .iter()
            .filter(|found| !aim.wanted.contains_key(&found.module));
        details
            .extend(others.map(|found| details_of(&found.module, &found.image, Some(found), None)));
        self.show(details, Some(aim.version), problems, warnings);
    }

    /// The account of what is there now.
    pub(super) async fn account_again(&self, aim: &Aim) -> Result<(), RuntimeError> {
        let observed = self.runtime.list().await?;
        let plan = plan(&aim.wanted, &observed, &self.memory, clock::now());
        self.account(aim, &observed, &plan);
        Ok(())
    }

    /// When the engine does not tell how its containers are: nothing is known, and `problem` says why.
    pub(super) fn account_unknown(&self, problem: &str) {
        let verdict = Verdict {
            status: RuntimeStatus::Unknown,
            description: problem.to_owned(),
        };
        let document = self.board.situation.borrow().desired.clone();
        let desired = document.and_then(|document| {
            let desired = AgentDesired::parse(&Value::Object(document.properties)).ok()?;
            Some((document.version, desired))
        });
        let shown = self.board.shown();
        let mut details: BTreeMap<ModuleId, ModuleDetails> = BTreeMap::new();
        for (module, settings) in desired.iter().flat_map(|(_, desired)| &desired.modules) {
            let unknown = details_of(module, &settings.image, None, Some(&verdict));
            details.insert(module.clone(), unknown);
        }
        for before in shown.modules {
            let unknown = details_of(&before.name, before.image(), None, Some(&verdict));
            details.insert(before.name.clone(), unknown);
        }
        details.insert(agent_name(), self.agent_details());
        let version = desired.as_ref().map(|(version, _)| *version);
        let problems = vec![problem.to_owned()];
        if let Some((version, desired)) = &desired {
            let modules = desired.modules.iter().map(|(module, settings)| {
                let reported = self.reported(module, settings, None, &verdict);
                (module.clone(), reported)
            });
            let reported = AgentReported {
                last_desired_version: *version,
                last_desired_status: status_of(&problems),
                min_docker_version: desired.min_docker_version.clone(),
                system_modules: self.system_modules(desired),
                modules: modules.collect(),
                ..self.bare_report()
            };
            self.publish(&reported);
        }
        self.show(
            details.into_values().collect(),
            version,
            problems,
            Vec::new(),
        );
    }

    /// What of a module's deployment has no effect, or another one: as the deployment stands, and as it was when its
    /// container was created.
    fn remarks<'a>(
        &'a self,
        module: &ModuleId,
        wanted: &'a Wanted,
    ) -> impl Iterator<Item = &'a String> {
        let spec = wanted.spec.as_ref();
        let kept = self.memory.remarks.get(module);
        let kept = kept.filter(|kept| spec.is_some_and(|spec| spec.digest == kept.digest));
        let stated = spec.into_iter().flat_map(|spec| &spec.warnings);
        stated.chain(kept.into_iter().flat_map(|kept| &kept.texts))
    }

    fn with_remarks(&self, module: &ModuleId, wanted: &Wanted, verdict: &Verdict) -> Verdict {
        let mut description = verdict.description.clone();
        for remark in self.remarks(module, wanted) {
            description.push_str("; ");
            description.push_str(remark);
        }
        Verdict {
            status: verdict.status,
            description,
        }
    }

    /// Without a deployment that can be followed: `error` says why, or the hub has not been asked yet.
    pub(super) fn account_undirected(
        &self,
        observed: &[Observed],
        error: Option<&ManifestError>,
        version: Option<u64>,
    ) {
        if let (Some(error), Some(version)) = (error, version) {
            let last_desired_status = LastDesired {
                code: error.code(),
                description: error.to_string(),
            };
            let reported = AgentReported {
                last_desired_version: version,
                last_desired_status,
                ..self.bare_report()
            };
            self.publish(&reported);
        }
        let mut details = vec![self.agent_details()];
        details.extend(
            observed
                .iter()
                .map(|found| details_of(&found.module, &found.image, Some(found), None)),
        );
        let problems = error.map(ToString::to_string).into_iter().collect();
        self.show(details, version, problems, Vec::new());
    }

    fn show(
        &self,
        mut details: Vec<ModuleDetails>,
        version: Option<u64>,
        problems: Vec<String>,
        warnings: Vec<String>,
    ) {
        details.sort_by(|a, b| a.name.cmp(&b.name));
        self.board.show(|shown| {
            shown.modules = details;
            shown.deployment_version = version;
            shown.deployment_problems = problems;
            shown.deployment_warnings = warnings;
        });
    }

    fn publish(&self, reported: &AgentReported) {
        let Value::Object(document) = reported.to_json() else {
            return;
        };
        self.board.reported.send_if_modified(|current| {
            let changed = current.as_ref() != Some(&document);
            if changed {
                *current = Some(document);
            }
            changed
        });
    }

    fn problems(&self, plan: &Plan) -> Vec<String> {
        let failures = self.memory.failures.iter();
        failures
            .filter(|(module, _)| plan.failing.contains(*module))
            .map(|(module, failure)| format!("{module}: {}", failure.problem))
            .collect()
    }

    fn bare_report(&self) -> AgentReported {
        AgentReported {
            version: VERSION.to_owned(),
            last_desired_version: 0,
            last_desired_status: LastDesired {
                code: 200,
                description: String::new(),
            },
            min_docker_version: None,
            architecture: self
                .engine
                .as_ref()
                .map(|engine| engine.architecture.clone())
                .unwrap_or_default(),
            system_modules: BTreeMap::from([(agent_name(), self.agent_report(None))]),
            modules: BTreeMap::new(),
        }
    }

    fn reported(
        &self,
        module: &ModuleId,
        settings: &ModuleSettings,
        found: Option<&Observed>,
        verdict: &Verdict,
    ) -> ReportedModule {
        let restarts = self
            .memory
            .restarts
            .get(module)
            .copied()
            .unwrap_or_default();
        let ended = found.and_then(ended);
        ReportedModule {
            settings: as_created(settings, found),
            image_hash: found.and_then(|found| found.image_id.clone()),
            runtime_status: verdict.status,
            status_description: verdict.description.clone(),
            exit_code: ended.map(|(code, _)| code).or_else(|| found.map(|_| 0)),
            restart_count: restarts.count,
            last_start: found.and_then(|found| found.started),
            last_exit: ended.map(|(_, at)| at),
            last_restart: restarts.last,
        }
    }

    /// The agent is this program: it runs, whatever image the deployment names.
    fn agent_report(&self, settings: Option<&ModuleSettings>) -> ReportedModule {
        ReportedModule {
            settings: settings
                .cloned()
                .unwrap_or_else(|| built_in(&built_in_name())),
            image_hash: None,
            runtime_status: RuntimeStatus::Running,
            status_description: format!("part of {}", built_in_name()),
            exit_code: Some(0),
            restart_count: 0,
            last_start: Some(self.started),
            last_exit: None,
            last_restart: None,
        }
    }

    fn system_modules(&self, desired: &AgentDesired) -> BTreeMap<ModuleId, ReportedModule> {
        let agent = agent_name();
        let mut reports = BTreeMap::from([(
            agent.clone(),
            self.agent_report(desired.system_modules.get(&agent)),
        )]);
        for (module, settings) in desired
            .system_modules
            .iter()
            .filter(|(module, _)| **module != agent)
        {
            let description =
                "not offered by this runtime yet; modules speak to the hub themselves";
            let verdict = Verdict {
                status: RuntimeStatus::Unknown,
                description: description.to_owned(),
            };
            reports.insert(
                module.clone(),
                self.reported(module, settings, None, &verdict),
            );
        }
        reports
    }

    fn agent_details(&self) -> ModuleDetails {
        ModuleDetails {
            id: String::new(),
            name: agent_name(),
            r#type: "docker".to_owned(),
            config: config_of(&built_in_name()),
            status: ModuleStatus {
                start_time: Some(self.started),
                exit_status: None,
                runtime_status: ModuleState {
                    status: RuntimeStatus::Running,
                    description: "running".to_owned(),
                },
            },
        }
    }
}

fn status_of(problems: &[String]) -> LastDesired {
    LastDesired {
        code: if problems.is_empty() { 200 } else { 500 },
        description: problems.join("; "),
    }
}

/// What is reported of a container is what it was created from, be that wanted or not.
fn as_created(settings: &ModuleSettings, found: Option<&Observed>) -> ModuleSettings {
    let mut settings = settings.clone();
    let Some(found) = found else { return settings };
    if settings.image != found.image {
        settings.digest = None;
        settings.image.clone_from(&found.image);
    }
    let kept = found.create_options.as_deref();
    if let Some(Ok(Value::Object(kept))) = kept.map(serde_json::from_str::<Value>)
        && settings.create_options.without_values() != kept
        && let Ok(options) = CreateOptions::read(kept)
    {
        settings.create_options = options;
    }
    settings
}

fn built_in_name() -> String {
    format!("aziot-edged {VERSION}")
}

fn agent_name() -> ModuleId {
    // The manifest and `iotedge list` spell it without the sign of system identities.
    #[expect(clippy::expect_used, reason = "a constant")]
    ModuleId::parse("edgeAgent").expect("edgeAgent is a module id")
}

fn built_in(image: &str) -> ModuleSettings {
    ModuleSettings {
        version: None,
        status: DesiredStatus::Running,
        restart_policy: RestartPolicy::Always,
        pull_policy: PullPolicy::OnCreate,
        startup_order: u32::MAX,
        image: image.to_owned(),
        digest: None,
        create_options: CreateOptions::default(),
        env: BTreeMap::new(),
    }
}

fn ended(found: &Observed) -> Option<(i64, Timestamp)> {
    match found.state {
        ContainerState::Exited { code, at } => Some((code, at)),
        _ => None,
    }
}

fn config_of(image: &str) -> Value {
    json!({"settings": {"image": image}, "env": []})
}

fn details_of(
    module: &ModuleId,
    image: &str,
    found: Option<&Observed>,
    verdict: Option<&Verdict>,
) -> ModuleDetails {
    let ended = found.and_then(ended);
    let status = match verdict.map(|verdict| verdict.status) {
        // Azure's management API has no word for it.
        Some(RuntimeStatus::Backoff) if ended.is_some_and(|(code, _)| code == 0) => {
            RuntimeStatus::Stopped
        }
        Some(RuntimeStatus::Backoff) => RuntimeStatus::Failed,
        Some(status) => status,
        None => match found.map(|found| found.state) {
            Some(ContainerState::Running) => RuntimeStatus::Running,
            Some(ContainerState::Exited { code: 0, .. } | ContainerState::Created) => {
                RuntimeStatus::Stopped
            }
            Some(ContainerState::Exited { .. }) => RuntimeStatus::Failed,
            Some(ContainerState::Dead) => RuntimeStatus::Dead,
            Some(ContainerState::Other) | None => RuntimeStatus::Unknown,
        },
    };
    let description = verdict.map_or_else(
        || "not in the deployment".to_owned(),
        |verdict| verdict.description.clone(),
    );
    ModuleDetails {
        id: found.map(|found| found.id.clone()).unwrap_or_default(),
        name: module.clone(),
        r#type: "docker".to_owned(),
        config: config_of(image),
        status: ModuleStatus {
            start_time: found.and_then(|found| found.started),
            exit_status: ended.map(|(code, exit_time)| ExitStatus {
                exit_time,
                status_code: code.to_string(),
            }),
            runtime_status: ModuleState {
                status,
                description,
            },
        },
    }
}
