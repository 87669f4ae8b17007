//! What a session reacts to.

use std::collections::BTreeSet;
use std::time::Duration;

use device::{DesiredChange, Event, Events, MethodCall};
use ids::ModuleId;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, interval_at};

use crate::command::SessionCommand;
use crate::session::SessionTimes;
use crate::state::SharedState;

/// Pause before identities or a report are tried again.
const RETRY: Duration = Duration::from_secs(10);

/// One thing that a session reacts to.
pub(super) enum Input {
    Desired(DesiredChange),
    Method(MethodCall),
    /// The modules that need an identity.
    NeededIdentities(BTreeSet<ModuleId>),
    /// The properties that should be reported.
    Reported(Map<String, Value>),
    /// It is time to read the whole twin.
    Refresh,
    /// It is time to connect with a new token.
    Renewal,
    Command(Option<SessionCommand>),
    Disconnected(String),
}

/// All sources of inputs.
pub(super) struct Inputs<'a> {
    events: Events,
    commands: &'a mut mpsc::Receiver<SessionCommand>,
    needed_identities: watch::Receiver<Option<BTreeSet<ModuleId>>>,
    reported: watch::Receiver<Option<Map<String, Value>>>,
    refresh: Interval,
    renewal: Instant,
    retry_at: Option<Instant>,
}

impl<'a> Inputs<'a> {
    /// The needed identities and the reported properties are inputs at once.
    pub(super) fn new(
        events: Events,
        commands: &'a mut mpsc::Receiver<SessionCommand>,
        shared: &SharedState,
        times: SessionTimes,
    ) -> Self {
        let now = Instant::now();
        let mut inputs = Self {
            events,
            commands,
            needed_identities: shared.needed_identities.subscribe(),
            reported: shared.reported.subscribe(),
            refresh: interval_at(now + times.refresh, times.refresh),
            renewal: now + times.renewal,
            retry_at: None,
        };
        inputs.retry_now();
        inputs
    }

    /// Repeats the needed identities and the reported properties after a pause.
    pub(super) fn retry_later(&mut self) {
        self.retry_at = Some(Instant::now() + RETRY);
    }

    fn retry_now(&mut self) {
        self.retry_at = None;
        self.needed_identities.mark_changed();
        self.reported.mark_changed();
    }

    pub(super) async fn next(&mut self) -> Input {
        loop {
            let (retry_at, renewal) = (self.retry_at, self.renewal);
            let retry = tokio::time::sleep_until(retry_at.unwrap_or_else(Instant::now));
            // Every arm is cancel-safe: channels and timers.
            let input = tokio::select! {
                event = self.events.next() => Some(match event {
                    Some(Event::Desired(change)) => Input::Desired(change),
                    Some(Event::Method(call)) => Input::Method(call),
                    Some(Event::Disconnected(lost)) => Input::Disconnected(lost.to_string()),
                    None => Input::Disconnected("the connection is gone".to_owned()),
                }),
                // `None` before the agent has read a deployment.
                Ok(()) = self.needed_identities.changed() => {
                    let modules = self.needed_identities.borrow_and_update().clone();
                    modules.map(Input::NeededIdentities)
                }
                Ok(()) = self.reported.changed() => {
                    self.reported.borrow_and_update().clone().map(Input::Reported)
                }
                () = retry, if retry_at.is_some() => {
                    self.retry_now();
                    None
                }
                _ = self.refresh.tick() => {
                    self.needed_identities.mark_changed();
                    Some(Input::Refresh)
                }
                () = tokio::time::sleep_until(renewal) => Some(Input::Renewal),
                command = self.commands.recv() => Some(Input::Command(command)),
            };
            if let Some(input) = input {
                return input;
            }
        }
    }
}
