//! The daemon: one process that is the whole device. It holds the management socket from its first second, and starts,
//! replaces and ends the parts that an applied configuration calls for.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use nix::fcntl::{Flock, FlockArg};
use tokio::sync::{Notify, RwLock, mpsc, oneshot};
use tokio::task::JoinHandle;
use wire::edge_api::local::{Connection, Provisioning, Reload};

use crate::causes::chain_of;
use crate::clock;
use crate::command::Command;
use crate::config::{ApplyError, Config, read_applied};
use crate::connect::{Cloud, StateFiles};
use crate::files::durable::DurableError;
use crate::files::paths::Paths;
use crate::files::permissions::{AccessError, PRIVATE_FILE, narrow};
use crate::identities::master_key::{KeysError, MasterKey};
use crate::local_api::http::serve;
use crate::local_api::management::{DaemonRequest, Management, Reach, SetLogLevel};
use crate::local_api::unix_socket::listen;
use crate::local_api::workload::{ModuleSockets, Workload};
use crate::reconcile::Agent;
use crate::runtime::ModuleRuntime;
use crate::state::Board;

/// Only the owner and his group manage the device.
const MANAGEMENT_MODE: u32 = 0o660;
const GOODBYE_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another one runs.
    #[error("another aziot-edged runs on {}; stop it first, or choose another --root", .0.display())]
    AlreadyRunning(std::path::PathBuf),
    /// Others have more of its files than they may.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Its files.
    #[error(transparent)]
    Files(#[from] DurableError),
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// What was applied is not valid; starting again would not help.
    #[error("the applied configuration cannot be used")]
    Settings(#[from] ApplyError),
}

/// How the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked.
    Stopped,
    /// To begin anew.
    Restart,
}

/// Makes the runtime that a configuration calls for.
pub type MakeRuntime<R> = fn(&Config, &Paths) -> R;

/// Runs the device until `stop` resolves, or the owner stops or restarts it. Modules go on in any case.
///
/// # Errors
/// When another daemon runs on the same root, the applied configuration is not valid, or files cannot be written.
pub async fn run<R: ModuleRuntime>(
    paths: Paths,
    make_runtime: MakeRuntime<R>,
    set_log_level: SetLogLevel,
    stop: impl Future<Output = ()>,
) -> Result<Ended, DaemonError> {
    for narrowed in narrow(&paths)? {
        tracing::warn!(
            path = %narrowed.path.display(),
            was = %format_args!("{:04o}", narrowed.was),
            is = %format_args!("{:04o}", narrowed.is),
            "other users of this machine could use a file of the device; they cannot any more"
        );
    }
    let _lock = lock(&paths)?;
    let master = Arc::new(MasterKey::load_or_make(&paths.state().join("master-key"))?);
    let applied = load(&paths)?;
    let (daemon, requests) = mpsc::channel(8);
    let management = Management {
        board: Board::default(),
        reach: RwLock::new(None),
        daemon,
        set_log_level,
        paths: paths.clone(),
        started: clock::now(),
    };
    let management = Arc::new(management);
    let listener = listen(&paths.management_socket(), MANAGEMENT_MODE)?;
    let answering = management.clone();
    let socket = tokio::spawn(serve(listener, move |request| {
        let management = answering.clone();
        async move { management.answer(request).await }
    }));
    let mut device = Device {
        paths,
        make_runtime,
        master,
        management,
        live: None,
    };
    match applied {
        Some(config) => device.start(config).await,
        None => device.wait_for_configuration(),
    }
    let ended = device.follow(requests, stop).await;
    device.end().await;
    socket.abort();
    tracing::info!(?ended, "ended; modules go on");
    Ok(ended)
}

fn lock(paths: &Paths) -> Result<Flock<File>, DaemonError> {
    let path = paths.lock();
    let mut options = File::options();
    let opened = options
        .create(true)
        .append(true)
        .mode(PRIVATE_FILE)
        .open(&path);
    let file = opened.map_err(|source| DurableError::Io {
        what: "open",
        path: path.clone(),
        source,
    })?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        nix::errno::Errno::EWOULDBLOCK => DaemonError::AlreadyRunning(paths.root().to_owned()),
        other => DurableError::Io {
            what: "lock",
            path,
            source: io::Error::from(other),
        }
        .into(),
    })
}

fn load(paths: &Paths) -> Result<Option<Config>, ApplyError> {
    let Some(text) = read_applied(&paths.applied())? else {
        return Ok(None);
    };
    let parsed = Config::parse(&text);
    let faulty = |faults| ApplyError::Faults {
        path: paths.applied(),
        faults,
    };
    parsed.map(|(config, _)| Some(config)).map_err(faulty)
}

struct Device<R> {
    paths: Paths,
    make_runtime: MakeRuntime<R>,
    master: Arc<MasterKey>,
    management: Arc<Management<R>>,
    live: Option<Live<R>>,
}

/// The parts that run for one configuration.
struct Live<R> {
    config: Config,
    files: Vec<u8>,
    reach: Reach<R>,
    cloud: JoinHandle<()>,
    agent: JoinHandle<()>,
}

impl<R: ModuleRuntime> Device<R> {
    fn wait_for_configuration(&self) {
        let hint = format!(
            "no configuration is applied; write {} (iotedge config template shows how) and run: {}",
            self.paths.config().display(),
            self.paths.command("iotedge config apply"),
        );
        tracing::warn!("{hint}");
        self.management.board.show(|shown| {
            shown.provisioning = Provisioning::Unconfigured { hint };
            shown.connection = Connection::Idle;
        });
    }

    async fn follow(
        &mut self,
        mut requests: mpsc::Receiver<DaemonRequest>,
        stop: impl Future<Output = ()>,
    ) -> Ended {
        let mut stop = std::pin::pin!(stop);
        loop {
            // Cancel-safe: a pinned future that is polled on, and a channel.
            let request = tokio::select! {
                () = &mut stop => return Ended::Stopped,
                request = requests.recv() => request,
            };
            match request {
                None | Some(DaemonRequest::Stop) => return Ended::Stopped,
                Some(DaemonRequest::Restart) => return Ended::Restart,
                Some(DaemonRequest::Reload(waiting)) => {
                    let reloaded = self.reload().await;
                    // Who asked may have gone.
                    let _ = waiting.send(reloaded);
                }
            }
        }
    }

    async fn start(&mut self, config: Config) {
        let runtime = Arc::new((self.make_runtime)(&config, &self.paths));
        let (cloud, commands) = mpsc::channel(8);
        let reach = Reach {
            runtime,
            cloud,
            poke: Arc::new(Notify::new()),
        };
        let cloud = self.spawn_cloud(&config, &reach, commands);
        let agent = self.spawn_agent(&config, &reach);
        self.management.reach.write().await.replace(reach.clone());
        self.live = Some(Live {
            files: fingerprint(&config),
            config,
            reach,
            cloud,
            agent,
        });
    }

    fn spawn_cloud(
        &self,
        config: &Config,
        reach: &Reach<R>,
        commands: mpsc::Receiver<Command>,
    ) -> JoinHandle<()> {
        let cloud = Cloud {
            config: config.clone(),
            files: StateFiles::under(&self.paths.state()),
            master: self.master.clone(),
            board: self.management.board.clone(),
            runtime: reach.runtime.clone(),
            commands,
        };
        tokio::spawn(cloud.run())
    }

    fn spawn_agent(&self, config: &Config, reach: &Reach<R>) -> JoinHandle<()> {
        let board = self.management.board.clone();
        let trust_bundle = config.trust_bundle.as_ref().map(|file| file.path.clone());
        let workload = Workload {
            board: board.clone(),
            master: self.master.clone(),
            trust_bundle,
        };
        let sockets = ModuleSockets::new(workload, self.paths.clone());
        let (runtime, poke) = (reach.runtime.clone(), reach.poke.clone());
        tokio::spawn(
            Agent::new(
                runtime,
                board,
                self.paths.clone(),
                config.clone(),
                sockets,
                poke,
            )
            .run(),
        )
    }

    /// Takes up what was applied, and replaces only what the difference concerns.
    async fn reload(&mut self) -> Result<Reload, String> {
        let config = load(&self.paths).map_err(|error| chain_of(&error))?;
        let config = config.ok_or("no configuration is applied")?;
        let (agent_is_new, cloud_is_new) = match &self.live {
            None => (true, true),
            Some(live) => {
                let agent = agent_part(&live.config) != agent_part(&config);
                let cloud = cloud_part(&live.config) != cloud_part(&config)
                    || live.files != fingerprint(&config);
                (agent, cloud)
            }
        };
        let mut restarted = Vec::new();
        if agent_is_new {
            self.end().await;
            self.start(config).await;
            restarted = vec![
                "the edge agent".to_owned(),
                "provisioning and hub connection".to_owned(),
            ];
        } else if cloud_is_new && let Some(mut live) = self.live.take() {
            say_goodbye(&live).await;
            live.cloud.abort();
            let (cloud, commands) = mpsc::channel(8);
            live.reach.cloud = cloud;
            live.cloud = self.spawn_cloud(&config, &live.reach, commands);
            live.files = fingerprint(&config);
            live.config = config;
            self.management
                .reach
                .write()
                .await
                .replace(live.reach.clone());
            self.live = Some(live);
            restarted = vec!["provisioning and hub connection".to_owned()];
        }
        tracing::info!(?restarted, "the applied configuration is taken up");
        Ok(Reload { restarted })
    }

    async fn end(&mut self) {
        self.management.reach.write().await.take();
        if let Some(live) = self.live.take() {
            say_goodbye(&live).await;
            live.cloud.abort();
            live.agent.abort();
            // Its sockets are closed when it is gone.
            let _ = live.agent.await;
        }
    }
}

async fn say_goodbye<R>(live: &Live<R>) {
    let (done, said) = oneshot::channel();
    let asking = async {
        if live.reach.cloud.send(Command::Stop(done)).await.is_ok() {
            // An error means that it is gone already.
            let _ = said.await;
        }
    };
    if tokio::time::timeout(GOODBYE_WITHIN, asking).await.is_err() {
        tracing::debug!("the hub did not hear the goodbye in time");
    }
}

fn agent_part(config: &Config) -> impl PartialEq + '_ {
    let trust = config.trust_bundle.as_ref().map(|file| &file.path);
    (
        &config.runtime,
        config.elevated_permissions,
        &config.agent_env,
        trust,
    )
}

fn cloud_part(config: &Config) -> impl PartialEq + '_ {
    let from = &config.provisioning;
    let id = from.registration_id.as_ref().map(|(id, _)| id.as_str());
    let payload = from.payload.as_ref().map(|file| &file.path);
    let files = (&from.identity_cert.path, &from.identity_pk.path, payload);
    (
        &from.endpoint,
        from.id_scope.as_str(),
        id,
        files,
        config.reprovisioning,
        config.cloud_timeout,
    )
}

/// A certificate may have been replaced by another of the same name.
fn fingerprint(config: &Config) -> Vec<u8> {
    let from = &config.provisioning;
    let files = [
        Some(&from.identity_cert),
        Some(&from.identity_pk),
        from.payload.as_ref(),
        config.trust_bundle.as_ref(),
    ];
    let mut context = Context::new(&SHA256);
    for file in files.into_iter().flatten() {
        match std::fs::read(&file.path) {
            Ok(bytes) => {
                context.update(&(bytes.len() as u64).to_be_bytes());
                context.update(&bytes);
            }
            Err(error) => context.update(error.to_string().as_bytes()),
        }
    }
    context.finish().as_ref().to_vec()
}
