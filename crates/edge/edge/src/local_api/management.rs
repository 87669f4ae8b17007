//! The management API: Azure's requests for the owner of the device, and Muster's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use ids::{ModuleId, Timestamp, error_chain};
use tokio::sync::{Notify, RwLock, mpsc, oneshot};
use wire::edge_api::local::{
    DaemonStatus, LogLevel, LogsQuery, ModuleDetails, ModuleList, Provisioning, Reload, SystemInfo,
};

use crate::command::Command;
use crate::files::paths::Paths;
use crate::local_api::http::{LocalRequest, Refusal, Reply};
use crate::runtime::{ContainerState, ModuleRuntime, RuntimeError};
use crate::state::SharedState;

/// How long an answer waits for the next round of the agent.
const ROUND_WITHIN: Duration = Duration::from_secs(2);

/// Sets the level of the daemon's log. The error is for the client.
pub type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// A request that concerns the daemon as a whole.
#[derive(Debug)]
pub enum DaemonRequest {
    /// Read the applied configuration again.
    Reload(oneshot::Sender<Result<Reload, String>>),
    /// Start again as a new process.
    Restart,
    Stop,
}

/// The running parts of the agent. There are none before a configuration is applied.
#[derive(Debug)]
pub struct AgentHandle<R> {
    pub runtime: Arc<R>,
    /// To the task that keeps the connection.
    pub cloud: mpsc::Sender<Command>,
    pub wake: Arc<Notify>,
    /// What `additional_info` adds to `/systeminfo`.
    pub additional_info: Arc<BTreeMap<String, String>>,
}

impl<R> Clone for AgentHandle<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            cloud: self.cloud.clone(),
            wake: self.wake.clone(),
            additional_info: self.additional_info.clone(),
        }
    }
}

/// The handler of the management API.
pub struct Management<R> {
    pub shared: SharedState,
    pub agent: RwLock<Option<AgentHandle<R>>>,
    pub daemon: mpsc::Sender<DaemonRequest>,
    pub set_log_level: SetLogLevel,
    /// For hints in answers.
    pub paths: Paths,
    pub started: Timestamp,
}

type Answer = Result<Reply, Refusal>;

impl<R: ModuleRuntime> Management<R> {
    pub(crate) async fn answer(&self, request: LocalRequest) -> Answer {
        let path = request.path.segments();
        match (&request.method, path.as_slice()) {
            (&Method::GET, ["modules"]) => Ok(Reply::json(&ModuleList {
                modules: self.shared.status().modules,
            })),
            (&Method::GET, ["modules", name]) => {
                self.module(name).map(|module| Reply::json(&module))
            }
            (&Method::GET, ["modules", name, "logs"]) => self.logs(name, &request.query).await,
            (&Method::POST, ["modules", name, verb @ ("start" | "stop" | "restart")]) => {
                self.start_or_stop(name, verb).await
            }
            (&Method::GET, ["systeminfo"]) => self.system_info().await,
            (&Method::POST, ["device", "reprovision"]) => self.reprovision().await,
            (&Method::GET, ["muster", "status"]) => Ok(Reply::json(&self.status())),
            (&Method::POST, ["muster", "reload"]) => self.reload().await,
            (&Method::POST, ["muster", "restart"]) => self.send(DaemonRequest::Restart).await,
            (&Method::POST, ["muster", "stop"]) => self.send(DaemonRequest::Stop).await,
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
        let status = self.shared.status();
        DaemonStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            started: self.started,
            provisioning: status.provisioning,
            connection: status.connection,
            clock_problem: status.clock_problem,
            engine: status.engine,
            deployment_version: status.deployment_version,
            deployment_problems: status.deployment_problems,
            deployment_warnings: status.deployment_warnings,
            certificates: status.certificates,
        }
    }

    async fn agent(&self) -> Result<AgentHandle<R>, Refusal> {
        let agent = self.agent.read().await.clone();
        let hint = match self.shared.status().provisioning {
            Provisioning::Unconfigured { hint } => hint,
            _ => "the runtime is starting".to_owned(),
        };
        agent.ok_or_else(|| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, hint))
    }

    fn module(&self, name: &str) -> Result<ModuleDetails, Refusal> {
        let modules = self.shared.status().modules;
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
            .agent()
            .await?
            .runtime
            .logs(&module, &query)
            .await
            .map_err(|error| self.refusal(error))?;
        Ok(Reply::Logs(stream))
    }

    async fn start_or_stop(&self, name: &str, verb: &str) -> Answer {
        let module = parse(name)?;
        if is_named(&module, "edgeAgent") {
            let message = format!(
                "edgeAgent is part of aziot-edged; restart it with: {}",
                self.paths.command("iotedge system restart"),
            );
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        let agent = self.agent().await?;
        let observed = agent.runtime.list().await;
        let observed = observed.map_err(|error| self.refusal(error))?;
        let found = observed.into_iter().find(|found| found.module == module);
        let found = found.ok_or_else(|| self.refusal(RuntimeError::NoContainer(module.clone())))?;
        let running = found.state == ContainerState::Running;
        let done = match verb {
            "start" if running => return Ok(Reply::Empty(StatusCode::NOT_MODIFIED)),
            "start" => agent.runtime.start(&module).await,
            "stop" if !running => return Ok(Reply::Empty(StatusCode::NOT_MODIFIED)),
            "stop" => agent.runtime.stop(&module).await,
            _ => agent.runtime.restart(&module).await,
        };
        self.wait_for_round(&agent).await;
        tracing::info!(module.id = %module, verb, "the owner started or stopped a module");
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
            other => error_chain(other),
        };
        Refusal::new(status, message)
    }

    /// The reason why a module has no container.
    fn why_no_container(&self, module: &ModuleId) -> String {
        if is_named(module, "edgeHub") {
            return format!(
                "this runtime has no {module} yet: modules speak to the hub themselves"
            );
        }
        let modules = self.shared.status().modules;
        match modules.iter().find(|found| found.name == *module) {
            Some(found) => format!(
                "module {module} has no container: {}",
                found.status.runtime_status.description
            ),
            None => format!("there is no module {module} on this device"),
        }
    }

    /// Starts a round of the agent and waits for it, so that the next list shows the change.
    async fn wait_for_round(&self, agent: &AgentHandle<R>) {
        let mut rounds = self.shared.rounds.subscribe();
        agent.wake.notify_one();
        // A round that pulls an image takes long, and the answer does not wait for it.
        if tokio::time::timeout(ROUND_WITHIN, rounds.changed())
            .await
            .is_err()
        {
            tracing::debug!("the agent is busy");
        }
    }

    async fn system_info(&self) -> Answer {
        let agent = self.agent.read().await.clone();
        let engine = match &agent {
            Some(agent) => agent.runtime.engine().await.ok(),
            None => None,
        };
        let additional = agent.map(|agent| (*agent.additional_info).clone());
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
            additional: additional.unwrap_or_default(),
        }))
    }

    async fn reprovision(&self) -> Answer {
        let (reply, answer) = oneshot::channel();
        let gone = || {
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the runtime is restarting; try again",
            )
        };
        self.agent()
            .await?
            .cloud
            .send(Command::Reprovision(reply))
            .await
            .map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())? {
            Ok(()) => Ok(Reply::Empty(StatusCode::NO_CONTENT)),
            Err(problem) => Err(Refusal::new(StatusCode::BAD_GATEWAY, problem)),
        }
    }

    async fn reload(&self) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.send(DaemonRequest::Reload(reply)).await?;
        match answer.await {
            Ok(Ok(reload)) => Ok(Reply::json(&reload)),
            Ok(Err(problem)) => Err(Refusal::new(StatusCode::CONFLICT, problem)),
            Err(_) => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the runtime is ending",
            )),
        }
    }

    async fn send(&self, request: DaemonRequest) -> Answer {
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

/// Clients write system modules with and without the `$` of their identities.
fn is_named(module: &ModuleId, name: &str) -> bool {
    let plain = module.as_str();
    let plain = plain.strip_prefix('$').unwrap_or(plain);
    plain.eq_ignore_ascii_case(name)
}

fn parse(name: &str) -> Result<ModuleId, Refusal> {
    ModuleId::parse(name).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))
}
