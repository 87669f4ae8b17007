//! Carries out a plan. One module's trouble is nobody else's, nor is its slowness: what has the same place in the order is
//! done side by side.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use wire::edge_api::manifest::AgentDesired;

use super::pulls::{Fetched, Pulls};
use super::{Agent, Aim, images};
use crate::causes::chain_of;
use crate::clock;
use crate::plan::{Action, Failure, Plan, REMOVAL, Remarks, Step, Wanted};
use crate::runtime::{ModuleRuntime, Mountpoint, RuntimeError};

/// How many modules are worked on at once.
const AT_ONCE: usize = 16;
/// How often the account is brought up to date while something takes long.
const ACCOUNT: Duration = Duration::from_secs(2);

impl<R: ModuleRuntime> Agent<R> {
    pub(super) async fn act(&mut self, aim: &Aim, plan: &Plan) {
        let creates = |action: &Action| action.steps.contains(&Step::Create);
        if plan.actions.iter().any(creates)
            && let Err(error) = self.runtime.prepare().await
        {
            tracing::warn!(error = %chain_of(&error), "the modules' network is not ready");
        }
        // What goes first, as it may hold the ports of what comes; then one startupOrder after the other.
        let order = |action: &Action| {
            let wanted = aim.wanted.get(&action.module);
            wanted.map(|wanted| wanted.settings.startup_order)
        };
        let mut waiting = false;
        for together in plan.actions.chunk_by(|a, b| order(a) == order(b)) {
            // What is to start first may still be on its way.
            let now: Vec<_> = together
                .iter()
                .filter(|a| !(waiting && creates(a)))
                .collect();
            self.side_by_side(aim, &now).await;
            self.memory.pulling = self.pulls.modules();
            waiting |= together
                .iter()
                .any(|a| self.memory.pulling.contains(&a.module));
        }
    }

    async fn side_by_side(&mut self, aim: &Aim, actions: &[&Action]) {
        let one = |action: &&Action| {
            if !self.memory.pulling.contains(&action.module) {
                tracing::info!(module.id = %action.module, steps = ?action.steps, why = action.why, "acting");
            }
            let job = Job {
                runtime: self.runtime.clone(),
                pulls: self.pulls.clone(),
                poke: self.poke.clone(),
                folder: self.paths.module_folder(action.module.as_str()),
                action: (*action).clone(),
                wanted: aim.wanted.get(&action.module).cloned(),
                desired: aim.desired.clone(),
            };
            async move {
                let outcome = job.carry_out().await;
                (job, outcome)
            }
        };
        let jobs: Vec<_> = actions.iter().map(one).collect();
        let mut done = futures_util::stream::iter(jobs).buffer_unordered(AT_ONCE);
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + ACCOUNT, ACCOUNT);
        loop {
            // Cancel-safe: a stream that is polled on, and a timer.
            tokio::select! {
                next = done.next() => match next {
                    Some((job, outcome)) => self.take_outcome(&job, outcome),
                    None => return,
                },
                _ = look.tick() => {
                    // The round's end looks again, and says why it cannot.
                    let _ = self.account_again(aim).await;
                }
            }
        }
    }

    fn take_outcome(&mut self, job: &Job<R>, outcome: Result<Carried, RuntimeError>) {
        let module = &job.action.module;
        match outcome {
            Ok(Carried::Pulling) => {}
            Ok(Carried::Out(texts)) => {
                self.memory.failures.remove(module);
                for text in &texts {
                    tracing::warn!(module.id = %module, "{text}");
                }
                let spec = job.wanted.as_ref().and_then(|wanted| wanted.spec.as_ref());
                if let Some(spec) = spec.filter(|_| job.action.steps.contains(&Step::Create)) {
                    let digest = spec.digest.clone();
                    let remarks = Remarks { digest, texts };
                    self.memory.remarks.insert(module.clone(), remarks);
                }
            }
            Err(error) => {
                let problem = chain_of(&error);
                tracing::warn!(module.id = %module, error = %problem, "the module is not as desired");
                // The round's end finds the engine gone and tells it of all modules.
                if !matches!(error, RuntimeError::Unreachable { .. }) {
                    let wanted = job.wanted.as_ref();
                    let attempt = wanted.map_or(REMOVAL, |wanted| wanted.attempt.as_str());
                    let earlier = self.memory.failures.get(module);
                    let failure = Failure::after(earlier, attempt, problem, clock::now());
                    self.memory.failures.insert(module.clone(), failure);
                }
            }
        }
    }
}

/// How far a turn has come.
enum Carried {
    /// To its end, with remarks.
    Out(Vec<String>),
    /// To a pull that takes longer than a round.
    Pulling,
}

/// One module's turn.
struct Job<R> {
    runtime: Arc<R>,
    pulls: Arc<Pulls>,
    poke: Arc<Notify>,
    folder: PathBuf,
    action: Action,
    wanted: Option<Wanted>,
    desired: Arc<AgentDesired>,
}

impl<R: ModuleRuntime> Job<R> {
    async fn carry_out(&self) -> Result<Carried, RuntimeError> {
        let module = &self.action.module;
        let wanted = self.wanted.as_ref();
        let spec = wanted.and_then(|wanted| Some((wanted, wanted.spec.as_ref()?)));
        let mut remarks = Vec::new();
        for step in &self.action.steps {
            match (step, spec) {
                (Step::Stop, _) => self.runtime.stop(module).await?,
                (Step::Remove, _) => self.runtime.remove(module).await?,
                (Step::Start, _) => self.runtime.start(module).await?,
                (Step::Fetch, Some((wanted, spec))) => {
                    let pull = || self.pull(spec.image.clone());
                    match self.pulls.wait(module, &wanted.attempt, pull).await {
                        Some(fetched) => remarks.extend(fetched?),
                        None => return Ok(Carried::Pulling),
                    }
                }
                (Step::Create, Some((_, spec))) => {
                    make_places(&self.folder, &spec.mountpoints)?;
                    remarks.extend(self.runtime.create(spec).await?);
                }
                // A plan has these steps only for modules with a container to create.
                (Step::Fetch | Step::Create, None) => {
                    return Err(RuntimeError::NoContainer(module.clone()));
                }
            }
        }
        Ok(Carried::Out(remarks))
    }

    fn pull(&self, image: String) -> JoinHandle<Fetched> {
        let (runtime, desired) = (self.runtime.clone(), self.desired.clone());
        let poke = self.poke.clone();
        tokio::spawn(async move {
            let fetched = images::fetch(&*runtime, &image, &desired).await;
            poke.notify_one();
            fetched
        })
    }
}

/// The engine cannot make a place for a mount in a folder that is mounted read-only; it finds these.
fn make_places(folder: &Path, mountpoints: &[Mountpoint]) -> Result<(), RuntimeError> {
    for Mountpoint { inside, source } in mountpoints {
        let path = folder.join(inside);
        let made = if path.exists() {
            Ok(())
        } else if source.is_absolute() && source.metadata().is_ok_and(|what| !what.is_dir()) {
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent)
                .and_then(|()| std::fs::File::create_new(&path).map(drop))
        } else {
            std::fs::create_dir_all(&path)
        };
        made.map_err(|source| RuntimeError::Mountpoint { path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D15.
    #[test]
    fn places_of_mounts_are_like_what_is_mounted() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("mgmt.sock");
        std::fs::write(&socket, "").unwrap();
        let folder = dir.path().join("module");
        let mounts = [
            ("mgmt.sock", socket.clone()),
            ("more/other.sock", socket),
            ("data", dir.path().to_owned()),
            ("volume", PathBuf::from("volume")),
        ];
        let mounts = mounts.map(|(inside, source)| Mountpoint {
            inside: PathBuf::from(inside),
            source,
        });
        for _ in 0..2 {
            make_places(&folder, &mounts).unwrap();
        }
        assert!(folder.join("mgmt.sock").is_file() && folder.join("more/other.sock").is_file());
        assert!(folder.join("data").is_dir() && folder.join("volume").is_dir());
    }
}
