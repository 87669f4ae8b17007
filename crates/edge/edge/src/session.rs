//! A standing connection of `$edgeAgent`: desired properties in, reported properties out, methods answered.

mod methods;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device::{CallError, Event, Events, Hub, ModuleIdentities};
use ids::ModuleId;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};
use wire::edge_api::local::Connection;
use wire::service_api::device_view::{DeviceTwin, VersionedProperties};

use crate::causes::chain_of;
use crate::clock;
use crate::command::Command;
use crate::desired::{DesiredDocument, KeptDesired};
use crate::files::durable;
use crate::identities::Identities;
use crate::identities::master_key::MasterKey;
use crate::merge_patch::difference;
use crate::provision::assignment::Home;
use crate::runtime::ModuleRuntime;
use crate::state::Board;

/// How often the whole twin is read, should a change have been missed.
const REFRESH: Duration = Duration::from_secs(3600);
/// Pause before identities or a report are tried again.
const RETRY: Duration = Duration::from_secs(10);
/// What is reported when the runtime ends in good order.
const GOODBYE: &str = r#"{"lastDesiredStatus": {"code": 406, "description": "the runtime was stopped; its modules go on"}}"#;

/// How a session ended.
pub(crate) enum Ended {
    /// As it was told to.
    Stopped,
    /// The device is to register again.
    Reprovision(oneshot::Sender<Result<(), String>>),
    /// The connection is gone.
    Lost(String),
}

/// What a connection begins with.
pub(crate) struct Opening {
    pub(crate) hub: Hub,
    pub(crate) events: Events,
    /// The device's modules on the hub: their kept record and the line to change them.
    pub(crate) identities: Identities,
    pub(crate) client: ModuleIdentities,
    pub(crate) home: Home,
    /// Where desired properties are kept.
    pub(crate) desired_file: PathBuf,
    /// The twin as it was when the connection stood.
    pub(crate) twin: DeviceTwin,
}

/// A standing connection.
pub(crate) struct Session<R> {
    hub: Hub,
    events: Events,
    identities: Identities,
    client: ModuleIdentities,
    home: Home,
    desired_file: PathBuf,
    desired: DesiredDocument,
    reported: Map<String, Value>,
    /// Whether the hub has been asked for its identities since something may have changed them.
    settled: bool,
    master: Arc<MasterKey>,
    runtime: Arc<R>,
}

impl<R: ModuleRuntime> Session<R> {
    pub(crate) fn new(opening: Opening, master: Arc<MasterKey>, runtime: Arc<R>) -> Self {
        Self {
            hub: opening.hub,
            events: opening.events,
            identities: opening.identities,
            client: opening.client,
            home: opening.home,
            desired_file: opening.desired_file,
            desired: document(opening.twin.desired),
            reported: opening.twin.reported.properties,
            settled: true,
            master,
            runtime,
        }
    }

    fn take(&mut self, twin: DeviceTwin) {
        self.desired = document(twin.desired);
        self.reported = twin.reported.properties;
    }

    /// Runs until the connection ends or somebody ends it.
    pub(crate) async fn run(
        mut self,
        board: &Board,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Ended {
        board.show(|shown| {
            shown.connection = Connection::Connected {
                since: clock::now(),
            }
        });
        tracing::info!("connected to the hub");
        self.publish(board);
        let (mut needed, mut reported) = (board.needed.subscribe(), board.reported.subscribe());
        needed.mark_changed();
        reported.mark_changed();
        let mut refresh = tokio::time::interval_at(Instant::now() + REFRESH, REFRESH);
        let mut retry = tokio::time::interval(RETRY);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut again = false;
        loop {
            // Every arm is cancel-safe: channels and timers.
            let outcome = tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::Disconnected(lost)) => return Ended::Lost(lost.to_string()),
                    None => return Ended::Lost("the connection is gone".to_owned()),
                    Some(Event::Desired(change)) => {
                        // Whoever changes a deployment may change identities with it; looked at when the dust has settled.
                        self.settled = false;
                        again = true;
                        retry.reset();
                        self.apply(change, board).await
                    }
                    Some(Event::Method(call)) => {
                        let (hub, runtime) = (self.hub.clone(), self.runtime.clone());
                        tokio::spawn(async move { methods::answer(&hub, runtime.as_ref(), &call).await });
                        Ok(())
                    }
                },
                Ok(()) = needed.changed() => {
                    let wanted = needed.borrow_and_update().clone();
                    // Before the agent has read the deployment nobody knows which identities are needed.
                    if let Some(wanted) = wanted && !self.settle(&wanted, board).await {
                        again = true;
                        retry.reset();
                    }
                    Ok(())
                }
                Ok(()) = reported.changed() => {
                    let current = reported.borrow_and_update().clone();
                    if !self.report(current).await {
                        again = true;
                        retry.reset();
                    }
                    Ok(())
                }
                _ = retry.tick(), if again => {
                    again = false;
                    needed.mark_changed();
                    reported.mark_changed();
                    Ok(())
                }
                _ = refresh.tick() => {
                    self.settled = false;
                    needed.mark_changed();
                    self.refresh(board).await
                }
                command = commands.recv() => return self.obey(command).await,
            };
            if let Err(error) = outcome {
                return Ended::Lost(chain_of(&error));
            }
        }
    }

    /// Ends the session as somebody asked for it; nobody is left to ask when there is no command.
    async fn obey(self, command: Option<Command>) -> Ended {
        match command {
            Some(Command::Reprovision(waiting)) => {
                self.hub.close().await;
                Ended::Reprovision(waiting)
            }
            Some(Command::Stop(done)) => {
                self.goodbye().await;
                // Nobody may be left to hear it.
                let _ = done.send(());
                Ended::Stopped
            }
            None => Ended::Stopped,
        }
    }

    /// A change is merged in when it is the next one; after a gap the whole twin is read.
    async fn apply(&mut self, change: VersionedProperties, board: &Board) -> Result<(), CallError> {
        if change.version <= self.desired.version {
            return Ok(());
        }
        if change.version != self.desired.version + 1 {
            return self.refresh(board).await;
        }
        merge(&mut self.desired.properties, &change.properties);
        self.desired.version = change.version;
        self.publish(board);
        Ok(())
    }

    async fn refresh(&mut self, board: &Board) -> Result<(), CallError> {
        let twin = self.hub.get_twin().await?;
        self.take(twin);
        self.publish(board);
        Ok(())
    }

    /// Hands the desired properties to the agent, after keeping them for a start without the hub.
    fn publish(&self, board: &Board) {
        let changed = board.situation.borrow().desired.as_ref() != Some(&self.desired);
        if changed {
            let kept = KeptDesired {
                home: self.home.clone(),
                document: self.desired.clone(),
            };
            if let Err(error) = durable::write_json(&self.desired_file, &kept) {
                tracing::error!(error = %chain_of(&error), "the deployment cannot be kept for a start without the hub");
            }
        }
        self.publish_identities(board, |situation| {
            situation.desired = Some(self.desired.clone())
        });
    }

    fn publish_identities(&self, board: &Board, also: impl FnOnce(&mut crate::state::Situation)) {
        board.situation.send_if_modified(|situation| {
            let before = situation.clone();
            situation.identities = self.identities.modules().clone();
            also(situation);
            *situation != before
        });
    }

    async fn settle(&mut self, wanted: &BTreeSet<ModuleId>, board: &Board) -> bool {
        let mut all = wanted.clone();
        all.insert(ModuleId::edge_agent());
        if self.settled && all.iter().eq(self.identities.modules().keys()) {
            return true;
        }
        let settled = self
            .identities
            .settle(&self.client, &self.master, &all, false)
            .await;
        self.publish_identities(board, |_| {});
        if let Err(error) = &settled {
            tracing::warn!(error = %chain_of(error), "module identities are not settled");
        }
        self.settled = settled.is_ok();
        self.settled
    }

    async fn report(&mut self, current: Option<Map<String, Value>>) -> bool {
        let Some(current) = current else { return true };
        let Some(patch) = difference(&self.reported, &current) else {
            return true;
        };
        match self.hub.report(&Value::Object(patch), None).await {
            Ok(version) => {
                tracing::debug!(version, "reported");
                self.reported = current;
                true
            }
            Err(error) => {
                tracing::warn!(error = %chain_of(&error), "the report was not taken");
                false
            }
        }
    }

    async fn goodbye(self) {
        if let Ok(patch) = serde_json::from_str::<Value>(GOODBYE)
            && let Err(error) = self.hub.report(&patch, None).await
        {
            tracing::debug!(error = %error, "the goodbye was not taken");
        }
        self.hub.close().await;
    }
}

fn document(half: VersionedProperties) -> DesiredDocument {
    DesiredDocument {
        properties: half.properties,
        version: half.version,
    }
}

/// JSON merge patch: `null` removes.
fn merge(into: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(into.shift_remove(name)),
            Value::Object(inner) => {
                let mut below = match into.shift_remove(name) {
                    Some(Value::Object(below)) => below,
                    _ => Map::new(),
                };
                merge(&mut below, inner);
                into.insert(name.clone(), Value::Object(below));
            }
            scalar => drop(into.insert(name.clone(), scalar.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn patches_merge() {
        let mut into = map(json!({"a": {"b": 1, "c": 2}, "d": 3}));
        merge(
            &mut into,
            &map(json!({"a": {"b": null, "e": {"f": null, "g": 1}}, "d": {"h": 1}})),
        );
        assert_eq!(
            Value::Object(into),
            json!({"a": {"c": 2, "e": {"g": 1}}, "d": {"h": 1}})
        );
    }

    #[test]
    fn the_goodbye_is_json() {
        let goodbye: Value = serde_json::from_str(GOODBYE).unwrap();
        assert_eq!(goodbye["lastDesiredStatus"]["code"], 406);
    }
}
