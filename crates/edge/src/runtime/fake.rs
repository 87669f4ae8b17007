//! A runtime that only remembers: for simulated devices and for tests of everything above it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use ids::{ModuleId, Timestamp};
use tokio::sync::Notify;
use wire::local_api::LogsQuery;
use wire::manifest::RegistryCredential;

use super::{
    ContainerSpec, ContainerState, EngineInfo, LogStream, ModuleRuntime, Observed, RuntimeError,
    frame,
};
use crate::spec::{DIGEST_LABEL, IMAGE_LABEL};

/// Remembers containers instead of running them.
#[derive(Debug)]
pub struct FakeRuntime {
    state: Mutex<State>,
    changed: Notify,
    now: fn() -> Timestamp,
}

#[derive(Debug, Default)]
struct State {
    registry: BTreeSet<String>,
    images: BTreeSet<String>,
    containers: BTreeMap<ModuleId, Observed>,
    created: u64,
}

impl FakeRuntime {
    /// An empty one that can pull the images of `registry`; `now` is its clock.
    pub fn new(registry: impl IntoIterator<Item = String>, now: fn() -> Timestamp) -> Self {
        let state = State {
            registry: registry.into_iter().collect(),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            now,
        }
    }

    /// Lets a module end by itself.
    pub fn end(&self, module: &ModuleId, code: i64) {
        let at = (self.now)();
        if let Some(container) = self.lock().containers.get_mut(module) {
            container.state = ContainerState::Exited { code, at };
        }
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so that a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        module: &ModuleId,
        act: impl FnOnce(&mut Observed) -> T,
    ) -> Result<T, RuntimeError> {
        let mut state = self.lock();
        let container = state
            .containers
            .get_mut(module)
            .ok_or_else(|| RuntimeError::NoContainer(module.clone()))?;
        Ok(act(container))
    }
}

impl ModuleRuntime for FakeRuntime {
    async fn engine(&self) -> Result<EngineInfo, RuntimeError> {
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
        Ok(self.lock().containers.values().cloned().collect())
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(self.lock().images.contains(image))
    }

    async fn pull(
        &self,
        image: &str,
        _credential: Option<&RegistryCredential>,
    ) -> Result<(), RuntimeError> {
        let mut state = self.lock();
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

    async fn create(&self, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        let mut state = self.lock();
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
            state: ContainerState::Created,
            started: None,
        };
        state.containers.insert(spec.module.clone(), container);
        Ok(())
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
        let at = (self.now)();
        self.with(module, |container| {
            if container.state == ContainerState::Running {
                container.state = ContainerState::Exited { code: 0, at };
            }
        })
    }

    async fn remove(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        self.lock().containers.remove(module);
        Ok(())
    }

    async fn logs(&self, module: &ModuleId, _query: &LogsQuery) -> Result<LogStream, RuntimeError> {
        let text = self.with(module, |container| {
            format!("{} is {:?}\n", container.module, container.state)
        })?;
        Ok(futures_util::stream::iter([Ok(frame(1, text.as_bytes()))]).boxed())
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }
}
