//! The connection of the device to its hub: use or get an assignment, set up identities, connect as
//! `$edgeAgent`, and stay connected.
//!
//! A new assignment replaces the kept one only after its hub has accepted the device. Until then,
//! and without a cloud, modules go on with what is kept.

mod attempt;
mod hub;
mod kept;
mod state_files;
mod status;

use std::sync::Arc;
use std::time::Duration;

use device::Backoff;
use ids::error_chain;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::clock;
use crate::command::Command;
use crate::config::{Config, examine};
use crate::identities::master_key::MasterKey;
use crate::provision::assignment::{
    AssignmentDecision, DeviceLocation, KeptAssignment, RefusedCredential, decide,
    must_register_after,
};
use crate::provision::{CloudAccess, register};
use crate::runtime::ModuleRuntime;
use crate::session::{Session, SessionEnd};
use crate::state::SharedState;
use attempt::AttemptError;
pub use state_files::StateFiles;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A connection that lasted this long makes the next pause short again.
const STABLE: Duration = Duration::from_secs(30);

/// Keeps the device connected. One task runs it for the life of a configuration.
pub struct CloudTask<R> {
    pub config: Config,
    pub files: StateFiles,
    /// Module keys are derived from it.
    pub master: Arc<MasterKey>,
    pub shared: SharedState,
    pub runtime: Arc<R>,
    pub commands: mpsc::Receiver<Command>,
}

/// What is kept from one attempt to the next.
#[derive(Debug, Default)]
struct Attempts {
    kept: Option<KeptAssignment>,
    /// Whether this is the first attempt since the start.
    first: bool,
    /// Why to register although there is an assignment.
    register_because: Option<String>,
    /// Whether to write the keys of all identities again, because the hub refused one.
    renew_keys: bool,
    failures: u32,
    /// For the outcome of a registration that was asked for.
    reply: Option<oneshot::Sender<Result<(), String>>>,
}

impl Attempts {
    fn succeeded(&mut self) {
        self.failures = 0;
        self.renew_keys = false;
        self.answer(Ok(()));
    }

    fn register_on_request(&mut self, reply: oneshot::Sender<Result<(), String>>) {
        self.register_because = Some("it was asked for".to_owned());
        self.reply = Some(reply);
    }

    fn answer(&mut self, outcome: Result<(), String>) {
        if let Some(reply) = self.reply.take() {
            // The client may have gone.
            let _ = reply.send(outcome);
        }
    }
}

impl<R: ModuleRuntime> CloudTask<R> {
    /// Runs until a command stops it.
    pub async fn run(mut self) {
        let mut attempts = Attempts {
            kept: self.start_with_kept(),
            first: true,
            ..Attempts::default()
        };
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let mut retry_after = None;
            match self.attempt(&mut attempts).await {
                Ok(session) => {
                    attempts.succeeded();
                    let begun = Instant::now();
                    match session.run(&mut self.commands).await {
                        SessionEnd::Stopped => return,
                        SessionEnd::Reprovision(reply) => {
                            attempts.register_on_request(reply);
                            continue;
                        }
                        SessionEnd::Lost(why) => {
                            tracing::warn!(reason = %why, "the connection to the hub ended");
                            self.show_connecting(Some(why), None);
                            if begun.elapsed() >= STABLE {
                                backoff.succeeded();
                            }
                        }
                    }
                }
                Err(error) => retry_after = self.on_failure(&error, &mut attempts),
            }
            attempts.first = false;
            let pause = backoff.failed_with(retry_after, rand::random());
            if !self.wait(pause, &mut attempts).await {
                return;
            }
        }
    }

    async fn attempt(&self, attempts: &mut Attempts) -> Result<Session<R>, AttemptError> {
        let access = CloudAccess::new(&self.config, examine(&self.config, Some(clock::now())));
        let parameters = access.as_ref().ok().map(|access| &access.parameters);
        let decision = match &attempts.register_because {
            Some(reason) => AssignmentDecision::Register(reason.clone()),
            None => decide(
                attempts.kept.as_ref(),
                parameters,
                self.config.reprovisioning,
                attempts.first,
            ),
        };
        let access = access.map_err(AttemptError::CloudAccess)?;
        let candidate = match decision {
            AssignmentDecision::UseKept => None,
            AssignmentDecision::Register(reason) => {
                self.register(&access, &reason, attempts).await?
            }
        };
        let assignment = candidate
            .or_else(|| attempts.kept.clone())
            .ok_or(AttemptError::NoAgent)?;
        if attempts.kept.is_none() {
            // A failure could destroy nothing, and the assignment saves another registration.
            self.adopt(&assignment, attempts)?;
        }
        self.show_connecting(None, None);
        let session = self
            .open_session(&assignment, &access, attempts.renew_keys)
            .await?;
        self.adopt(&assignment, attempts)?;
        Ok(session)
    }

    /// Registers. `None` when that failed and the kept assignment is still right.
    async fn register(
        &self,
        access: &CloudAccess,
        reason: &str,
        attempts: &mut Attempts,
    ) -> Result<Option<KeptAssignment>, AttemptError> {
        let parameters = &access.parameters;
        tracing::info!(
            registration.id = %parameters.registration_id,
            endpoint = %parameters.endpoint,
            reason,
            "registering"
        );
        if attempts.kept.is_none() {
            self.show_registering(attempts.failures, None);
        }
        match register(&self.config, access, clock::now()).await {
            Ok(assignment) => {
                attempts.register_because = None;
                let DeviceLocation { hub, device_id } = &assignment.location;
                tracing::info!(hub = %hub, device.id = %device_id, "registered");
                Ok(Some(assignment))
            }
            Err(error)
                if attempts
                    .kept
                    .as_ref()
                    .is_some_and(|kept| kept.parameters == *parameters) =>
            {
                let problem = error_chain(&error);
                tracing::warn!(
                    error = %problem,
                    "not registered again; going on with the kept assignment"
                );
                attempts.register_because = None;
                attempts.answer(Err(problem));
                Ok(None)
            }
            Err(source) => Err(AttemptError::Register {
                reason: reason.to_owned(),
                source: Box::new(source),
            }),
        }
    }

    /// Decides what a failure means for the next attempt. Returns the pause that
    /// the service asks for.
    fn on_failure(&self, error: &AttemptError, attempts: &mut Attempts) -> Option<Duration> {
        let problem = error_chain(error);
        tracing::warn!(error = %problem, "the hub is not connected");
        attempts.failures = attempts.failures.saturating_add(1);
        match error.refused_credential() {
            Some(RefusedCredential::Agent) if !attempts.renew_keys => attempts.renew_keys = true,
            Some(refused) if must_register_after(refused, self.config.reprovisioning) => {
                attempts.register_because = Some("the hub refused the device".to_owned());
            }
            _ => {}
        }
        match &attempts.kept {
            Some(kept) => self.show_provisioned(kept, Some(problem.clone())),
            None => self.show_registering(attempts.failures, Some(problem.clone())),
        }
        attempts.answer(Err(problem));
        error.retry_after()
    }

    /// Waits; false when the task is to end. A command to register again ends the pause.
    async fn wait(&mut self, pause: Duration, attempts: &mut Attempts) -> bool {
        self.show_next_attempt(clock::now().plus(pause));
        tokio::select! {
            // Cancel-safe: a timer, and a channel.
            () = tokio::time::sleep(pause) => true,
            command = self.commands.recv() => match command {
                Some(Command::Reprovision(reply)) => {
                    attempts.register_on_request(reply);
                    true
                }
                Some(Command::Stop(done)) => {
                    // The sender of the command may have gone.
                    let _ = done.send(());
                    false
                }
                None => false,
            },
        }
    }
}
