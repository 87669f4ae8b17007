//! The management API: what the device's owner may do, and Muster's additions.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use ids::{ModuleId, Timestamp};
use tokio::sync::{Notify, RwLock, mpsc, oneshot};
use wire::edge_api::local::{
    DaemonStatus, LogLevel, LogsQuery, ModuleDetails, ModuleList, Provisioning, Reload, SystemInfo,
};

use crate::causes::chain_of;
use crate::command::Command;
use crate::files::paths::Paths;
use crate::local_api::http::{LocalRequest, Refusal, Reply};
use crate::runtime::{ContainerState, ModuleRuntime, RuntimeError};
use crate::state::Board;

/// How long an answer waits for the agent to look at what was done.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// Sets the level of the daemon's log, and says what is wrong with it otherwise.
pub type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What the owner asks of the daemon as a whole.
#[derive(Debug)]
pub enum DaemonRequest {
    /// Take up a newly applied configuration.
    Reload(oneshot::Sender<Result<Reload, String>>),
    /// Begin anew as a fresh process.
    Restart,
    /// End. Modules go on.
    Stop,
}

/// The running parts that the API reaches into; absent before a configuration is applied.
#[derive(Debug)]
pub struct Reach<R> {
    /// The modules.
    pub runtime: Arc<R>,
    /// The device's line to the cloud.
    pub cloud: mpsc::Sender<Command>,
    /// Begins a round of the agent.
    pub poke: Arc<Notify>,
}

impl<R> Clone for Reach<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            cloud: self.cloud.clone(),
            poke: self.poke.clone(),
        }
    }
}

/// What the management API answers from.
pub struct Management<R> {
    /// Latest values.
    pub board: Board,
    /// The running parts.
    pub reach: RwLock<Option<Reach<R>>>,
    /// To the daemon.
    pub daemon: mpsc::Sender<DaemonRequest>,
    /// Level of the log.
    pub set_log_level: SetLogLevel,
    /// For the hints that it gives.
    pub paths: Paths,
    /// When the daemon started.
    pub started: Timestamp,
}

type Answer = Result<Reply, Refusal>;

impl<R: ModuleRuntime> Management<R> {
    pub(crate) async fn answer(&self, request: LocalRequest) -> Answer {
        let path = request.path.segments();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["modules"]) => Ok(Reply::json(&ModuleList {
                modules: self.board.shown().modules,
            })),
            (&Method::GET, ["modules", name]) => self.one(name).map(|module| Reply::json(&module)),
            (&Method::GET, ["modules", name, "logs"]) => self.logs(name, &request.query).await,
            (&Method::POST, ["modules", name, verb @ ("start" | "stop" | "restart")]) => {
                self.switch(name, verb).await
            }
            (&Method::GET, ["systeminfo"]) => self.system_info().await,
            (&Method::POST, ["device", "reprovision"]) => self.reprovision().await,
            (&Method::GET, ["muster", "status"]) => Ok(Reply::json(&self.status())),
            (&Method::POST, ["muster", "reload"]) => self.reload().await,
            (&Method::POST, ["muster", "restart"]) => self.ask(DaemonRequest::Restart).await,
            (&Method::POST, ["muster", "stop"]) => self.ask(DaemonRequest::Stop).await,
            (&Method::PUT, ["muster", "log-level"]) => self.log_level(&request.json()?),
            (_, ["modules", ..] | ["systeminfo"] | ["device", "reprovision"] | ["muster", _]) => {
                Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "the method is not supported here",
                ))
            }
            _ => Err(Refusal::not_found()),
        }
    }

    fn status(&self) -> DaemonStatus {
        let shown = self.board.shown();
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            started: self.started,
            provisioning: shown.provisioning,
            connection: shown.connection,
            engine: shown.engine,
            deployment_version: shown.deployment_version,
            deployment_problems: shown.deployment_problems,
            deployment_warnings: shown.deployment_warnings,
        }
    }

    async fn reach(&self) -> Result<Reach<R>, Refusal> {
        let reach = self.reach.read().await.clone();
        let hint = match self.board.shown().provisioning {
            Provisioning::Unconfigured { hint } => hint,
            _ => "the runtime is starting".to_owned(),
        };
        reach.ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, hint))
    }

    fn one(&self, name: &str) -> Result<ModuleDetails, Refusal> {
        let modules = self.board.shown().modules;
        let found = modules
            .into_iter()
            .find(|module| module.name.as_str() == name);
        found.ok_or_else(|| {
            Refusal::new(
                StatusCode::NOT_FOUND,
                format!("there is no module {name} on this device"),
            )
        })
    }

    async fn logs(&self, name: &str, query: &str) -> Answer {
        let module = parse(name)?;
        let query = LogsQuery::parse(query).map_err(|parameter| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                format!("{parameter} cannot be read"),
            )
        })?;
        if is_named(&module, "edgeAgent") {
            let message = format!(
                "edgeAgent is part of aziot-edged; its log is that of the system: {}",
                self.paths.command("iotedge system logs"),
            );
            return Err(Refusal::new(StatusCode::NOT_FOUND, message));
        }
        let stream = self
            .reach()
            .await?
            .runtime
            .logs(&module, &query)
            .await
            .map_err(|error| self.refusal(error))?;
        Ok(Reply::Logs(stream))
    }

    async fn switch(&self, name: &str, verb: &str) -> Answer {
        let module = parse(name)?;
        if is_named(&module, "edgeAgent") {
            let message = format!(
                "edgeAgent is part of aziot-edged; restart it with: {}",
                self.paths.command("iotedge system restart"),
            );
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        let reach = self.reach().await?;
        let observed = reach.runtime.list().await;
        let observed = observed.map_err(|error| self.refusal(error))?;
        let found = observed.into_iter().find(|found| found.module == module);
        let found = found.ok_or_else(|| self.refusal(RuntimeError::NoContainer(module.clone())))?;
        let running = found.state == ContainerState::Running;
        let done = match verb {
            "start" if running => return Ok(Reply::Empty(StatusCode::NOT_MODIFIED)),
            "start" => reach.runtime.start(&module).await,
            "stop" if !running => return Ok(Reply::Empty(StatusCode::NOT_MODIFIED)),
            "stop" => reach.runtime.stop(&module).await,
            _ => reach.runtime.restart(&module).await,
        };
        self.look_again(&reach).await;
        tracing::info!(module.id = %module, verb, "the owner switched a module");
        done.map(|()| Reply::Empty(StatusCode::NO_CONTENT))
            .map_err(|error| self.refusal(error))
    }

    fn refusal(&self, error: RuntimeError) -> Refusal {
        let status = match error {
            RuntimeError::NoContainer(_) => StatusCode::NOT_FOUND,
            RuntimeError::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = match &error {
            RuntimeError::NoContainer(module) => self.why_no_container(module),
            other => chain_of(other),
        };
        Refusal::new(status, message)
    }

    /// Whoever asks for a container that is not there wants to know why it is not.
    fn why_no_container(&self, module: &ModuleId) -> String {
        if is_named(module, "edgeHub") {
            return format!(
                "this runtime has no {module} yet: modules speak to the hub themselves"
            );
        }
        let modules = self.board.shown().modules;
        match modules.iter().find(|shown| shown.name == *module) {
            Some(shown) => format!(
                "module {module} has no container: {}",
                shown.status.runtime_status.description
            ),
            None => format!("there is no module {module} on this device"),
        }
    }

    /// Has the agent look, so that a list asked for next shows what was done.
    async fn look_again(&self, reach: &Reach<R>) {
        let mut rounds = self.board.rounds.subscribe();
        reach.poke.notify_one();
        // A round that pulls an image takes long; the answer does not wait for it.
        if tokio::time::timeout(LOOK_WITHIN, rounds.changed())
            .await
            .is_err()
        {
            tracing::debug!("the agent is busy");
        }
    }

    async fn system_info(&self) -> Answer {
        let reach = self.reach.read().await.clone();
        let engine = match reach {
            Some(reach) => reach.runtime.engine().await.ok(),
            None => None,
        };
        let engine = engine.as_ref();
        Ok(Reply::json(&SystemInfo {
            os_type: "linux".to_owned(),
            architecture: engine.map_or_else(
                || std::env::consts::ARCH.to_owned(),
                |e| e.architecture.clone(),
            ),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            server_version: engine.map(|e| e.version.clone()),
            kernel_version: engine.and_then(|e| e.kernel_version.clone()),
            operating_system: engine.and_then(|e| e.operating_system.clone()),
            cpus: engine.and_then(|e| e.cpus),
            total_memory: engine.and_then(|e| e.total_memory),
        }))
    }

    async fn reprovision(&self) -> Answer {
        let (waiting, answer) = oneshot::channel();
        let gone = || {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the runtime is restarting; try again",
            )
        };
        self.reach()
            .await?
            .cloud
            .send(Command::Reprovision(waiting))
            .await
            .map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())? {
            Ok(()) => Ok(Reply::Empty(StatusCode::NO_CONTENT)),
            Err(problem) => Err(Refusal::new(StatusCode::BAD_GATEWAY, problem)),
        }
    }

    async fn reload(&self) -> Answer {
        let (waiting, answer) = oneshot::channel();
        self.ask(DaemonRequest::Reload(waiting)).await?;
        match answer.await {
            Ok(Ok(reload)) => Ok(Reply::json(&reload)),
            Ok(Err(problem)) => Err(Refusal::new(StatusCode::CONFLICT, problem)),
            Err(_) => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the runtime is ending",
            )),
        }
    }

    async fn ask(&self, request: DaemonRequest) -> Answer {
        let sent = self.daemon.send(request).await;
        sent.map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the runtime is ending"))?;
        Ok(Reply::Empty(StatusCode::NO_CONTENT))
    }

    fn log_level(&self, asked: &LogLevel) -> Answer {
        (self.set_log_level)(&asked.level)
            .map_err(|problem| Refusal::new(StatusCode::BAD_REQUEST, problem))?;
        Ok(Reply::Empty(StatusCode::NO_CONTENT))
    }
}

/// System modules are called with and without the sign of their identities.
fn is_named(module: &ModuleId, name: &str) -> bool {
    let plain = module.as_str();
    let plain = plain.strip_prefix('$').unwrap_or(plain);
    plain.eq_ignore_ascii_case(name)
}

fn parse(name: &str) -> Result<ModuleId, Refusal> {
    ModuleId::parse(name).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}
