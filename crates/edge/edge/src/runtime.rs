//! What runs modules: the container engine, or something that only remembers.

mod docker;
mod fake;

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

/// A container to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    pub module: ModuleId,
    /// Name of the container on the engine.
    pub name: String,
    /// Image with tag or digest.
    pub image: String,
    /// Docker's ContainerCreate JSON, complete.
    pub body: Value,
    /// SHA-256 of all of the above: a container with another one is replaced.
    pub digest: String,
    /// Mounts below the folder of the workload socket, whose places have to be there before.
    pub mountpoints: Vec<Mountpoint>,
    /// What of the deployment has no effect, in words.
    pub warnings: Vec<String>,
}

/// A place for a mount inside the folder that a container sees as `/var/run/iotedge`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mountpoint {
    /// Relative to that folder.
    pub inside: PathBuf,
    /// What is mounted there; a folder needs a folder, everything else a file.
    pub source: PathBuf,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    Created,
    Running,
    Exited {
        /// Exit code; 128 + signal when a signal ended it.
        code: i64,
        at: Timestamp,
    },
    /// The engine failed to remove it.
    Dead,
    /// Paused, being removed, or something newer than this program.
    Other,
}

/// A container that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub module: ModuleId,
    /// Id of the container.
    pub id: String,
    /// The image that it was created from, as named then.
    pub image: String,
    /// Id of that image.
    pub image_id: Option<String>,
    /// [`ContainerSpec::digest`] at its creation.
    pub digest: Option<String>,
    /// The deployment's createOptions at its creation, as JSON, without the values of the
    /// environment.
    pub create_options: Option<String>,
    /// What it is doing.
    pub state: ContainerState,
    /// When it started last.
    pub started: Option<Timestamp>,
}

/// Who ended a container's last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    Itself,
    /// Somebody who asked the engine for it.
    Request,
    /// The engine does not remember.
    Unknown,
}

/// Why it is time to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Something happened to a container.
    Container,
    /// The engine is going, or was away.
    EngineLost,
}

/// What the engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineInfo {
    pub version: String,
    /// Processor, for example `x86_64`.
    pub architecture: String,
    pub kernel_version: Option<String>,
    pub operating_system: Option<String>,
    pub cpus: Option<i64>,
    pub total_memory: Option<i64>,
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the container engine at {uri} does not answer")]
    Unreachable {
        uri: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the container engine could not {what}: {message}")]
    Refused {
        /// What was asked of it.
        what: String,
        message: String,
    },
    /// There is no such container.
    #[error("there is no container for module {0}")]
    NoContainer(ModuleId),
    /// The image is not on the device and may not, or cannot, be pulled.
    #[error("the image {image} is not on this device{reason}")]
    NoImage {
        image: String,
        /// Why it was not pulled.
        reason: String,
    },
    /// A place for a mount below the folder of the workload socket.
    #[error("cannot make the place {} for a mount", path.display())]
    Mountpoint {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Frames of a log, as Docker frames them: 8 bytes of header, then text.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// Runs the modules of one device. Everything is by module; how containers are named is the
/// runtime's own affair.
pub trait ModuleRuntime: Send + Sync + 'static {
    /// Asks the engine who it is.
    fn engine(&self) -> impl Future<Output = Result<EngineInfo, RuntimeError>> + Send;

    /// Makes the modules' network, unless it exists.
    fn prepare(&self) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// All containers of this device, running or not, sorted by module.
    fn list(&self) -> impl Future<Output = Result<Vec<Observed>, RuntimeError>> + Send;

    /// Whether the image is on the device.
    fn has_image(&self, image: &str) -> impl Future<Output = Result<bool, RuntimeError>> + Send;

    /// Pulls an image; gives up when nothing of it has come for as long as `patience`.
    fn pull(
        &self,
        image: &str,
        credential: Option<&RegistryCredential>,
        patience: Duration,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Creates a container, and gives what the engine warns of.
    fn create(
        &self,
        spec: &ContainerSpec,
    ) -> impl Future<Output = Result<Vec<String>, RuntimeError>> + Send;

    /// Starts a module's container; one that runs already is left alone.
    fn start(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Stops a module's container, at last by force, when the time that it was created with is
    /// over; one that is stopped already is left alone.
    fn stop(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Stops a module, if it runs, and starts it.
    fn restart(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send {
        async move {
            self.stop(module).await?;
            self.start(module).await
        }
    }

    /// Removes a module's stopped container, never its volumes.
    fn remove(&self, module: &ModuleId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    fn logs(
        &self,
        module: &ModuleId,
        query: &LogsQuery,
    ) -> impl Future<Output = Result<LogStream, RuntimeError>> + Send;

    /// Who ended the last run of a container that has ended.
    fn ended_by(
        &self,
        found: &Observed,
    ) -> impl Future<Output = Result<EndedBy, RuntimeError>> + Send;

    /// Returns when something may have happened. May return too often, and never returns when
    /// nobody can tell.
    fn changed(&self) -> impl Future<Output = Change> + Send;
}

/// Puts Docker's frame header before a piece of log: `stream` is 1 for standard output, 2 for
/// standard error.
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
