//! The device's way to its hub: use or get an assignment, set up identities, connect as `$edgeAgent`, and stay connected.
//!
//! A new assignment replaces a kept one only after its hub has accepted the device. Until
//! then, and whenever the cloud is out of reach, modules go on with what is kept.

mod attempt;
mod state_files;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use device::{Backoff, Events, Hub, HubOptions, ModuleIdentities, token};
use ids::ModuleId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wire::edge_api::local::{Connection, Provisioning};

use crate::causes::chain_of;
use crate::clock;
use crate::command::Command;
use crate::config::{Config, examine};
use crate::desired::KeptDesired;
use crate::files::durable;
use crate::identities::Identities;
use crate::identities::master_key::MasterKey;
use crate::provision::assignment::{Assigned, Home, Next, Refusal, next, registers_after};
use crate::provision::{Means, register};
use crate::runtime::ModuleRuntime;
use crate::session::{Ended, Opening, Session};
use crate::state::Board;
use attempt::AttemptError;
pub use state_files::StateFiles;

/// How long a token of `$edgeAgent` is valid. The hub ends the connection with it, and the next one carries a new token.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Longest silence towards the hub, seconds: below what home routers forget after.
const KEEP_ALIVE: u16 = 120;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A connection that stood this long makes the next pause short again.
const STEADY: Duration = Duration::from_secs(30);

/// The device's side of the cloud. One task runs it for the life of a configuration.
pub struct Cloud<R> {
    /// The configuration.
    pub config: Config,
    /// Where state is kept.
    pub files: StateFiles,
    /// Derives module keys.
    pub master: Arc<MasterKey>,
    /// Meets the other parts.
    pub board: Board,
    /// For direct methods.
    pub runtime: Arc<R>,
    /// What others ask.
    pub commands: mpsc::Receiver<Command>,
}

/// What is remembered from one attempt to the next.
#[derive(Debug, Default)]
struct Attempts {
    kept: Option<Assigned>,
    /// Whether this is the first attempt of this start.
    starting: bool,
    /// Why to register although there is an assignment.
    forced: Option<String>,
    /// Whether the keys of all identities are to be written again, because the hub refused one.
    renew_keys: bool,
    failures: u32,
    waiting: Option<oneshot::Sender<Result<(), String>>>,
}

impl<R: ModuleRuntime> Cloud<R> {
    /// Runs until told to stop.
    pub async fn run(mut self) {
        let mut attempts = Attempts {
            kept: self.load(),
            starting: true,
            ..Attempts::default()
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let mut retry_after = None;
            match self.attempt(&mut attempts).await {
                Ok(session) => {
                    attempts.failures = 0;
                    attempts.renew_keys = false;
                    answer(&mut attempts.waiting, Ok(()));
                    let begun = Instant::now();
                    match session.run(&self.board, &mut self.commands).await {
                        Ended::Stopped => return,
                        Ended::Reprovision(waiting) => {
                            attempts.forced = Some("it was asked for".to_owned());
                            attempts.waiting = Some(waiting);
                            continue;
                        }
                        Ended::Lost(why) => {
                            tracing::warn!(reason = %why, "the connection to the hub ended");
                            self.show_connecting(Some(why), None);
                            if begun.elapsed() >= STEADY {
                                backoff.succeeded();
                            }
                        }
                    }
                }
                Err(error) => {
                    let problem = chain_of(&error);
                    tracing::warn!(error = %problem, "the hub is not connected");
                    retry_after = self.judge(&error, &problem, &mut attempts);
                    answer(&mut attempts.waiting, Err(problem));
                }
            }
            attempts.starting = false;
            let pause = backoff.failed_and_told(retry_after, rand::random());
            if !self.rest(pause, &mut attempts).await {
                return;
            }
        }
    }

    /// Publishes what is kept, so that modules run before, and without, any connection.
    fn load(&self) -> Option<Assigned> {
        let kept = Assigned::load(&self.files.assignment).unwrap_or_else(|error| {
            tracing::error!(error = %chain_of(&error), "the kept assignment cannot be read");
            None
        })?;
        let identities = Identities::load(&self.files.modules, &kept.home, &self.master).ok();
        let desired = durable::read_json::<KeptDesired>(&self.files.desired).unwrap_or_else(|error| {
            tracing::warn!(error = %chain_of(&error), "the kept deployment cannot be read; waiting for the hub");
            None
        });
        let desired = desired
            .filter(|desired| desired.home == kept.home)
            .map(|desired| desired.document);
        tracing::info!(hub = %kept.home.hub, device.id = %kept.home.device_id, "starting with the kept assignment");
        self.show_provisioned(&kept, None);
        self.board.situation.send_modify(|situation| {
            situation.home = Some(kept.home.clone());
            situation.identities = identities.map(|i| i.modules().clone()).unwrap_or_default();
            situation.desired = desired;
        });
        Some(kept)
    }

    async fn attempt(&self, attempts: &mut Attempts) -> Result<Session<R>, AttemptError> {
        let means = Means::new(&self.config, examine(&self.config, clock::now()));
        let basis = means.as_ref().ok().map(|means| &means.basis);
        let decision = match &attempts.forced {
            Some(reason) => Next::Register(reason.clone()),
            None => next(
                attempts.kept.as_ref(),
                basis,
                self.config.reprovisioning,
                attempts.starting,
            ),
        };
        let means = means.map_err(AttemptError::Means)?;
        let candidate = match decision {
            Next::Use => None,
            Next::Register(reason) => self.register(&means, &reason, attempts).await?,
        };
        let assigned = candidate
            .clone()
            .or_else(|| attempts.kept.clone())
            .ok_or(AttemptError::NoAgent)?;
        if attempts.kept.is_none() {
            // There is nothing that a failure could destroy, and another registration to save.
            self.adopt(&assigned, attempts)?;
        }
        self.show_connecting(None, None);
        let session = self
            .establish(&assigned, &means, attempts.renew_keys)
            .await?;
        self.adopt(&assigned, attempts)?;
        Ok(session)
    }

    async fn register(
        &self,
        means: &Means,
        reason: &str,
        attempts: &mut Attempts,
    ) -> Result<Option<Assigned>, AttemptError> {
        tracing::info!(registration.id = %means.basis.registration_id, endpoint = %means.basis.endpoint, reason, "registering");
        if attempts.kept.is_none() {
            let (failures, problem, next) = (attempts.failures, None, None);
            self.board.show(|shown| {
                shown.provisioning = Provisioning::Registering {
                    failures,
                    problem,
                    next,
                }
            });
        }
        match register(&self.config, means, clock::now()).await {
            Ok(assigned) => {
                attempts.forced = None;
                let Home { hub, device_id } = &assigned.home;
                tracing::info!(hub = %hub, device.id = %device_id, "registered");
                Ok(Some(assigned))
            }
            // What is kept was got for the same purpose: go on with it.
            Err(error)
                if attempts
                    .kept
                    .as_ref()
                    .is_some_and(|kept| kept.basis == means.basis) =>
            {
                let problem = chain_of(&error);
                tracing::warn!(error = %problem, "not registered again; going on with the kept assignment");
                attempts.forced = None;
                answer(&mut attempts.waiting, Err(problem));
                Ok(None)
            }
            Err(source) => Err(AttemptError::Register {
                reason: reason.to_owned(),
                source: Box::new(source),
            }),
        }
    }

    fn adopt(&self, assigned: &Assigned, attempts: &mut Attempts) -> Result<(), AttemptError> {
        if attempts.kept.as_ref() != Some(assigned) {
            assigned.save(&self.files.assignment)?;
        }
        self.show_provisioned(assigned, None);
        self.board.situation.send_if_modified(|situation| {
            let moved = situation.home.as_ref() != Some(&assigned.home);
            if moved {
                situation.home = Some(assigned.home.clone());
                situation.identities.clear();
                situation.desired = None;
                self.board.needed.send_replace(None);
            }
            moved
        });
        attempts.kept = Some(assigned.clone());
        Ok(())
    }

    async fn establish(
        &self,
        assigned: &Assigned,
        means: &Means,
        renew: bool,
    ) -> Result<Session<R>, AttemptError> {
        let Home { hub, device_id } = &assigned.home;
        let certificate = device::Credential::Certificate(means.credential.identity.clone());
        let client =
            ModuleIdentities::new(hub.clone(), device_id.clone(), &means.trust, &certificate);
        let mut identities = Identities::load(&self.files.modules, &assigned.home, &self.master)?;
        let agent = ModuleId::edge_agent();
        // At a new home only the agent is set up before the hub has accepted it; its modules follow.
        let mut needed: BTreeSet<ModuleId> = identities.modules().keys().cloned().collect();
        needed.extend([agent.clone()]);
        identities
            .settle(&client, &self.master, &needed, renew)
            .await?;
        let (agent_hub, events) = self.connect(assigned, means, &identities).await?;
        let twin = agent_hub.get_twin().await?;
        let opening = Opening {
            hub: agent_hub,
            events,
            identities,
            client,
            home: assigned.home.clone(),
            desired_file: self.files.desired.clone(),
            twin,
        };
        Ok(Session::new(
            opening,
            self.master.clone(),
            self.runtime.clone(),
        ))
    }

    async fn connect(
        &self,
        assigned: &Assigned,
        means: &Means,
        identities: &Identities,
    ) -> Result<(Hub, Events), AttemptError> {
        let Home { hub, device_id } = &assigned.home;
        let agent = ModuleId::edge_agent();
        let generation = identities
            .modules()
            .get(&agent)
            .ok_or(AttemptError::NoAgent)?;
        let key = self
            .master
            .module_key(&agent, generation, "primary")
            .ok_or(AttemptError::NoAgent)?;
        let expiry = clock::now().plus(TOKEN_LIFETIME);
        let token = token(&key, hub.as_str(), device_id, Some(&agent), expiry).await?;
        let options = HubOptions {
            hub: hub.clone(),
            gateway: None,
            device: device_id.clone(),
            module: Some(agent),
            credential: device::Credential::Token(token),
            trust: means.trust.clone(),
            keep_alive: KEEP_ALIVE,
            client_type: format!("EdgeAgent/{}", env!("CARGO_PKG_VERSION")),
        };
        Ok(Hub::connect(&options).await?)
    }

    /// Decides what a failure means for the next attempt; gives the pause that the service asks for.
    fn judge(
        &self,
        error: &AttemptError,
        problem: &str,
        attempts: &mut Attempts,
    ) -> Option<Duration> {
        attempts.failures = attempts.failures.saturating_add(1);
        let refusal = error.refusal();
        match refusal {
            Some(Refusal::Agent) if !attempts.renew_keys => attempts.renew_keys = true,
            Some(refusal) if registers_after(refusal, self.config.reprovisioning) => {
                attempts.forced = Some("the hub refused the device".to_owned());
            }
            _ => {}
        }
        match &attempts.kept {
            Some(kept) => self.show_provisioned(kept, Some(problem.to_owned())),
            None => {
                let (failures, problem) = (attempts.failures, Some(problem.to_owned()));
                self.board.show(|shown| {
                    shown.provisioning = Provisioning::Registering {
                        failures,
                        problem,
                        next: None,
                    }
                });
            }
        }
        error.retry_after()
    }

    /// Waits; false when the device is to stop. A request to register again ends the pause.
    async fn rest(&mut self, pause: Duration, attempts: &mut Attempts) -> bool {
        let due = clock::now().plus(pause);
        self.board.show(
            |shown| match (&mut shown.provisioning, &mut shown.connection) {
                (Provisioning::Registering { next, .. }, _) => *next = Some(due),
                (_, Connection::Connecting { next, .. }) => *next = Some(due),
                _ => {}
            },
        );
        tokio::select! {
            // Cancel-safe: a timer, and a channel.
            () = tokio::time::sleep(pause) => true,
            command = self.commands.recv() => match command {
                Some(Command::Reprovision(waiting)) => {
                    attempts.forced = Some("it was asked for".to_owned());
                    attempts.waiting = Some(waiting);
                    true
                }
                Some(Command::Stop(done)) => {
                    // Nobody may be left to hear it.
                    let _ = done.send(());
                    false
                }
                None => false,
            },
        }
    }
}

fn answer(waiting: &mut Option<oneshot::Sender<Result<(), String>>>, result: Result<(), String>) {
    if let Some(waiting) = waiting.take() {
        // Who asked may have gone.
        let _ = waiting.send(result);
    }
}
