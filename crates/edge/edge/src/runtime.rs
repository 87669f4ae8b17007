//! The runtime of the modules: a container engine, or a fake one in memory.

mod docker;
mod fake;
mod progress;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use ids::{ModuleId, Timestamp};
use serde_json::Value;
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::RegistryCredential;

pub use docker::{Docker, DockerOptions};
pub use fake::FakeRuntime;
pub use progress::PullProgress;

/// A container to create.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    pub module: ModuleId,
    /// The name of the container on the engine.
    pub name: String,
    /// Image with tag or digest.
    pub image: String,
    /// The complete JSON of Docker's ContainerCreate.
    pub body: Value,
    /// SHA-256 of the name, the body and the module's version. A container with
    /// another digest is replaced.
    pub digest: String,
    /// Mounts below the folder of the workload socket. Their mountpoints must
    /// exist before the container.
    pub mountpoints: Vec<Mountpoint>,
    /// Settings of the deployment without effect.
    pub warnings: Vec<String>,
}

/// A mountpoint inside the folder that a container sees as `/var/run/iotedge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mountpoint {
    /// Relative to that folder.
    pub inside: PathBuf,
    /// What is mounted there. A folder needs a folder, everything else a file.
    pub source: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    Created,
    Running,
    Exited {
        /// 128 + the number of the signal, if a signal ended it.
        code: i64,
        at: Timestamp,
    },
    /// The engine failed to remove it.
    Dead,
    /// Paused, being removed, something newer than this program, or a container that the engine
    /// cannot describe.
    Other,
}

/// A container of a module that exists on the engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub module: ModuleId,
    pub id: String,
    /// The image as the deployment named it at the creation.
    pub image: String,
    pub image_id: Option<String>,
    /// [`ContainerSpec::digest`] at its creation.
    pub digest: Option<String>,
    /// The deployment's createOptions at its creation, as JSON, without the
    /// values of the environment.
    pub create_options: Option<String>,
    pub state: ContainerState,
    /// Whether it runs and its health check fails.
    pub unhealthy: bool,
    /// The time of the last start.
    pub started: Option<Timestamp>,
}

/// Who ended a container's last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    Itself,
    /// A request to the engine.
    Request,
    /// The engine has no record of it.
    Unknown,
}

/// What the runtime has noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A container started, exited or was removed, or its health changed.
    Container,
    /// The connection to the engine ended.
    EngineLost,
}

/// The engine's description of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineInfo {
    pub version: String,
    /// Processor, for example `x86_64`.
    pub architecture: String,
    pub kernel_version: Option<String>,
    pub operating_system: Option<String>,
    pub cpus: Option<i64>,
    /// The memory of the machine, in bytes.
    pub total_memory: Option<i64>,
}

/// What a module uses at the moment, and has used since its start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ModuleFigures {
    /// 100 is one processor.
    pub cpu_percent: f64,
    /// Bytes.
    pub memory: u64,
    /// Bytes.
    pub memory_limit: u64,
    pub processes: u64,
    /// Bytes from the network.
    pub received: u64,
    /// Bytes to the network.
    pub sent: u64,
    /// Bytes from disks.
    pub read: u64,
    /// Bytes to disks.
    pub written: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the container engine at {uri} does not answer")]
    Unreachable {
        uri: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the container engine could not {what}: {message}")]
    Refused { what: String, message: String },
    #[error("there is no container for module {0}")]
    NoContainer(ModuleId),
    /// The image is not on the device, and the pull policy forbids a pull, or the pull failed.
    #[error("the image {image} is not on this device{reason}")]
    NoImage { image: String, reason: String },
    #[error("cannot make the place {} for a mount", path.display())]
    Mountpoint {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl RuntimeError {
    /// The image of a module that is created without a pull is missing.
    pub(crate) fn not_here(image: &str) -> Self {
        Self::NoImage {
            image: image.to_owned(),
            reason: " and its pull policy is never".to_owned(),
        }
    }
}

/// Frames of a log, as Docker frames them: 8 bytes of header, then text.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// Runs the modules of one device. Modules are named by their ids; the names of containers are
/// private to the runtime.
pub trait ModuleRuntime: Send + Sync + 'static {
    /// Asks the engine for its version and machine.
    fn engine(&self) -> impl Future<Output = Result<EngineInfo, RuntimeError>> + Send;

    /// Makes the network of the modules, unless it exists.
    fn prepare(&self) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// All containers of this device, running or not, sorted by module.
    fn list(&self) -> impl Future<Output = Result<Vec<Observed>, RuntimeError>> + Send;

    /// Whether the image is on the device.
    fn has_image(&self, image: &str) -> impl Future<Output = Result<bool, RuntimeError>> + Send;

    /// Pulls an image. Gives up when no data has come for as long as `patience`.
    fn pull(
        &self,
        image: &str,
        credential: Option<&RegistryCredential>,
        patience: Duration,
        progress: &PullProgress,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Creates a container. Returns the warnings of the engine.
    fn create(
        &self,
        spec: &ContainerSpec,
    ) -> impl Future<Output = Result<Vec<String>, RuntimeError>> + Send;

    /// Starts the container of a module, unless it runs.
    fn start(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Stops the container of a module, unless it is stopped. After the time to stop that it was
    /// created with, it is killed.
    fn stop(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Stops a module, if it runs, and starts it.
    fn restart(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send {
        async move {
            self.stop(module).await?;
            self.start(module).await
        }
    }

    /// Removes the stopped container of a module, never its volumes.
    fn remove(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    fn logs(
        &self,
        module: &ModuleId,
        query: &LogsQuery,
    ) -> impl Future<Output = Result<LogStream, RuntimeError>> + Send;

    /// Measures a module. May take a second.
    fn figures(
        &self,
        module: &ModuleId,
    ) -> impl Future<Output = Result<ModuleFigures, RuntimeError>> + Send;

    /// Removes an image that no container uses: by the name of a deployment if that means it still,
    /// else by its id. Returns whether it is gone now.
    fn remove_image(
        &self,
        name: &str,
        id: &str,
    ) -> impl Future<Output = Result<bool, RuntimeError>> + Send;

    /// Who ended the last run of an exited container.
    fn ended_by(
        &self,
        found: &Observed,
    ) -> impl Future<Output = Result<EndedBy, RuntimeError>> + Send;

    /// Returns when a container may have changed. May return too often, and does not return when
    /// changes cannot be observed.
    fn changed(&self) -> impl Future<Output = Change> + Send;
}

/// Puts Docker's frame header before a piece of a log. `stream` is 1 for standard output,
/// 2 for standard error.
#[must_use]
pub fn frame(stream: u8, text: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(text.len() + 8);
    framed.extend([stream, 0, 0, 0]);
    framed.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend(text);
    Bytes::from(framed)
}

#[cfg(test)]
mod conformance;
