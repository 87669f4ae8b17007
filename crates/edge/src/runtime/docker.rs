//! Modules as containers of a real engine, through its API.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, NetworkCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, EventsOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, StopContainerOptions,
};
use futures_util::{StreamExt, TryStreamExt};
use ids::{ModuleId, Timestamp};
use tokio::sync::OnceCell;
use wire::local_api::LogsQuery;
use wire::manifest::RegistryCredential;

use super::{
    ContainerSpec, ContainerState, EngineInfo, LogStream, ModuleRuntime, Observed, RuntimeError,
    frame,
};
use crate::spec::{DIGEST_LABEL, IMAGE_LABEL, MODULE_LABEL, OWNER, OWNER_LABEL, ROOT_LABEL};

/// Longest wait for one answer of the engine, seconds.
const ANSWER_WITHIN: u64 = 120;
/// Longest time that one image may take to come.
const PULL_WITHIN: Duration = Duration::from_secs(600);
/// How long a module may take to end by itself, seconds.
const STOP_WITHIN: i32 = 10;

/// Which engine, and which of its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// The engine's socket.
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
    client: OnceCell<bollard::Docker>,
}

impl Docker {
    /// The engine that `options` name; nothing is asked of it yet.
    #[must_use]
    pub fn new(options: DockerOptions) -> Self {
        Self {
            options,
            client: OnceCell::new(),
        }
    }

    async fn client(&self) -> Result<&bollard::Docker, RuntimeError> {
        let connect = || async {
            let socket = self.options.socket.to_string_lossy();
            let client = bollard::Docker::connect_with_unix(
                &socket,
                ANSWER_WITHIN,
                bollard::API_DEFAULT_VERSION,
            )?;
            client.negotiate_version().await
        };
        self.client
            .get_or_try_init(connect)
            .await
            .map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: Error) -> RuntimeError {
        RuntimeError::Unreachable {
            uri: format!("unix://{}", self.options.socket.display()),
            source: Box::new(error),
        }
    }

    fn failed(&self, what: impl Into<String>, error: Error) -> RuntimeError {
        match error {
            Error::DockerResponseServerError { message, .. }
            | Error::DockerStreamError { error: message } => RuntimeError::Refused {
                what: what.into(),
                message,
            },
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

    async fn inspect(&self, id: &str) -> Result<Option<Observed>, RuntimeError> {
        match self.client().await?.inspect_container(id, None).await {
            Ok(found) => Ok(observed(found)),
            // It went away since it was listed.
            Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(None),
            Err(error) => Err(self.failed("describe a container", error)),
        }
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
            found.extend(self.inspect(&id).await?);
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
        let pulling = self
            .client()
            .await?
            .create_image(Some(options), None, credential);
        let all = pulling.try_for_each(|_| async { Ok(()) });
        match tokio::time::timeout(PULL_WITHIN, all).await {
            Ok(pulled) => {
                pulled.map_err(|error| self.failed(format!("pull the image {image}"), error))
            }
            Err(_) => Err(RuntimeError::NoImage {
                image: image.to_owned(),
                reason: format!(" and did not come within {} s", PULL_WITHIN.as_secs()),
            }),
        }
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(), RuntimeError> {
        let body: ContainerCreateBody = serde_json::from_value(spec.body.clone())
            .map_err(|error| RuntimeError::CreateOptions(error.to_string()))?;
        let options = CreateContainerOptions {
            name: Some(spec.name.clone()),
            ..Default::default()
        };
        match self
            .client()
            .await?
            .create_container(Some(options), body)
            .await
        {
            Ok(_) => Ok(()),
            Err(Error::DockerResponseServerError {
                status_code: 404,
                message,
            }) if message.contains("No such image") => Err(RuntimeError::NoImage {
                image: spec.image.clone(),
                reason: " and its pull policy is never".into(),
            }),
            Err(error) => {
                Err(self.failed(format!("create the container of {}", spec.module), error))
            }
        }
    }

    async fn start(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let id = self.id(module).await?;
        let started = self.client().await?.start_container(&id, None).await;
        started.map_err(|error| self.failed(format!("start {module}"), error))
    }

    async fn stop(&self, module: &ModuleId) -> Result<(), RuntimeError> {
        let id = self.id(module).await?;
        let options = StopContainerOptions {
            t: Some(STOP_WITHIN),
            ..Default::default()
        };
        let stopped = self
            .client()
            .await?
            .stop_container(&id, Some(options))
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

    async fn changed(&self) {
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
        if let Ok(client) = self.client().await
            && let Some(Ok(_)) = Box::pin(client.events(Some(options))).next().await
        {
            return;
        }
        // No engine, no events: the timer of the caller goes on asking.
        std::future::pending().await
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
        state: what,
        started: moment(state.started_at),
    })
}
