use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    ImportImageOptions, ListContainersOptions, RemoveContainerOptions, StopContainerOptions,
};
use futures_util::TryStreamExt;

use crate::{Program, until};

/// The container engine that `cargo xtask test` started for the tests.
#[derive(Debug, Clone)]
pub struct Engine {
    socket: String,
    docker: Docker,
}

impl Engine {
    /// Connects to the engine that `MUSTER_TEST_ENGINE` names.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner hands its engine over in the environment"
    )]
    pub fn connect() -> Result<Self> {
        let socket = std::env::var("MUSTER_TEST_ENGINE").context(
            "MUSTER_TEST_ENGINE names no container engine; run the tests with `cargo xtask test`",
        )?;
        Self::at(socket.trim_start_matches("unix://"))
    }

    fn at(socket: &str) -> Result<Self> {
        let docker = Docker::connect_with_unix(socket, 60, bollard::API_DEFAULT_VERSION)?;
        Ok(Self {
            socket: socket.to_owned(),
            docker,
        })
    }

    /// `unix://` URI of its socket, as `config.toml` wants it.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("unix://{}", self.socket)
    }

    /// Id and name of every container whose label `key` has the value `value`, running ones only.
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

    /// What the engine says about one container.
    pub async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse> {
        Ok(self.docker.inspect_container(id, None).await?)
    }

    /// `docker stop`, with the container's own time.
    pub async fn stop_gently(&self, id: &str) -> Result<()> {
        let options = None::<StopContainerOptions>;
        Ok(self.docker.stop_container(id, options).await?)
    }

    /// Stops one container, as a power cut of the engine would leave it.
    pub async fn stop(&self, id: &str) -> Result<()> {
        let options = StopContainerOptions {
            t: Some(0),
            ..Default::default()
        };
        Ok(self.docker.stop_container(id, Some(options)).await?)
    }
}

/// An engine of one test's own, which it may stop and start: a `dockerd` with its
/// own data and socket.
#[derive(Debug)]
pub struct OwnEngine {
    engine: Engine,
    daemon: Option<Program>,
    /// Data and log; beside the programs, as the folder for temporary files may
    /// be unfit for layers.
    data: tempfile::TempDir,
    /// The socket, whose path has to be short.
    sockets: tempfile::TempDir,
    arguments: Vec<String>,
}

const ENGINE_STARTS_WITHIN: Duration = Duration::from_secs(60);

impl OwnEngine {
    /// Starts one with further `arguments`, and gives it `image` from the engine of all tests.
    pub async fn start(arguments: &[&str], image: &str) -> Result<Self> {
        let shared = Engine::connect()?;
        let here = std::env::current_exe().context("this program's path")?;
        let beside = here.parent().context("this program's folder")?;
        let data = tempfile::Builder::new()
            .prefix("engine-")
            .tempdir_in(beside)?;
        let sockets = tempfile::Builder::new()
            .prefix("engine-")
            .tempdir_in("/tmp")?;
        let mut arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        // What serves the engine of all tests serves here.
        if let Some(driver) = shared.docker.info().await?.driver {
            arguments.extend(["--storage-driver".to_owned(), driver]);
        }
        let (daemon, engine) = launch(sockets.path(), data.path(), &arguments).await?;
        let own = Self {
            engine,
            daemon: Some(daemon),
            data,
            sockets,
            arguments,
        };
        let saved: Vec<_> = shared.docker.export_image(image).try_collect().await?;
        let archive = bollard::body_full(saved.concat().into());
        let options = ImportImageOptions::default();
        let loading = own.engine.docker.import_image(options, archive, None);
        let _: Vec<_> = loading.try_collect().await.context("loading the image")?;
        Ok(own)
    }

    /// Starts the engine again on what it had.
    pub async fn begin(&mut self) -> Result<()> {
        let (sockets, data) = (self.sockets.path(), self.data.path());
        let (daemon, engine) = launch(sockets, data, &self.arguments).await?;
        self.daemon = Some(daemon);
        self.engine = engine;
        Ok(())
    }

    /// Ends the engine in good order: it stops its containers.
    pub fn end(&mut self) -> Result<()> {
        let mut daemon = self.daemon.take().context("the engine does not run")?;
        daemon.terminate().map(drop)
    }

    /// The engine, as long as it runs.
    #[must_use]
    pub fn api(&self) -> &Engine {
        &self.engine
    }
}

async fn launch(sockets: &Path, data: &Path, arguments: &[String]) -> Result<(Program, Engine)> {
    let socket = sockets.join("docker.sock").display().to_string();
    let mut command = Command::new("dockerd");
    command
        .arg("--host")
        .arg(format!("unix://{socket}"))
        .arg("--data-root")
        .arg(data.join("data"))
        .arg("--exec-root")
        .arg(sockets.join("exec"))
        .arg("--pidfile")
        .arg(sockets.join("docker.pid"))
        .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
        .args(arguments);
    let daemon = Program::start(command, &data.join("dockerd.log"))?;
    let answers = until("dockerd answers", ENGINE_STARTS_WITHIN, || async {
        let engine = Engine::at(&socket)?;
        engine.docker.version().await?;
        Ok(engine)
    });
    let engine = answers.await.with_context(|| daemon.log())?;
    Ok((daemon, engine))
}

impl Engine {
    /// Removes all containers and networks. Only for an engine of one's own.
    async fn clear(&self) -> Result<()> {
        let all = ListContainersOptions {
            all: true,
            ..Default::default()
        };
        for container in self.docker.list_containers(Some(all)).await? {
            let options = RemoveContainerOptions {
                force: true,
                v: true,
                link: false,
            };
            let id = container.id.unwrap_or_default();
            self.docker.remove_container(&id, Some(options)).await?;
        }
        self.docker.prune_networks(None).await?;
        Ok(())
    }
}

impl Drop for OwnEngine {
    /// Bridges of its networks, and the programs that it started, would outlive a killed one.
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            return;
        };
        let socket = self.engine.socket.clone();
        let clearing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(Engine::at(&socket)?.clear())
        });
        let _ = clearing.join();
        let _ = daemon.terminate();
    }
}
