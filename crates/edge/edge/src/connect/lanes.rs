//! What runs at the same time: a session, a piece of work, and a wait.

use std::pin::Pin;
use std::time::Duration;

use ids::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::work::Done;
use crate::clock;
use crate::command::SessionCommand;
use crate::runtime::ModuleRuntime;
use crate::session::{Session, SessionEnd};

/// How long a session may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(4);

type Future<T> = Pin<Box<dyn std::future::Future<Output = T> + Send>>;

/// What ended.
pub(super) enum Next<R> {
    PauseOver,
    SessionEnded { lasted: Duration, problem: String },
    Done(Done<R>),
}

/// What runs at the same time.
pub(super) struct Lanes<R> {
    session: Option<Running>,
    work: Option<Future<Done<R>>>,
    wait: Option<Wait>,
}

struct Running {
    since: Instant,
    commands: mpsc::Sender<SessionCommand>,
    future: Future<SessionEnd>,
}

#[derive(Clone, Copy)]
struct Wait {
    until: Instant,
    /// The same by the machine's clock, for people.
    due: Timestamp,
}

impl<R> Default for Lanes<R> {
    fn default() -> Self {
        Self {
            session: None,
            work: None,
            wait: None,
        }
    }
}

impl<R: ModuleRuntime> Lanes<R> {
    pub(super) fn work_on(
        &mut self,
        work: impl std::future::Future<Output = Done<R>> + Send + 'static,
    ) {
        self.wait = None;
        self.work = Some(Box::pin(work));
    }

    pub(super) fn wait(&mut self, pause: Duration) {
        self.wait = Some(Wait {
            until: Instant::now() + pause,
            due: clock::now().plus(pause),
        });
    }

    /// When the wait is over.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.wait.map(|wait| wait.due)
    }

    pub(super) async fn start_session(&mut self, session: Session<R>) {
        self.close_session(SessionCommand::Close).await;
        let (commands, mut received) = mpsc::channel(1);
        self.session = Some(Running {
            since: Instant::now(),
            commands,
            future: Box::pin(async move { session.run(&mut received).await }),
        });
    }

    /// Lets the session report the end of the runtime to the hub.
    pub(super) async fn stop_session(&mut self) {
        self.close_session(SessionCommand::Stop).await;
    }

    async fn close_session(&mut self, command: SessionCommand) {
        let Some(running) = self.session.take() else {
            return;
        };
        let closing = async {
            if running.commands.send(command).await.is_ok() {
                running.future.await;
            }
        };
        if tokio::time::timeout(CLOSE_WITHIN, closing).await.is_err() {
            tracing::debug!("the session did not close in time");
        }
    }

    /// Waits for what ends first. Cancel-safe: what goes on stays in its lane.
    pub(super) async fn next(&mut self) -> Next<R> {
        let Self {
            session,
            work,
            wait,
        } = self;
        let until = wait.map_or_else(Instant::now, |wait| wait.until);
        // Work first: a session that was replaced ends with a broken connection.
        let next = tokio::select! {
            biased;
            done = ended(work) => Next::Done(done),
            end = async { ended_of(session).await } => {
                let (lasted, end) = end;
                let problem = match end {
                    SessionEnd::Lost(problem) => problem,
                    SessionEnd::Closed => "it was closed".to_owned(),
                    SessionEnd::Renew => "the next one has a new token".to_owned(),
                };
                Next::SessionEnded { lasted, problem }
            }
            () = tokio::time::sleep_until(until), if wait.is_some() => Next::PauseOver,
        };
        match &next {
            Next::Done(_) => *work = None,
            Next::SessionEnded { .. } => *session = None,
            Next::PauseOver => *wait = None,
        }
        next
    }
}

async fn ended<T>(lane: &mut Option<Future<T>>) -> T {
    match lane {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn ended_of(lane: &mut Option<Running>) -> (Duration, SessionEnd) {
    match lane {
        Some(running) => {
            let end = running.future.as_mut().await;
            (running.since.elapsed(), end)
        }
        None => std::future::pending().await,
    }
}
