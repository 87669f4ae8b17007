//! The daemon: one process that is the whole device.
//!
//! It serves the management API from its start, and starts, replaces and ends the parts that
//! an applied configuration needs.

mod difference;
mod key_settings;
mod own_settings;
mod roles;
mod start;
mod tpm_service;

use std::sync::Arc;
use std::time::Duration;

use ids::error_chain;
use keys::KeyError;
use tokio::sync::{Notify, RwLock, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use wire::edge_api::local::{API_VERSIONS, Connection, Provisioning, Reload};

use self::difference::Difference;
pub use self::key_settings::key_settings;
use self::roles::KeysRole;
pub(crate) use self::roles::OrderLine;
pub use self::roles::own_user;
pub use self::start::DaemonError;
use self::tpm_service::TpmService;
use crate::certificates::{CertificateParts, Certificates, EdgeCa, RoleKeys, read_certificates};
use crate::clock;
use crate::command::Command;
use crate::config::Config;
use crate::connect::{CloudParts, CloudTask, StateFiles};
use crate::files::paths::Paths;
use crate::identities::master_key::MasterKey;
use crate::local_api::http::serve;
use crate::local_api::management::{AgentHandle, DaemonRequest, Management, SetLogLevel};
use crate::local_api::unix_socket::listen;
use crate::local_api::workload::{ModuleSockets, Workload};
use crate::provision::guarded_clock::GuardedClock;
use crate::reconcile::{Agent, AgentParts, agent_options};
use crate::runtime::ModuleRuntime;
use crate::session::methods::{MethodParts, Tasks};
use crate::state::SharedState;

/// The mode of the management socket: only the owner and the owner's group manage the device.
const MANAGEMENT_MODE: u32 = 0o660;
/// How long the connection may take to report its end to the hub.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// The process is to start again.
    Restart,
}

/// Makes the runtime that a configuration asks for.
pub type MakeRuntime<R> = fn(&Config, &Paths) -> R;

/// Runs the device until `stop` resolves, or the owner stops or restarts it. Modules go
/// on in any case.
///
/// # Errors
/// When another daemon runs on the same root, the applied configuration is not valid, or
/// files cannot be written.
pub async fn run<R: ModuleRuntime>(
    paths: Paths,
    make_runtime: MakeRuntime<R>,
    set_log_level: SetLogLevel,
    stop: impl Future<Output = ()>,
) -> Result<Ended, DaemonError> {
    start::narrow_permissions(&paths)?;
    let _lock = start::lock(&paths)?;
    let clock = Arc::new(GuardedClock::start(&paths.state().join("clock.json")));
    let applied = start::load(&paths)?;
    let keys = KeysRole::start(&paths)?;
    let settings = applied.as_ref().map(key_settings);
    if let Err(error) = keys.configure(settings.unwrap_or_default()).await {
        tracing::error!("{error}");
    }
    let client = keys.client();
    let master = spawn_blocking(move || MasterKey::open(&*client)).await;
    let master = master.map_err(|error| KeyError::NoRole(error.to_string()))??;
    let (daemon, requests) = mpsc::channel(8);
    let management = Arc::new(Management {
        shared: SharedState::by_clock(clock.clone()),
        agent: RwLock::new(None),
        daemon,
        set_log_level,
        paths: paths.clone(),
        started: clock::now(),
    });
    let listener = listen(&paths.management_socket(), MANAGEMENT_MODE)?;
    let answering = management.clone();
    let socket = tokio::spawn(serve(listener, &API_VERSIONS, move |request| {
        let management = answering.clone();
        async move { management.answer(request).await }
    }));
    let mut device = Device {
        paths,
        make_runtime,
        master: Arc::new(master),
        keys,
        clock,
        management,
        edge_ca: Arc::default(),
        tasks: Arc::default(),
        running: None,
        tpm_service: TpmService::default(),
    };
    match applied {
        Some(config) => device.start(config).await,
        None => device.wait_for_configuration(),
    }
    let ended = device.serve(requests, stop).await;
    device.end().await;
    device.tpm_service.stop();
    device.keys.stop().await;
    socket.abort();
    tracing::info!(?ended, "ended; modules go on");
    Ok(ended)
}

struct Device<R> {
    paths: Paths,
    make_runtime: MakeRuntime<R>,
    master: Arc<MasterKey>,
    clock: Arc<GuardedClock>,
    keys: KeysRole,
    management: Arc<Management<R>>,
    edge_ca: Arc<EdgeCa>,
    /// Tasks of direct methods.
    tasks: Arc<Tasks>,
    running: Option<Running<R>>,
    tpm_service: TpmService,
}

/// The tasks that run for one configuration.
struct Running<R> {
    config: Config,
    /// A digest of the files that the configuration names.
    files: Vec<u8>,
    handle: AgentHandle<R>,
    cloud: JoinHandle<()>,
    agent: JoinHandle<()>,
    certificates: Certificates,
    /// The management socket of `[listen]`, if it is not the usual one.
    other_socket: Option<JoinHandle<()>>,
}

impl<R: ModuleRuntime> Device<R> {
    fn wait_for_configuration(&self) {
        let hint = format!(
            "no configuration is applied; write {} (iotedge config template shows how) and run: {}",
            self.paths.config().display(),
            self.paths.command("iotedge config apply"),
        );
        tracing::warn!("{hint}");
        self.management.shared.update_status(|status| {
            status.provisioning = Provisioning::Unconfigured { hint };
            status.connection = Connection::Idle;
        });
    }

    async fn serve(
        &mut self,
        mut requests: mpsc::Receiver<DaemonRequest>,
        stop: impl Future<Output = ()>,
    ) -> Ended {
        let mut stop = std::pin::pin!(stop);
        loop {
            // Cancel-safe: a pinned future that is polled again, and a channel.
            let request = tokio::select! {
                () = &mut stop => return Ended::Stopped,
                request = requests.recv() => request,
            };
            match request {
                None | Some(DaemonRequest::Stop) => return Ended::Stopped,
                Some(DaemonRequest::Restart) => return Ended::Restart,
                Some(DaemonRequest::Reload(reply)) => {
                    let reloaded = self.reload().await;
                    // The client may have gone.
                    let _ = reply.send(reloaded);
                }
            }
        }
    }

    async fn start(&mut self, config: Config) {
        self.tpm_service.follow(&config, &self.paths);
        let runtime = Arc::new((self.make_runtime)(&config, &self.paths));
        let (cloud, commands) = mpsc::channel(8);
        let handle = AgentHandle {
            runtime,
            cloud,
            wake: Arc::new(Notify::new()),
            additional_info: own_settings::additional_info(&config),
        };
        let certificates = self.start_certificates(&config);
        let cloud = self.spawn_cloud(&config, &handle, &certificates, commands);
        let agent = self.spawn_agent(&config, &handle);
        self.management.agent.write().await.replace(handle.clone());
        self.running = Some(Running {
            other_socket: own_settings::other_management_socket(&config, &self.management),
            files: difference::digest_of_files(&config),
            config,
            handle,
            cloud,
            agent,
            certificates,
        });
    }

    /// Opens the device's certificates and begins to renew them. Without them the device works as
    /// far as it can.
    fn start_certificates(&self, config: &Config) -> Certificates {
        let roots = config.trust_bundle.as_ref().map(read_certificates);
        let roots = roots.transpose().unwrap_or_else(|error| {
            tracing::warn!(error = %error_chain(&error), "trust_bundle_cert is not trusted");
            None
        });
        let folder = self.paths.certificates();
        let keys = Arc::new(RoleKeys::new(self.keys.client(), config));
        let parts = CertificateParts {
            keys: keys.clone(),
            configured_keys: keys,
            folder,
            shared: self.management.shared.clone(),
            clock: self.clock.clone(),
            roots: roots.unwrap_or_default(),
            proxies: agent_options(config, None).proxies,
        };
        let started = Certificates::start(config, &parts, &self.edge_ca);
        started.unwrap_or_else(|error| {
            let problem = error_chain(&error);
            tracing::error!(error = %problem, "the certificates of the device cannot be opened");
            Certificates::default()
        })
    }

    fn spawn_cloud(
        &self,
        config: &Config,
        handle: &AgentHandle<R>,
        certificates: &Certificates,
        commands: mpsc::Receiver<Command>,
    ) -> JoinHandle<()> {
        let parts = CloudParts {
            config: config.clone(),
            files: StateFiles::in_folder(&self.paths.state()),
            master: self.master.clone(),
            keys: self.keys.client(),
            shared: self.management.shared.clone(),
            runtime: handle.runtime.clone(),
            methods: MethodParts {
                metrics: self.management.shared.metrics.clone(),
                log: self.paths.log(),
                tasks: self.tasks.clone(),
                daemon: self.management.daemon.clone(),
                make_bundle: None,
            },
            clock: self.clock.clone(),
            identity: certificates.identity(),
        };
        if let Some(identity) = &parts.identity {
            tokio::spawn(wake_on_change(identity.changes(), handle.cloud.clone()));
        }
        tokio::spawn(CloudTask::new(parts, commands).run())
    }

    fn spawn_agent(&self, config: &Config, handle: &AgentHandle<R>) -> JoinHandle<()> {
        let shared = self.management.shared.clone();
        let trust_bundle = config.trust_bundle.as_ref().map(|file| file.path.clone());
        let workload = Workload {
            shared: shared.clone(),
            master: self.master.clone(),
            trust_bundle,
            edge_ca: self.edge_ca.clone(),
        };
        let agent = Agent::new(AgentParts {
            runtime: handle.runtime.clone(),
            shared,
            paths: self.paths.clone(),
            config: config.clone(),
            sockets: ModuleSockets::new(workload, self.paths.clone())
                .also_at(config.sockets.workload.clone()),
            wake: handle.wake.clone(),
        });
        tokio::spawn(agent.run())
    }

    /// Reads the applied configuration, and restarts only the tasks that its changes concern.
    async fn reload(&mut self) -> Result<Reload, String> {
        let config = start::load(&self.paths).map_err(|error| error_chain(&error))?;
        let config = config.ok_or("no configuration is applied")?;
        let obeyed = self.keys.configure(key_settings(&config)).await;
        obeyed.map_err(|error| error_chain(&error))?;
        let difference = match &self.running {
            None => Difference::Agent,
            Some(running) => difference::between(&running.config, &running.files, &config),
        };
        let restarted: &[&str] = match difference {
            Difference::Agent => {
                self.end().await;
                self.start(config).await;
                &["the edge agent", "provisioning and hub connection"]
            }
            Difference::Cloud => {
                self.restart_cloud(config).await;
                &["provisioning and hub connection"]
            }
            Difference::None => &[],
        };
        let restarted = restarted.iter().map(|part| (*part).to_owned()).collect();
        tracing::info!(?restarted, "the applied configuration is in effect");
        Ok(Reload { restarted })
    }

    async fn restart_cloud(&mut self, config: Config) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        stop_cloud(&running).await;
        self.tpm_service.follow(&config, &self.paths);
        let (cloud, commands) = mpsc::channel(8);
        running.handle.cloud = cloud;
        // Two renewals of one certificate would write the same file.
        running.certificates = Certificates::default();
        running.certificates = self.start_certificates(&config);
        running.cloud = self.spawn_cloud(&config, &running.handle, &running.certificates, commands);
        running.files = difference::digest_of_files(&config);
        running.config = config;
        let handle = running.handle.clone();
        self.management.agent.write().await.replace(handle);
        self.running = Some(running);
    }

    async fn end(&mut self) {
        self.management.agent.write().await.take();
        if let Some(running) = self.running.take() {
            stop_cloud(&running).await;
            running.agent.abort();
            if let Some(socket) = &running.other_socket {
                socket.abort();
            }
            // The sockets of the modules are closed when the task is gone.
            let _ = running.agent.await;
        }
    }
}

/// Tells the connection that the device's certificate has changed.
async fn wake_on_change(mut changes: watch::Receiver<u64>, cloud: mpsc::Sender<Command>) {
    while changes.changed().await.is_ok() {
        if cloud.send(Command::CredentialsChanged).await.is_err() {
            return;
        }
    }
}

/// Lets the connection report its end to the hub, and ends its task.
async fn stop_cloud<R>(running: &Running<R>) {
    let (done, reported) = oneshot::channel();
    let stopping = async {
        let sent = running.handle.cloud.send(Command::Stop(done)).await;
        if sent.is_ok() {
            // An error means that the task has ended already.
            let _ = reported.await;
        }
    };
    if tokio::time::timeout(STOP_WITHIN, stopping).await.is_err() {
        tracing::debug!("the end was not reported to the hub in time");
    }
    running.cloud.abort();
}
