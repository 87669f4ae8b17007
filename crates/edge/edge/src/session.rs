//! A session of `$edgeAgent` with its hub: receives desired properties, sends reported
//! properties, answers direct methods.

mod input;
pub mod methods;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use device::{CallError, Events, Hub, MethodCall, ModuleIdentities};
use ids::{ModuleId, error_chain};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use wire::edge_api::local::Connection;
use wire::service_api::device_view::{DeviceTwin, VersionedProperties};

use self::input::{Input, Inputs};
use self::methods::Methods;
use crate::clock;
use crate::command::SessionCommand;
use crate::desired::{DesiredDocument, KeptDesired};
use crate::identities::Identities;
use crate::identities::master_key::MasterKey;
use crate::merge_patch;
use crate::provision::assignment::DeviceLocation;
use crate::runtime::ModuleRuntime;
use crate::state::{CloudState, SharedState};

/// How a session ended.
pub(crate) enum SessionEnd {
    /// A command closed it.
    Closed,
    /// The token of the agent is about to expire.
    Renew,
    Lost(String),
}

/// What a session starts with.
pub(crate) struct SessionParts<R> {
    pub(crate) hub: Hub,
    pub(crate) events: Events,
    /// The module identities that are set up.
    pub(crate) identities: Identities,
    /// Manages module identities on the hub.
    pub(crate) client: ModuleIdentities,
    pub(crate) location: DeviceLocation,
    /// Where desired properties are kept.
    pub(crate) desired_file: PathBuf,
    /// The twin, read after the connection was made.
    pub(crate) twin: DeviceTwin,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) methods: Methods<R>,
    pub(crate) times: SessionTimes,
    pub(crate) shared: SharedState,
}

/// When a session does something by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionTimes {
    /// How often the whole twin is read, in case a change was missed.
    pub(crate) refresh: Duration,
    /// When the session ends, because its token has to be renewed.
    pub(crate) renewal: Duration,
}

pub(crate) struct Session<R> {
    events: Events,
    times: SessionTimes,
    state: SessionState<R>,
}

struct SessionState<R> {
    hub: Hub,
    identities: Identities,
    client: ModuleIdentities,
    location: DeviceLocation,
    desired_file: PathBuf,
    desired: DesiredDocument,
    /// The reported properties that the hub has.
    reported: Map<String, Value>,
    /// Whether the identities were compared with the hub since something may have changed them.
    identities_synced: bool,
    master: Arc<MasterKey>,
    methods: Arc<Methods<R>>,
    shared: SharedState,
}

impl<R: ModuleRuntime> Session<R> {
    pub(crate) fn new(parts: SessionParts<R>) -> Self {
        let state = SessionState {
            hub: parts.hub,
            identities: parts.identities,
            client: parts.client,
            location: parts.location,
            desired_file: parts.desired_file,
            desired: document(parts.twin.desired),
            reported: parts.twin.reported.properties,
            identities_synced: true,
            master: parts.master,
            methods: Arc::new(parts.methods),
            shared: parts.shared,
        };
        Self {
            events: parts.events,
            times: parts.times,
            state,
        }
    }

    /// Runs until the connection breaks or a command ends it.
    pub(crate) async fn run(self, commands: &mut mpsc::Receiver<SessionCommand>) -> SessionEnd {
        let Self {
            events,
            times,
            mut state,
        } = self;
        let mut inputs = Inputs::new(events, commands, &state.shared, times);
        state.start();
        loop {
            let handled = match inputs.next().await {
                Input::Desired(change) => {
                    // A deployment on the hub may also create identities. They are compared after
                    // a pause, when all of the change has arrived.
                    state.identities_synced = false;
                    inputs.retry_later();
                    state.apply(change).await
                }
                Input::Method(call) => {
                    state.answer(call);
                    Ok(())
                }
                Input::NeededIdentities(modules) => {
                    if !state.sync_identities(modules).await {
                        inputs.retry_later();
                    }
                    Ok(())
                }
                Input::Reported(reported) => {
                    if !state.report(reported).await {
                        inputs.retry_later();
                    }
                    Ok(())
                }
                Input::Refresh => {
                    state.identities_synced = false;
                    state.refresh().await
                }
                Input::Renewal => {
                    state.hub.close().await;
                    return SessionEnd::Renew;
                }
                Input::Command(command) => return state.end(command).await,
                Input::Disconnected(why) => return SessionEnd::Lost(why),
            };
            if let Err(error) = handled {
                return SessionEnd::Lost(error_chain(&error));
            }
        }
    }
}

impl<R: ModuleRuntime> SessionState<R> {
    fn start(&self) {
        self.shared.update_status(|status| {
            status.connection = Connection::Connected {
                since: clock::now(),
            }
        });
        tracing::info!("connected to the hub");
        self.publish();
    }

    /// Applies a change if it is the next version. After a gap the whole twin is read.
    async fn apply(&mut self, change: VersionedProperties) -> Result<(), CallError> {
        if change.version <= self.desired.version {
            return Ok(());
        }
        if change.version != self.desired.version + 1 {
            return self.refresh().await;
        }
        merge_patch::apply(&mut self.desired.properties, &change.properties);
        self.desired.version = change.version;
        self.publish();
        Ok(())
    }

    async fn refresh(&mut self) -> Result<(), CallError> {
        let twin = self.hub.get_twin().await;
        self.shared.metrics.synced(twin.is_ok());
        let twin = twin?;
        self.desired = document(twin.desired);
        self.reported = twin.reported.properties;
        self.publish();
        Ok(())
    }

    /// Hands the desired properties to the agent. They are first kept for a start without the hub.
    fn publish(&self) {
        let desired = &self.desired;
        let changed = self.shared.cloud_state.borrow().desired.as_ref() != Some(desired);
        if changed {
            let kept = KeptDesired {
                location: self.location.clone(),
                document: desired.clone(),
            };
            if let Err(error) = kept.save(&self.desired_file) {
                tracing::error!(
                    error = %error_chain(&error),
                    "the deployment cannot be kept for a start without the hub"
                );
            }
        }
        self.update_cloud_state(|cloud_state| {
            if changed && desired.manifest().is_ok() {
                cloud_state.last_good = Some(desired.clone());
            }
            cloud_state.desired = Some(desired.clone());
        });
    }

    /// Publishes the identities, and what `update` changes.
    fn update_cloud_state(&self, update: impl FnOnce(&mut CloudState)) {
        self.shared.cloud_state.send_if_modified(|cloud_state| {
            let before = cloud_state.clone();
            cloud_state.identities = self.identities.modules().clone();
            update(cloud_state);
            *cloud_state != before
        });
    }

    /// Makes the identities on the hub those of `modules` and the agent. Returns whether they are.
    async fn sync_identities(&mut self, mut modules: BTreeSet<ModuleId>) -> bool {
        modules.insert(ModuleId::edge_agent());
        if self.identities_synced && modules.iter().eq(self.identities.modules().keys()) {
            return true;
        }
        let synced = self
            .identities
            .sync(&self.client, &self.master, &modules, false)
            .await;
        self.update_cloud_state(|_| {});
        if let Err(error) = &synced {
            tracing::warn!(error = %error_chain(error), "module identities are not set up");
        }
        self.identities_synced = synced.is_ok();
        self.identities_synced
    }

    /// Sends what has changed. Returns whether the hub has it.
    async fn report(&mut self, current: Map<String, Value>) -> bool {
        let Some(patch) = merge_patch::diff(&self.reported, &current) else {
            return true;
        };
        match self.hub.report(&Value::Object(patch), None).await {
            Ok(version) => {
                tracing::debug!(version, "reported");
                self.reported = current;
                true
            }
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "the report was not accepted");
                false
            }
        }
    }

    /// Answers a direct method in a task of its own, because it may take long.
    fn answer(&self, call: MethodCall) {
        let (hub, methods) = (self.hub.clone(), self.methods.clone());
        tokio::spawn(async move { methods.answer(&hub, &call).await });
    }

    /// Ends the session for a command. Without one all senders of commands are gone.
    async fn end(self, command: Option<SessionCommand>) -> SessionEnd {
        match command {
            Some(SessionCommand::Stop) => self.report_stop().await,
            Some(SessionCommand::Close) | None => self.hub.close().await,
        }
        SessionEnd::Closed
    }

    async fn report_stop(self) {
        if let Err(error) = self.hub.report(&stopped(), None).await {
            tracing::debug!(error = %error, "the last report was not accepted");
        }
        self.hub.close().await;
    }
}

/// What is reported when the runtime stops.
fn stopped() -> Value {
    json!({
        "lastDesiredStatus": {
            "code": 406,
            "description": "the runtime was stopped; its modules go on",
        }
    })
}

fn document(desired: VersionedProperties) -> DesiredDocument {
    DesiredDocument {
        properties: desired.properties,
        version: desired.version,
    }
}
