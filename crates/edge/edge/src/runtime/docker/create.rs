//! Creates a container with the JSON of the deployment, and with a log that does not fill the disk.

use bollard::body_full;
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use serde_json::{Value, json};

use super::{ContainerSpec, Docker, RuntimeError};

/// The log driver whose files grow without a limit if its options set none.
const UNLIMITED: &str = "json-file";

impl Docker {
    /// A container without a LogConfig gets the engine's own log driver and options. If these set
    /// no limit, the container is created again with a limit. There is no other way to find out:
    /// the engine gives its defaults only with a new container.
    pub(super) async fn create_with_bounded_log(
        &self,
        spec: &ContainerSpec,
    ) -> Result<Vec<String>, RuntimeError> {
        let chosen = spec.body["HostConfig"].get("LogConfig").is_some();
        let known = self.connection().as_ref().and_then(|c| c.unlimited_logs);
        if !chosen && known == Some(true) {
            return self.create_as(spec, &bounded(spec)).await.map(|(_, w)| w);
        }
        let (id, warnings) = self.create_as(spec, &spec.body).await?;
        if chosen || known == Some(false) {
            return Ok(warnings);
        }
        let unlimited = self.has_unlimited_log(&id).await?;
        if let Some(connection) = self.connection().as_mut() {
            connection.unlimited_logs = Some(unlimited);
        }
        if !unlimited {
            return Ok(warnings);
        }
        let options = RemoveContainerOptions {
            v: true,
            force: true,
            link: false,
        };
        let removed = self
            .client()
            .await?
            .remove_container(&id, Some(options))
            .await;
        removed.map_err(|error| {
            self.failed(format!("remove the container of {}", spec.module), error)
        })?;
        self.create_as(spec, &bounded(spec)).await.map(|(_, w)| w)
    }

    async fn has_unlimited_log(&self, id: &str) -> Result<bool, RuntimeError> {
        let found = self.inspect(id).await?;
        let log = found
            .and_then(|found| found.host_config)
            .and_then(|host| host.log_config);
        Ok(log.is_some_and(|log| {
            let limited = log.config.is_some_and(|c| c.contains_key("max-size"));
            log.typ.as_deref() == Some(UNLIMITED) && !limited
        }))
    }

    async fn create_as(
        &self,
        spec: &ContainerSpec,
        body: &Value,
    ) -> Result<(String, Vec<String>), RuntimeError> {
        let json = bytes::Bytes::from(body.to_string());
        // The client's own type would lose members that it does not know.
        let client = self
            .client()
            .await?
            .with_request_modifier(move |request| request.map(|_| body_full(json.clone())));
        let options = CreateContainerOptions {
            name: Some(spec.name.clone()),
            ..Default::default()
        };
        let created = client
            .create_container(Some(options), ContainerCreateBody::default())
            .await;
        match created {
            Ok(created) => Ok((created.id, created.warnings)),
            Err(Error::DockerResponseServerError {
                status_code: 404,
                message,
            }) if message.contains("No such image") => Err(RuntimeError::not_here(&spec.image)),
            Err(error) => {
                Err(self.failed(format!("create the container of {}", spec.module), error))
            }
        }
    }
}

fn bounded(spec: &ContainerSpec) -> Value {
    let mut body = spec.body.clone();
    body["HostConfig"]["LogConfig"] =
        json!({"Type": UNLIMITED, "Config": {"max-size": "10m", "max-file": "3"}});
    body
}
