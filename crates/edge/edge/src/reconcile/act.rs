//! Carries out a plan. Modules with the same `startupOrder` are worked on side by side, so that a
//! slow or failing module does not hold up others.

mod mountpoints;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use ids::{ModuleId, error_chain};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::edge_api::manifest::AgentDesired;

use super::pulls::{Fetched, Pulls, Readiness};
use super::{Agent, images};
use crate::clock;
use crate::desired::modules::{DesiredModule, Target};
use crate::metrics::{Command, Metrics};
use crate::plan::{Action, CreationWarnings, Failure, Plan, REMOVAL, Step};
use crate::runtime::{ContainerSpec, ModuleRuntime, PullProgress, RuntimeError};

/// How many modules are worked on at the same time.
const CONCURRENT: usize = 16;
/// Time between two reports while an action takes long.
const REPORT_EVERY: Duration = Duration::from_secs(2);

impl<R: ModuleRuntime> Agent<R> {
    pub(super) async fn act(&mut self, target: &Target, plan: &Plan) {
        let creates = |action: &Action| action.steps.contains(&Step::Create);
        if plan.actions.iter().any(creates)
            && let Err(error) = self.runtime.prepare().await
        {
            tracing::warn!(error = %error_chain(&error), "the modules' network is not ready");
        }
        let held = self.hold_until_pulled(target, plan).await;
        // Removals come first, because an old container may hold a port that a new one needs.
        // Then the modules, one `startupOrder` after the other.
        let order = |action: &Action| {
            let desired = target.modules.get(&action.module);
            desired.map(|desired| desired.settings.startup_order)
        };
        let mut waiting = false;
        for together in plan.actions.chunk_by(|a, b| order(a) == order(b)) {
            // While an image of an earlier `startupOrder` is being pulled, nothing is created.
            let waits = |a: &&Action| held.contains(&a.module) || (waiting && creates(a));
            let now: Vec<_> = together.iter().filter(|a| !waits(a)).collect();
            self.side_by_side(target, &now).await;
            self.memory.pulling = self.pulls.progress();
            waiting |= together
                .iter()
                .any(|a| self.memory.pulling.contains_key(&a.module));
        }
    }

    /// The modules that are not touched, because the agent's variables ask for all images first and
    /// some are not there.
    async fn hold_until_pulled(&mut self, target: &Target, plan: &Plan) -> BTreeSet<ModuleId> {
        if !target.options.pull_first {
            return BTreeSet::new();
        }
        let changes = |action: &&Action| {
            let changes = [Step::Fetch, Step::Remove, Step::Create];
            action.steps.iter().any(|step| changes.contains(step))
        };
        let changing: Vec<&Action> = plan.actions.iter().filter(changes).collect();
        let readiness = changing.into_iter().map(|action| {
            let job = self.job(target, action);
            async move { (job.action.module.clone(), job.readiness().await) }
        });
        let readiness: Vec<_> = readiness.collect();
        let readiness = futures_util::stream::iter(readiness)
            .buffer_unordered(CONCURRENT)
            .collect::<Vec<_>>()
            .await;
        let failures = plan
            .failing
            .iter()
            .filter_map(|m| self.memory.failures.get(m));
        let unpulled = failures.into_iter().any(|failure| failure.pulling);
        if !unpulled && readiness.iter().all(|(_, r)| *r == Readiness::Ready) {
            return BTreeSet::new();
        }
        // A failed pull is recorded when its action is carried out.
        let waits = readiness
            .into_iter()
            .filter(|(_, r)| *r != Readiness::Failed);
        waits.map(|(module, _)| module).collect()
    }

    fn job(&self, target: &Target, action: &Action) -> ModuleJob<R> {
        let module = &action.module;
        ModuleJob {
            runtime: self.runtime.clone(),
            pulls: self.pulls.clone(),
            wake: self.wake.clone(),
            metrics: self.shared.metrics.clone(),
            folder: self.paths.module_folder(module.as_str()),
            action: action.clone(),
            desired: target.modules.get(module).cloned(),
            manifest: target.manifest.clone(),
        }
    }

    async fn side_by_side(&mut self, target: &Target, actions: &[&Action]) {
        let start = |action: &&Action| {
            let module = &action.module;
            if !self.memory.pulling.contains_key(module) {
                let steps = &action.steps;
                tracing::info!(module.id = %module, ?steps, why = action.why, "acting");
            }
            let job = self.job(target, action);
            async move {
                let outcome = job.run().await;
                (job, outcome)
            }
        };
        let jobs: Vec<_> = actions.iter().map(start).collect();
        let mut done = futures_util::stream::iter(jobs).buffer_unordered(CONCURRENT);
        let start = Instant::now() + REPORT_EVERY;
        let mut report = tokio::time::interval_at(start, REPORT_EVERY);
        loop {
            // Cancel-safe: a stream that is polled again, and a timer.
            tokio::select! {
                next = done.next() => match next {
                    Some((job, outcome)) => self.record(&job, outcome),
                    None => return,
                },
                _ = report.tick() => {
                    // The end of the round reports again, and handles an error.
                    let _ = self.report_again(target).await;
                }
            }
        }
    }

    fn record(&mut self, job: &ModuleJob<R>, outcome: Result<JobOutcome, StepError>) {
        let module = &job.action.module;
        match outcome {
            Ok(JobOutcome::Pulling) => {}
            Ok(JobOutcome::Done(texts)) => {
                self.memory.failures.remove(module);
                for text in &texts {
                    tracing::warn!(module.id = %module, "{text}");
                }
                let desired = job.desired.as_ref();
                let spec = desired.and_then(|desired| desired.spec.as_ref().ok());
                if let Some(spec) = spec.filter(|_| job.action.steps.contains(&Step::Create)) {
                    let digest = spec.digest.clone();
                    let warnings = CreationWarnings { digest, texts };
                    self.memory.warnings.insert(module.clone(), warnings);
                }
            }
            Err(StepError { step, error }) => {
                let problem = error_chain(&error);
                tracing::warn!(
                    module.id = %module,
                    error = %problem,
                    "the module is not as desired"
                );
                // When the engine is gone, the end of the round reports that for all modules.
                if !matches!(error, RuntimeError::Unreachable { .. }) {
                    let desired = job.desired.as_ref();
                    let attempt = desired.map_or(REMOVAL, |desired| desired.attempt.as_str());
                    let earlier = self.memory.failures.get(module);
                    let failure = Failure {
                        pulling: step == Step::Fetch,
                        ..Failure::after(earlier, attempt, problem, clock::now())
                    };
                    self.memory.failures.insert(module.clone(), failure);
                }
            }
        }
    }
}

fn counted(step: Step) -> Option<Command> {
    Some(match step {
        Step::CheckImage => return None,
        Step::Fetch => Command::Pull,
        Step::Create => Command::Create,
        Step::Start => Command::Start,
        Step::Stop => Command::Stop,
        Step::Remove => Command::Remove,
    })
}

/// How far an action has come.
enum JobOutcome {
    /// All steps are done, with these warnings.
    Done(Vec<String>),
    /// The pull takes longer than a round.
    Pulling,
}

/// A step that failed.
struct StepError {
    step: Step,
    error: RuntimeError,
}

/// The action of one module.
struct ModuleJob<R> {
    runtime: Arc<R>,
    pulls: Arc<Pulls>,
    wake: Arc<Notify>,
    metrics: Metrics,
    folder: PathBuf,
    action: Action,
    desired: Option<DesiredModule>,
    manifest: Arc<AgentDesired>,
}

impl<R: ModuleRuntime> ModuleJob<R> {
    async fn run(&self) -> Result<JobOutcome, StepError> {
        let mut warnings = Vec::new();
        for step in self.action.steps.iter().copied() {
            let begun = Instant::now();
            let done = self.step(step).await;
            match done.map_err(|error| StepError { step, error })? {
                JobOutcome::Done(texts) => {
                    let module = &self.action.module;
                    if let Some(command) = counted(step) {
                        self.metrics.command(module, command, begun.elapsed());
                    }
                    warnings.extend(texts);
                }
                JobOutcome::Pulling => return Ok(JobOutcome::Pulling),
            }
        }
        Ok(JobOutcome::Done(warnings))
    }

    async fn step(&self, step: Step) -> Result<JobOutcome, RuntimeError> {
        let module = &self.action.module;
        let mut warnings = Vec::new();
        match (step, self.container()) {
            (Step::Stop, _) => self.runtime.stop(module).await?,
            (Step::Remove, _) => self.runtime.remove(module).await?,
            (Step::Start, _) => self.runtime.start(module).await?,
            (Step::Fetch, Some((desired, spec))) => {
                let pull = |progress| self.pull(spec.image.clone(), progress);
                match self.pulls.wait(module, &desired.attempt, pull).await {
                    Some(fetched) => warnings.extend(fetched?),
                    None => return Ok(JobOutcome::Pulling),
                }
            }
            (Step::CheckImage, Some((_, spec))) => {
                if !self.runtime.has_image(&spec.image).await? {
                    return Err(RuntimeError::not_here(&spec.image));
                }
            }
            (Step::Create, Some((_, spec))) => {
                mountpoints::make(&self.folder, &spec.mountpoints)?;
                warnings.extend(self.runtime.create(spec).await?);
            }
            // A plan has these steps only for modules with a container to create.
            (Step::Fetch | Step::CheckImage | Step::Create, None) => {
                return Err(RuntimeError::NoContainer(module.clone()));
            }
        }
        Ok(JobOutcome::Done(warnings))
    }

    fn container(&self) -> Option<(&DesiredModule, &ContainerSpec)> {
        let desired = self.desired.as_ref()?;
        Some((desired, desired.spec.as_ref().ok()?))
    }

    /// How the image of the action stands. Starts its pull, if it needs one.
    async fn readiness(&self) -> Readiness {
        let fetches = self.action.steps.contains(&Step::Fetch);
        match self.container().filter(|_| fetches) {
            None => Readiness::Ready,
            Some((desired, spec)) => {
                let pull = |progress| self.pull(spec.image.clone(), progress);
                let module = &self.action.module;
                self.pulls.is_ready(module, &desired.attempt, pull).await
            }
        }
    }

    fn pull(&self, image: String, progress: PullProgress) -> JoinHandle<Fetched> {
        let (runtime, manifest) = (self.runtime.clone(), self.manifest.clone());
        let wake = self.wake.clone();
        tokio::spawn(async move {
            let fetched = images::fetch(&*runtime, &image, &manifest, &progress).await;
            wake.notify_one();
            fetched
        })
    }
}
