//! Modules as containers of a real engine, through its API.

mod create;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, EventMessage, NetworkCreateRequest,
};
use bollard::query_parameters::{
    CreateImageOptions, EventsOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions,
    StopContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use ids::{ModuleId, Timestamp};
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::RegistryCredential;

use super::{
    Change, ContainerSpec, ContainerState, EndedBy, EngineInfo, LogStream, ModuleRuntime, Observed,
    RuntimeError, frame,
};
use crate::desired::container::{
    CREATE_OPTIONS_LABEL, DIGEST_LABEL, IMAGE_LABEL, MODULE_LABEL, OWNER, OWNER_LABEL, ROOT_LABEL,
};

/// Longest wait for one answer of the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);
/// How long the engine lets a module take to end by itself when its container says nothing.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Longest time that a module may take to end by itself; "for ever" is a possible wish.
const LONGEST_STOP: Duration = Duration::from_secs(3600);
/// Signals that end a program which does not know better.
const ENDING_SIGNALS: [&str; 6] = ["1", "2", "3", "6", "9", "15"];

/// Which engine, and which of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    pub socket: PathBuf,
    /// Root folder of the device, by which its containers are known.
    pub root: PathBuf,
    /// Network of the modules.
    pub network: String,
}

/// A container engine. Connects when first asked, so that the daemon starts before its engine does.
#[derive(Debug)]
pub struct Docker {
    options: DockerOptions,
    line: Mutex<Option<EngineConnection>>,
}

/// What holds as long as the engine is not restarted: it may come back as another version.
#[derive(Debug, Clone)]
struct EngineConnection {
    client: bollard::Docker,
    /// Whether logs of containers without a LogConfig grow without limit; `None` until one was
    /// created.
    unlimited_logs: Option<bool>,
}

impl Docker {
    /// The engine that `options` name; nothing is asked of it yet.
    #[must_use]
    pub fn new(options: DockerOptions) -> Self {
        Self {
            options,
            line: Mutex::default(),
        }
    }

    fn line(&self) -> MutexGuard<'_, Option<EngineConnection>> {
        // Every change replaces the whole value, so that a panic elsewhere leaves nothing half
        // done.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn client(&self) -> Result<bollard::Docker, RuntimeError> {
        if let Some(line) = self.line().as_ref() {
            return Ok(line.client.clone());
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
        *self.line() = Some(EngineConnection {
            client: client.clone(),
            unlimited_logs: None,
        });
        Ok(client)
    }

    fn unreachable(&self, error: Error) -> RuntimeError {
        self.line().take();
        RuntimeError::Unreachable {
            uri: format!("unix://{}", self.options.socket.display()),
            source: Box::new(error),
        }
    }

    fn failed(&self, what: impl Into<String>, error: Error) -> RuntimeError {
        match error {
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => {
                // The engine was replaced by one that does not speak what was agreed upon.
                if message.contains("client version") {
                    self.line().take();
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

    fn labels(&self) -> Vec<String> {
        vec![
            format!("{OWNER_LABEL}={OWNER}"),
            format!("{ROOT_LABEL}={}", self.options.root.display()),
        ]
    }

    async fn ids(&self, module: Option<&ModuleId>) -> Result<Vec<String>, RuntimeError> {
        let mut labels = self.labels();
        labels.extend(module.map(|module| format!("{MODULE_LABEL}={module}")));
        let filters = Some(HashMap::from([("label".to_owned(), labels)]));
        let options = ListContainersOptions {
            all: true,
            filters,
            ..Default::default()
        };
        let found = self.client().await?.list_containers(Some(options)).await;
        let found = found.map_err(|error| self.failed("list its containers", error))?;
        Ok(found
            .into_iter()
            .filter_map(|container| container.id)
            .collect())
    }

    async fn id(&self, module: &ModuleId) -> Result<String, RuntimeError> {
        let mut ids = self.ids(Some(module)).await?;
        ids.pop()
            .ok_or_else(|| RuntimeError::NoContainer(module.clone()))
    }

    async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        match self.client().await?.inspect_container(id, None).await {
            Ok(found) => Ok(Some(found)),
            // It went away since it was listed.
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(self.failed("describe a container", error)),
        }
    }

    /// How long the engine may take to stop a container: the container's own time, and ours for an
    /// answer.
    async fn time_to_stop(&self, id: &str) -> Result<Duration, RuntimeError> {
        let found = self.inspect(id).await?;
        let own = found
            .and_then(|found| found.config)
            .and_then(|config| config.stop_timeout);
        let time = match own.map(u64::try_from) {
            None => STOP_WITHIN,
            Some(Ok(seconds)) => Duration::from_secs(seconds).min(LONGEST_STOP),
            // Below zero means for ever.
            Some(Err(_)) => LONGEST_STOP,
        };
        Ok(time + ANSWER_WITHIN)
    }
}

impl ModuleRuntime for Docker {
    async fn engine(&self) -> Result<EngineInfo, RuntimeError> {
        let info = self
            .client()
            .await?
            .info()
            .await
            .map_err(|error| self.failed("describe itself", error))?;
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            kernel_version: info.kernel_version,
            operating_system: info.operating_system,
            cpus: info.ncpu,
            total_memory: info.mem_total,
        })
    }

    async fn prepare(&self) -> Result<(), RuntimeError> {
        let client = self.client().await?;
        let name = &self.options.network;
        match client.inspect_network(name, None).await {
            Ok(_) => return Ok(()),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => {}
            Err(error) => return Err(self.failed(format!("look for the network {name}"), error)),
        }
        let labels = [
            (OWNER_LABEL, OWNER.to_owned()),
            (ROOT_LABEL, self.options.root.display().to_string()),
        ];
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(
                labels
                    .into_iter()
                    .map(|(label, value)| (label.to_owned(), value))
                    .collect(),
            ),
            ..Default::default()
        };
        let created = client.create_network(request).await;
        created
            .map(drop)
            .map_err(|error| self.failed(format!("create the network {name}"), error))
    }

    async fn list(&self) -> Result<Vec<Observed>, RuntimeError> {
        let mut found = Vec::new();
        for id in self.ids(None).await? {
            found.extend(self.inspect(&id).await?.and_then(observed));
        }
        found.sort_by(|a, b| a.module.cmp(&b.module));
        Ok(found)
    }

    async fn has_image(&self, image: &str) -> Result<bool, RuntimeError> {
        match self.client().await?.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(false),
            Err(error) => Err(self.failed(format!("look for the image {image}"), error)),
        }
    }

    async fn pull(
        &self,
        image: &str,
        credential: Option<&RegistryCredential>,
        patience: Duration,
    ) -> Result<(), RuntimeError> {
        let credential = credential.map(|credential| DockerCredentials {
            username: Some(credential.username.clone()),
            password: Some(credential.password.clone()),
            serveraddress: Some(credential.address.clone()),
            ..Default::default()
        });
        let options = CreateImageOptions {
            from_image: Some(image.to_owned()),
            ..Default::default()
        };
        let client = self.client().await?;
        let mut pulling = Box::pin(client.create_image(Some(options), None, credential));
        loop {
            match tokio::time::timeout(patience, pulling.next()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => {
                    return Err(self.failed(format!("pull the image {image}"), error));
                }
                Err(_) => {
                    return Err(RuntimeError::Refused {
                        what: format!("pull the image {image}"),
                        message: format!("nothing of it came for {} s", patience.as_secs()),
                    });
                }
            }
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<Vec<String>, RuntimeError> {
        self.create_with_bounded_log(spec).await
    }

    async fn start(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let id = self.id(module).await?;
        let started = self.client().await?.start_container(&id, None).await;
        started.map_err(|error| self.failed(format!("start {module}"), error))
    }

    async fn stop(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let id = self.id(module).await?;
        let patience = self.time_to_stop(&id).await?;
        let client = self.client().await?.with_timeout(patience);
        // Without a time in the request the engine takes that of the container.
        let stopped = client
            .stop_container(&id, None::<StopContainerOptions>)
            .await;
        stopped.map_err(|error| self.failed(format!("stop {module}"), error))
    }

    async fn remove(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        for id in self.ids(Some(module)).await? {
            let options = RemoveContainerOptions {
                v: false,
                force: true,
                link: false,
            };
            let removed = self
                .client()
                .await?
                .remove_container(&id, Some(options))
                .await;
            removed
                .map_err(|error| self.failed(format!("remove the container of {module}"), error))?;
        }
        Ok(())
    }

    async fn logs(&self, module: &ModuleId, query: &LogsQuery) -> Result<LogStream, RuntimeError> {
        let id = self.id(module).await?;
        let seconds =
            |moment: Option<i64>| moment.map_or(0, |s| i32::try_from(s.max(0)).unwrap_or(i32::MAX));
        let options = LogsOptions {
            follow: query.follow,
            stdout: true,
            stderr: true,
            since: seconds(query.since),
            until: seconds(query.until),
            timestamps: query.timestamps,
            tail: query
                .tail
                .map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
        };
        let what = format!("read the log of {module}");
        let stream = self.client().await?.logs(&id, Some(options));
        Ok(stream
            .map(move |piece| match piece {
                Ok(LogOutput::StdErr { message }) => Ok(frame(2, &message)),
                Ok(other) => Ok(frame(1, &other.into_bytes())),
                Err(error) => Err(RuntimeError::Refused {
                    what: what.clone(),
                    message: error.to_string(),
                }),
            })
            .boxed())
    }

    async fn ended_by(&self, found: &Observed) -> Result<EndedBy, RuntimeError> {
        let ContainerState::Exited { at, .. } = found.state else {
            return Ok(EndedBy::Unknown);
        };
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("container".to_owned(), vec![found.id.clone()]),
        ]);
        let begin = found.started.unwrap_or(at).unix_seconds();
        let options = EventsOptions {
            since: Some(begin.to_string()),
            // Beyond the end: the engine tells of a stop when it is over.
            until: Some(at.unix_seconds().saturating_add(2).to_string()),
            filters: Some(filters),
        };
        let client = self.client().await?;
        let events: Result<Vec<_>, _> = client.events(Some(options)).try_collect().await;
        let events =
            events.map_err(|error| self.failed("tell what happened to a container", error))?;
        let has = |wanted: fn(&EventMessage) -> bool| events.iter().any(wanted);
        Ok(if has(asks_for_an_end) {
            EndedBy::Request
        } else if has(|event| event.action.as_deref() == Some("die")) {
            EndedBy::Itself
        } else {
            EndedBy::Unknown
        })
    }

    async fn changed(&self) -> Change {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            (
                "event".to_owned(),
                ["die", "start", "destroy"].map(str::to_owned).to_vec(),
            ),
            ("label".to_owned(), self.labels()),
        ]);
        let options = EventsOptions {
            filters: Some(filters),
            ..Default::default()
        };
        if let Ok(client) = self.client().await {
            match Box::pin(client.events(Some(options))).next().await {
                Some(Ok(_)) => return Change::Container,
                Some(Err(Error::DockerResponseServerError { .. })) => {}
                Some(Err(_)) | None => {
                    self.line().take();
                    return Change::EngineLost;
                }
            }
        }
        // No engine, no events: the timer of the caller goes on asking.
        std::future::pending().await
    }
}

fn asks_for_an_end(event: &EventMessage) -> bool {
    match event.action.as_deref() {
        Some("stop") => true,
        Some("kill") => {
            let attributes = event.actor.as_ref().and_then(|a| a.attributes.as_ref());
            let signal = attributes.and_then(|attributes| attributes.get("signal"));
            signal.is_none_or(|signal| ENDING_SIGNALS.contains(&signal.as_str()))
        }
        _ => false,
    }
}

fn observed(found: ContainerInspectResponse) -> Option<Observed> {
    let labels = found
        .config
        .as_ref()
        .and_then(|config| config.labels.clone())
        .unwrap_or_default();
    let state = found.state?;
    // The engine writes the year 1 for "never".
    let moment = |text: Option<String>| {
        let moment = text.and_then(|text| Timestamp::parse(&text).ok());
        moment.filter(|moment| *moment > Timestamp::NEVER)
    };
    let finished = moment(state.finished_at);
    let what = match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING) => ContainerState::Running,
        Some(ContainerStateStatusEnum::EXITED) => ContainerState::Exited {
            code: state.exit_code.unwrap_or(-1),
            at: finished.unwrap_or(Timestamp::NEVER),
        },
        Some(ContainerStateStatusEnum::DEAD) => ContainerState::Dead,
        _ => ContainerState::Other,
    };
    Some(Observed {
        module: labels
            .get(MODULE_LABEL)
            .and_then(|name| ModuleId::parse(name).ok())?,
        id: found.id?,
        image: labels
            .get(IMAGE_LABEL)
            .cloned()
            .or_else(|| found.config.and_then(|config| config.image))
            .unwrap_or_default(),
        image_id: found.image,
        digest: labels.get(DIGEST_LABEL).cloned(),
        create_options: labels.get(CREATE_OPTIONS_LABEL).cloned(),
        state: what,
        started: moment(state.started_at),
    })
}
