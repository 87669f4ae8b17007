//! A runtime in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use ids::{ModuleId, Timestamp};
use tokio::sync::Notify;
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::RegistryCredential;

use super::{
    Change, ContainerSpec, ContainerState, EndedBy, EngineInfo, LogStream, ModuleFigures,
    ModuleRuntime, Observed, PullProgress, RuntimeError, frame,
};
use crate::desired::container::{CREATE_OPTIONS_LABEL, DIGEST_LABEL, IMAGE_LABEL};

/// Keeps containers in memory and runs nothing.
#[derive(Debug)]
pub struct FakeRuntime {
    state: Mutex<State>,
    changed: Notify,
    released: Notify,
    now: fn() -> Timestamp,
}

#[derive(Debug, Default)]
struct State {
    registry: BTreeSet<String>,
    images: BTreeSet<String>,
    containers: BTreeMap<ModuleId, Observed>,
    /// Modules whose last run was ended by a request.
    asked: BTreeSet<ModuleId>,
    pulls: BTreeMap<String, u32>,
    /// Images whose pulls do not end.
    held: BTreeSet<String>,
    logs: BTreeMap<ModuleId, Vec<Bytes>>,
    created: u64,
    ended_by: u32,
    away: bool,
    refuses_list: bool,
    /// How long a module takes to end.
    ending: Duration,
}

impl FakeRuntime {
    /// Without containers. It can pull the images of `registry`; `now` is its clock.
    pub fn new(registry: impl IntoIterator<Item = String>, now: fn() -> Timestamp) -> Self {
        let state = State {
            registry: registry.into_iter().collect(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            released: Notify::new(),
            now,
        }
    }

    /// The program of a module exits by itself.
    pub fn end(&self, module: &ModuleId, code: i64) {
        let at = (self.now)();
        let mut state = self.lock();
        state.asked.remove(module);
        if let Some(container) = state.containers.get_mut(module) {
            container.state = ContainerState::Exited { code, at };
            container.unhealthy = false;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The health check of a module fails, until the module is started again.
    pub fn fail_health_check(&self, module: &ModuleId) {
        if let Some(container) = self.lock().containers.get_mut(module) {
            container.unhealthy = true;
        }
        self.changed.notify_one();
    }

    /// The engine stops answering, or answers again.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// The engine refuses to list containers, or lists them again.
    pub fn refuse_list(&self, refuses: bool) {
        self.lock().refuses_list = refuses;
    }

    /// A module has written a piece to its log. `stream` is as for [`frame`].
    pub fn log(&self, module: &ModuleId, stream: u8, text: &str) {
        let piece = frame(stream, text.as_bytes());
        let mut state = self.lock();
        state.logs.entry(module.clone()).or_default().push(piece);
    }

    /// Modules take as long to end from now on.
    pub fn set_ending(&self, time: Duration) {
        self.lock().ending = time;
    }

    /// Pulls of an image do not end while it is held.
    pub fn hold(&self, image: &str, held: bool) {
        let mut state = self.lock();
        if held {
            state.held.insert(image.to_owned());
        } else {
            state.held.remove(image);
        }
        drop(state);
        self.released.notify_waiters();
    }

    /// Removes an image from the registry.
    pub fn unpublish(&self, image: &str) {
        self.lock().registry.remove(image);
    }

    /// The number of pulls of an image.
    #[must_use]
    pub fn pulls(&self, image: &str) -> u32 {
        self.lock().pulls.get(image).copied().unwrap_or_default()
    }

    /// How often the runtime was asked who ended a run.
    #[must_use]
    pub fn ended_by_calls(&self) -> u32 {
        self.lock().ended_by
    }

    /// The state, if the engine answers.
    fn engine_state(&self) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let state = self.lock();
        if state.away {
            return Err(RuntimeError::Unreachable {
                uri: "fake".to_owned(),
                source: "it was refused".into(),
            });
        }
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so that a panic in one leaves a consistent value.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        module: &ModuleId,
        act: impl FnOnce(&mut Observed) -> T,
    ) -> Result<T, RuntimeError> {
        let mut state = self.engine_state()?;
        let container = state
            .containers
            .get_mut(module)
            .ok_or_else(|| RuntimeError::NoContainer(module.clone()))?;
        Ok(act(container))
    }
}

impl ModuleRuntime for FakeRuntime {
    async fn engine(&self) -> Result<EngineInfo, RuntimeError> {
        drop(self.engine_state()?);
        Ok(EngineInfo {
            version: "fake".to_owned(),
            architecture: "x86_64".to_owned(),
            ..EngineInfo::default()
        })
    }

    async fn prepare(&self) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Observed>, RuntimeError> {
        let state = self.engine_state()?;
        if state.refuses_list {
            return Err(RuntimeError::Refused {
                what: "list its containers".to_owned(),
                message: "it is broken".to_owned(),
            });
        }
        Ok(state.containers.values().cloned().collect())
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(self.engine_state()?.images.contains(image))
    }

    async fn pull(
        &self,
        image: &str,
        _credential: Option<&RegistryCredential>,
        _patience: Duration,
        progress: &PullProgress,
    ) -> Result<(), RuntimeError> {
        *self
            .engine_state()?
            .pulls
            .entry(image.to_owned())
            .or_default() += 1;
        loop {
            let released = self.released.notified();
            if !self.engine_state()?.held.contains(image) {
                break;
            }
            progress.downloading("layer", 1, 2);
            released.await;
        }
        let mut state = self.engine_state()?;
        if !state.registry.contains(image) {
            let message = "not found".to_owned();
            return Err(RuntimeError::Refused {
                what: format!("pull the image {image}"),
                message,
            });
        }
        state.images.insert(image.to_owned());
        Ok(())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Vec<String>, RuntimeError> {
        let mut state = self.engine_state()?;
        if !state.images.contains(&spec.image) {
            return Err(RuntimeError::NoImage {
                image: spec.image.clone(),
                reason: String::new(),
            });
        }
        state.created += 1;
        let label = |name: &str| spec.body["Labels"][name].as_str().map(str::to_owned);
        let container = Observed {
            module: spec.module.clone(),
            id: format!("{:064x}", state.created),
            image: label(IMAGE_LABEL).unwrap_or_else(|| spec.image.clone()),
            image_id: Some(format!("sha256:{}", spec.image)),
            digest: label(DIGEST_LABEL),
            create_options: label(CREATE_OPTIONS_LABEL),
            state: ContainerState::Created,
            unhealthy: false,
            started: None,
        };
        state.containers.insert(spec.module.clone(), container);
        Ok(Vec::new())
    }

    async fn start(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let now = (self.now)();
        self.with(module, |container| {
            if container.state != ContainerState::Running {
                container.state = ContainerState::Running;
                container.started = Some(now);
            }
        })
    }

    async fn stop(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let ending = self.engine_state()?.ending;
        if !ending.is_zero() {
            tokio::time::sleep(ending).await;
        }
        let at = (self.now)();
        let stopped = self.with(module, |container| {
            let runs = container.state == ContainerState::Running;
            if runs {
                container.state = ContainerState::Exited { code: 0, at };
                container.unhealthy = false;
            }
            runs
        })?;
        if stopped {
            self.lock().asked.insert(module.clone());
        }
        Ok(())
    }

    async fn remove(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        self.engine_state()?.containers.remove(module);
        Ok(())
    }

    async fn logs(&self, module: &ModuleId, query: &LogsQuery) -> Result<LogStream, RuntimeError> {
        let usual = self.with(module, |container| {
            frame(1, format!("{module} is {:?}\n", container.state).as_bytes())
        })?;
        let mut pieces = self.lock().logs.get(module).cloned().unwrap_or(vec![usual]);
        let tail = query.tail.and_then(|tail| usize::try_from(tail).ok());
        let left_out = pieces.len().saturating_sub(tail.unwrap_or(usize::MAX));
        pieces.drain(..left_out);
        Ok(futures_util::stream::iter(pieces.into_iter().map(Ok)).boxed())
    }

    async fn figures(&self, module: &ModuleId) -> Result<ModuleFigures, RuntimeError> {
        self.with(module, |_| ModuleFigures {
            memory: 1,
            ..ModuleFigures::default()
        })
    }

    async fn remove_image(&self, name: &str, id: &str) -> Result<bool, RuntimeError> {
        let mut state = self.engine_state()?;
        let containers = state.containers.values();
        let mut used = containers.map(|container| container.image_id.as_deref());
        if used.any(|used| used == Some(id)) {
            return Ok(false);
        }
        if id == format!("sha256:{name}") {
            state.images.remove(name);
        }
        Ok(true)
    }

    async fn ended_by(&self, found: &Observed) -> Result<EndedBy, RuntimeError> {
        let mut state = self.engine_state()?;
        state.ended_by += 1;
        Ok(if state.asked.contains(&found.module) {
            EndedBy::Request
        } else {
            EndedBy::Itself
        })
    }

    async fn changed(&self) -> Change {
        self.changed.notified().await;
        Change::Container
    }
}
