//! The connection to the engine's API.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::ListContainersOptions;
use ids::ModuleId;

use crate::config::Network;
use crate::desired::container::{MODULE_LABEL, OWNER, OWNER_LABEL, ROOT_LABEL};
use crate::runtime::RuntimeError;

/// Longest wait for one answer of the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// The engine's own time for a module to end, when the container has none.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Longest time for a module to end. A container may ask for "no limit".
const LONGEST_STOP: Duration = Duration::from_secs(3600);

/// The engine, and what tells the containers of this device from others on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    pub socket: PathBuf,
    /// The root folder of the device. It is a label of the containers.
    pub root: PathBuf,
    /// The network of the modules, with the name that the engine knows it by.
    pub network: Network,
}

/// A container engine. It connects with the first request, so that the daemon can
/// start before its engine.
#[derive(Debug)]
pub struct Docker {
    pub(super) options: DockerOptions,
    connection: Mutex<Option<EngineConnection>>,
    /// Ids of the containers that the engine could not describe when it was asked last.
    pub(super) undescribed: Mutex<BTreeSet<String>>,
}

/// A client of the engine. It is made anew when the engine is gone, because a restarted engine
/// may have another version.
#[derive(Debug, Clone)]
pub(super) struct EngineConnection {
    client: bollard::Docker,
    /// Whether logs of containers without a LogConfig grow without limit; `None`
    /// until one was created.
    pub(super) unlimited_logs: Option<bool>,
}

impl Docker {
    #[must_use]
    pub fn new(options: DockerOptions) -> Self {
        Self {
            options,
            connection: Mutex::default(),
            undescribed: Mutex::default(),
        }
    }

    pub(super) fn connection(&self) -> MutexGuard<'_, Option<EngineConnection>> {
        // Every change replaces the whole value, so that a panic in one leaves a consistent value.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn client(&self) -> Result<bollard::Docker, RuntimeError> {
        if let Some(connection) = self.connection().as_ref() {
            return Ok(connection.client.clone());
        }
        let connect = async {
            let socket = self.options.socket.to_string_lossy();
            let client = bollard::Docker::connect_with_unix(
                &socket,
                ANSWER_WITHIN.as_secs(),
                bollard::API_DEFAULT_VERSION,
            )?;
            client.negotiate_version().await
        };
        let client = connect.await.map_err(|error| self.unreachable(error))?;
        *self.connection() = Some(EngineConnection {
            client: client.clone(),
            unlimited_logs: None,
        });
        Ok(client)
    }

    pub(super) fn unreachable(&self, error: Error) -> RuntimeError {
        self.connection().take();
        RuntimeError::Unreachable {
            uri: format!("unix://{}", self.options.socket.display()),
            source: Box::new(error),
        }
    }

    pub(super) fn failed(&self, what: impl Into<String>, error: Error) -> RuntimeError {
        match error {
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => {
                // The engine was replaced by one that does not have the negotiated version.
                if message.contains("client version") {
                    self.connection().take();
                }
                RuntimeError::Refused {
                    what: what.into(),
                    message,
                }
            }
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => RuntimeError::Refused {
                what: what.into(),
                message: error.to_string(),
            },
            other => self.unreachable(other),
        }
    }

    pub(super) fn labels(&self) -> Vec<String> {
        vec![
            format!("{OWNER_LABEL}={OWNER}"),
            format!("{ROOT_LABEL}={}", self.options.root.display()),
        ]
    }

    pub(super) async fn ids(&self, module: Option<&ModuleId>) -> Result<Vec<String>, RuntimeError> {
        let listed = self.summaries(module).await?;
        Ok(listed.into_iter().filter_map(|listed| listed.id).collect())
    }

    pub(super) async fn summaries(
        &self,
        module: Option<&ModuleId>,
    ) -> Result<Vec<ContainerSummary>, RuntimeError> {
        let mut labels = self.labels();
        labels.extend(module.map(|module| format!("{MODULE_LABEL}={module}")));
        let filters = Some(HashMap::from([("label".to_owned(), labels)]));
        let options = ListContainersOptions {
            all: true,
            filters,
            ..Default::default()
        };
        let found = self.client().await?.list_containers(Some(options)).await;
        found.map_err(|error| self.failed("list its containers", error))
    }

    pub(super) async fn id(&self, module: &ModuleId) -> Result<String, RuntimeError> {
        let mut ids = self.ids(Some(module)).await?;
        ids.pop()
            .ok_or_else(|| RuntimeError::NoContainer(module.clone()))
    }

    pub(super) async fn inspect(
        &self,
        id: &str,
    ) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        match self.client().await?.inspect_container(id, None).await {
            Ok(found) => Ok(Some(found)),
            // It was removed after it was listed.
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(self.failed("describe a container", error)),
        }
    }

    /// How long the engine may take to stop a container: the container's own time, and
    /// ours for an answer.
    pub(super) async fn time_to_stop(&self, id: &str) -> Result<Duration, RuntimeError> {
        let found = self.inspect(id).await?;
        let own = found
            .and_then(|found| found.config)
            .and_then(|config| config.stop_timeout);
        let time = match own.map(u64::try_from) {
            None => STOP_WITHIN,
            Some(Ok(seconds)) => Duration::from_secs(seconds).min(LONGEST_STOP),
            // A negative time has no limit.
            Some(Err(_)) => LONGEST_STOP,
        };
        Ok(time + ANSWER_WITHIN)
    }
}
