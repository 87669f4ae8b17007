use anyhow::{Context, Result};
use bollard::Docker;
use bollard::query_parameters::{ListContainersOptions, StopContainerOptions};

/// The container engine that `cargo xtask test` started for the tests.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: String,
    docker: Docker,
}

impl Engine {
    /// Connects to the engine that `MUSTER_TEST_ENGINE` names.
    ///
    /// # Errors
    /// When the variable is not set, or nobody answers.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner hands its engine over in the environment"
    )]
    pub fn connect() -> Result<Self> {
        let socket = std::env::var("MUSTER_TEST_ENGINE").context(
            "MUSTER_TEST_ENGINE names no container engine; run the tests with `cargo xtask test`",
        )?;
        let socket = socket.trim_start_matches("unix://").to_owned();
        let docker = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION)?;
        Ok(Self { socket, docker })
    }

    /// `unix://` URI of its socket, as `config.toml` wants it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("unix://{}", self.socket)
    }

    /// Id and name of every container whose label `key` has the value `value`, running ones only.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn running_with_label(
        &self,
        key: &str,
        value: &str,
    ) -> Result<Vec<(String, String)>> {
        let options = ListContainersOptions {
            filters: Some([("label".to_owned(), vec![format!("{key}={value}")])].into()),
            ..Default::default()
        };
        let containers = self.docker.list_containers(Some(options)).await?;
        let mut found: Vec<(String, String)> = containers
            .into_iter()
            .filter_map(|c| Some((c.id?, c.names?.first()?.trim_start_matches('/').to_owned())))
            .collect();
        found.sort();
        Ok(found)
    }

    /// Stops one container, as a power cut of the engine would leave it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn stop(&self, id: &str) -> Result<()> {
        let options = StopContainerOptions {
            t: Some(0),
            ..Default::default()
        };
        Ok(self.docker.stop_container(id, Some(options)).await?)
    }
}
