//! The connection of the device to its hub: carries out what [`Machine`] decides.
//!
//! Two lanes run side by side: the session with the hub, and the work for the next one (reading
//! credentials, registering, connecting). A new assignment replaces the kept one only after its hub
//! has accepted the device. Until then, and without a cloud, modules go on with what is kept.

mod attempt;
mod deployment_options;
mod hub;
mod kept;
mod lanes;
mod state_files;
mod status;
mod work;

use std::sync::Arc;

use ids::error_chain;
use keys::Client;
use tokio::sync::{mpsc, oneshot};

use crate::certificates::IdentitySource;
use crate::command::Command;
use crate::config::Config;
use crate::desired::agent_options::AgentOptions;
use crate::identities::master_key::MasterKey;
use crate::provision::CloudAccess;
use crate::provision::guarded_clock::GuardedClock;
use crate::provision::machine::{Effect, Event, Machine};
use crate::reconcile::agent_options;
use crate::runtime::ModuleRuntime;
use crate::session::Session;
use crate::session::methods::MethodParts;
use crate::state::SharedState;
use deployment_options::DeploymentOptions;
use lanes::{Lanes, Next};
pub use state_files::StateFiles;
use work::Done;

/// What the connection works with.
pub struct CloudParts<R> {
    pub config: Config,
    pub files: StateFiles,
    /// Module keys are derived from it.
    pub master: Arc<MasterKey>,
    /// The process that holds the keys.
    pub keys: Arc<Client>,
    pub shared: SharedState,
    pub runtime: Arc<R>,
    /// For the direct methods of its sessions.
    pub methods: MethodParts,
    /// The time that the device goes by.
    pub clock: Arc<GuardedClock>,
    /// The certificate that is issued on or for the device, if it has one.
    pub identity: Option<Arc<dyn IdentitySource>>,
}

/// Keeps the device connected. One task runs it for the life of a configuration.
pub struct CloudTask<R> {
    parts: Arc<CloudParts<R>>,
    commands: mpsc::Receiver<Command>,
    lanes: Lanes<R>,
    /// What was read last.
    access: Option<Arc<CloudAccess>>,
    deployment_options: DeploymentOptions,
    /// A session that the hub has accepted, and that has not been started.
    opened: Option<Session<R>>,
    /// For the outcome of registrations that were asked for.
    replies: Vec<oneshot::Sender<Result<(), String>>>,
}

impl<R: ModuleRuntime> CloudTask<R> {
    #[must_use]
    pub fn new(parts: CloudParts<R>, commands: mpsc::Receiver<Command>) -> Self {
        Self {
            parts: Arc::new(parts),
            commands,
            lanes: Lanes::default(),
            access: None,
            deployment_options: DeploymentOptions::default(),
            opened: None,
            replies: Vec::new(),
        }
    }

    /// Runs until a command stops it.
    pub async fn run(mut self) {
        let kept = self.parts.start_with_kept();
        let mut machine = Machine::new(self.parts.config.reprovisioning, kept);
        let mut event = Event::Begin;
        loop {
            log_failure(&event);
            let has_session = machine.session().is_some();
            self.deployment_options.note(&event, has_session);
            let effects = machine.step(event, self.parts.now(), rand::random());
            for effect in effects {
                self.perform(effect).await;
            }
            self.parts.show(&machine, self.lanes.due());
            self.parts.clock.keep();
            event = match self.next().await {
                Some(event) => event,
                None => return,
            };
        }
    }

    /// What happens next; `None` when the task is to end.
    async fn next(&mut self) -> Option<Event> {
        // Both are cancel-safe: the lanes keep their futures, and a channel.
        let next = tokio::select! {
            next = self.lanes.next() => next,
            command = self.commands.recv() => match command {
                Some(Command::Reprovision(reply)) => {
                    self.replies.push(reply);
                    return Some(Event::Asked);
                }
                Some(Command::CredentialsChanged) => return Some(Event::Woken),
                Some(Command::Stop(done)) => {
                    self.lanes.stop_session().await;
                    // The sender of the command may have gone.
                    let _ = done.send(());
                    return None;
                }
                None => return None,
            },
        };
        Some(match next {
            Next::PauseOver => Event::PauseOver,
            Next::SessionEnded { lasted, problem } => Event::SessionEnded { lasted, problem },
            Next::Done(Done::Read(Ok(access))) => {
                let offers = access.offers();
                self.access = Some(access);
                Event::Read(Ok(offers))
            }
            Next::Done(Done::Read(Err(problem))) => Event::Read(Err(problem)),
            Next::Done(Done::Registered(outcome)) => Event::Registered(outcome),
            Next::Done(Done::Opened(Ok(session))) => {
                self.opened = Some(*session);
                Event::Connected
            }
            Next::Done(Done::Opened(Err(failed))) => Event::Refused(failed),
        })
    }

    async fn perform(&mut self, effect: Effect) {
        let parts = self.parts.clone();
        match effect {
            Effect::Read => {
                let obeys_deployment = self.deployment_options.begin();
                self.lanes.work_on(work::read(parts, obeys_deployment));
            }
            Effect::Register { offer, reason } => {
                let access = self.access.clone();
                self.lanes
                    .work_on(work::register(parts, access, offer, reason));
            }
            Effect::Connect { target, renew_keys } => {
                let access = self.access.clone();
                self.lanes
                    .work_on(work::open(parts, access, target, renew_keys));
            }
            Effect::Keep(assignment) => parts.adopt(&assignment),
            Effect::StartSession => {
                if let Some(session) = self.opened.take() {
                    self.lanes.start_session(session).await;
                }
            }
            // What a hub has accepted is noted with the attempt, also if it was the only one.
            Effect::Proven(_) => {}
            Effect::Disproven(_) => {
                if let Some(access) = &self.access {
                    parts.refused(access);
                }
            }
            Effect::Answer(outcome) => {
                for reply in self.replies.drain(..) {
                    // The client may have gone.
                    let _ = reply.send(outcome.clone());
                }
            }
            Effect::Wait(pause) => self.lanes.wait(pause),
        }
    }
}

impl<R> CloudParts<R> {
    fn now(&self) -> ids::Timestamp {
        self.clock.read().time
    }

    /// What the variables of the agent ask for, with or without those of the deployment.
    fn agent_options(&self, obeys_deployment: bool) -> AgentOptions {
        let followed = self.shared.cloud_state.borrow().followed();
        let followed = followed.filter(|_| obeys_deployment);
        let manifest = followed.and_then(|followed| Some(followed.ok()?.manifest));
        agent_options(&self.config, manifest.as_ref())
    }

    /// The hub has accepted the device with the credential at an index.
    fn accepted(&self, access: &CloudAccess, credential: usize) {
        let certificate = access.certificate(credential);
        if let (Some(identity), Some(leaf)) = (&self.identity, certificate)
            && let Err(error) = identity.accepted(&leaf, self.clock.read().passed)
        {
            tracing::error!(error = %error_chain(&error), "a renewal cannot be written down");
        }
    }

    /// The hub has refused the newest credential, and accepted another one.
    fn refused(&self, access: &CloudAccess) {
        if let (Some(identity), Some(leaf)) = (&self.identity, access.certificate(0))
            && let Err(error) = identity.refused(&leaf)
        {
            tracing::error!(error = %error_chain(&error), "a renewal cannot be written down");
        }
    }
}

fn log_failure(event: &Event) {
    match event {
        Event::Read(Err(problem)) => {
            tracing::warn!(error = %problem, "the device has nothing to prove itself with");
        }
        Event::Registered(Err(failed)) => {
            tracing::warn!(error = %failed.problem, "not registered");
        }
        Event::Refused(failed) => {
            tracing::warn!(error = %failed.problem, "the hub is not connected");
        }
        Event::SessionEnded { problem, .. } => {
            tracing::warn!(reason = %problem, "the connection to the hub ended");
        }
        _ => {}
    }
}
