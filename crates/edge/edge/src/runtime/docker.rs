//! Modules as containers of a real engine, through its API.

mod connection;
mod create;
mod describe;
mod ended;
mod figures;
mod network;
mod observed;

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateImageOptions, EventsOptions, LogsOptions, RemoveContainerOptions, RemoveImageOptions,
    StatsOptions, StopContainerOptions,
};
use futures_util::StreamExt;
use ids::ModuleId;
use wire::edge_api::local::LogsQuery;
use wire::edge_api::manifest::RegistryCredential;

use self::figures::figures;
use self::observed::note_progress;
use super::{
    Change, ContainerSpec, ContainerState, EndedBy, EngineInfo, LogStream, ModuleFigures,
    ModuleRuntime, Observed, PullProgress, RuntimeError, frame,
};
pub use connection::{Docker, DockerOptions};

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
        self.prepare_network().await
    }

    async fn list(&self) -> Result<Vec<Observed>, RuntimeError> {
        let mut found = Vec::new();
        for listed in self.summaries(None).await? {
            found.extend(self.observe(listed).await?);
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
        progress: &PullProgress,
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
                Ok(Some(Ok(step))) => note_progress(progress, &step),
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
        // Without a time in the request, the engine uses that of the container.
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

    async fn figures(&self, module: &ModuleId) -> Result<ModuleFigures, RuntimeError> {
        let id = self.id(module).await?;
        let options = StatsOptions {
            stream: false,
            one_shot: false,
        };
        let client = self.client().await?;
        match Box::pin(client.stats(&id, Some(options))).next().await {
            Some(Ok(stats)) => Ok(figures(&stats)),
            Some(Err(error)) => Err(self.failed(format!("measure {module}"), error)),
            None => Err(RuntimeError::NoContainer(module.clone())),
        }
    }

    async fn remove_image(&self, name: &str, id: &str) -> Result<bool, RuntimeError> {
        let client = self.client().await?;
        let named = client
            .inspect_image(name)
            .await
            .ok()
            .and_then(|found| found.id);
        let which = if named.as_deref() == Some(id) {
            name
        } else {
            id
        };
        match client
            .remove_image(which, None::<RemoveImageOptions>, None)
            .await
        {
            Ok(_)
            | Err(Error::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(true),
            // A container of somebody else, or another name, needs it.
            Err(Error::DockerResponseServerError {
                status_code: 409, ..
            }) => Ok(false),
            Err(error) => Err(self.failed(format!("remove the image {name}"), error)),
        }
    }

    async fn ended_by(&self, found: &Observed) -> Result<EndedBy, RuntimeError> {
        let ContainerState::Exited { at, .. } = found.state else {
            return Ok(EndedBy::Unknown);
        };
        self.ended_by_events(found, at).await
    }

    async fn changed(&self) -> Change {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            (
                "event".to_owned(),
                ["die", "start", "destroy", "health_status"]
                    .map(str::to_owned)
                    .to_vec(),
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
                    self.connection().take();
                    return Change::EngineLost;
                }
            }
        }
        // Without an engine there are no events. The timer of the caller starts the next round.
        std::future::pending().await
    }
}
