//! Opens a session with the hub of an assignment.

use std::collections::BTreeSet;
use std::time::Duration;

use device::{Events, Hub, HubOptions, ModuleIdentities, token};
use ids::ModuleId;

use super::CloudParts;
use super::attempt::AttemptError;
use crate::identities::Identities;
use crate::provision::CloudAccess;
use crate::provision::assignment::{DeviceLocation, KeptAssignment};
use crate::runtime::ModuleRuntime;
use crate::session::methods::Methods;
use crate::session::{Session, SessionParts, SessionTimes};

/// How long a token of `$edgeAgent` is valid. The hub closes the connection when it expires.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const WEBSOCKET_PORT: u16 = 443;
/// Longest silence towards the hub, seconds: shorter than home routers keep an idle connection.
const KEEP_ALIVE: u16 = 120;

impl<R: ModuleRuntime> CloudParts<R> {
    pub(super) async fn open_session(
        &self,
        assignment: &KeptAssignment,
        access: &CloudAccess,
        credential: usize,
        renew_keys: bool,
    ) -> Result<Session<R>, AttemptError> {
        let location = &assignment.location;
        let DeviceLocation { hub, device_id } = location;
        let credential = access.for_hub(credential, assignment);
        let credential = credential.ok_or(AttemptError::NoAgent)?;
        let client =
            ModuleIdentities::new(hub.clone(), device_id.clone(), &access.trust, &credential);
        let mut identities = Identities::load(&self.files.modules, location, &self.master)?;
        // On a new hub only the identity of the agent is set up here. Those of its modules follow
        // when the hub has accepted the agent.
        let mut needed: BTreeSet<ModuleId> = identities.modules().keys().cloned().collect();
        needed.insert(ModuleId::edge_agent());
        identities
            .sync(&client, &self.master, &needed, renew_keys)
            .await?;
        let (hub, events) = self.connect_agent(location, access, &identities).await?;
        let twin = hub.get_twin().await;
        self.shared.metrics.synced(twin.is_ok());
        let twin = twin?;
        Ok(Session::new(SessionParts {
            hub,
            events,
            identities,
            client,
            location: location.clone(),
            desired_file: self.files.desired.clone(),
            twin,
            master: self.master.clone(),
            methods: Methods {
                runtime: self.runtime.clone(),
                location: location.clone(),
                trust: access.trust.clone(),
                parts: self.methods.clone(),
            },
            times: SessionTimes {
                refresh: access.options.refresh,
                renewal: renewal(TOKEN_LIFETIME, rand::random()),
            },
            shared: self.shared.clone(),
        }))
    }

    async fn connect_agent(
        &self,
        location: &DeviceLocation,
        access: &CloudAccess,
        identities: &Identities,
    ) -> Result<(Hub, Events), AttemptError> {
        let DeviceLocation { hub, device_id } = location;
        let agent = ModuleId::edge_agent();
        let generation = identities
            .modules()
            .get(&agent)
            .ok_or(AttemptError::NoAgent)?;
        let key = self
            .master
            .module_key(&agent, generation, "primary")
            .await?;
        let expiry = self.now().plus(TOKEN_LIFETIME);
        let token = token(&key, hub.as_str(), device_id, Some(&agent), expiry).await?;
        let websocket = access.options.websocket && hub.port().is_none();
        let options = HubOptions {
            hub: hub.clone(),
            // A host with a port is reached over WebSocket.
            gateway: websocket.then(|| hub.with_port(Some(WEBSOCKET_PORT))),
            device: device_id.clone(),
            module: Some(agent),
            credential: device::Credential::Token(token),
            trust: access.trust.clone(),
            keep_alive: KEEP_ALIVE,
            client_type: format!("EdgeAgent/{}", env!("CARGO_PKG_VERSION")),
        };
        Ok(Hub::connect(&options).await?)
    }
}

/// When a token is replaced: between three and four fifths of its life, by chance, so that a fleet
/// that connected together does not connect again together.
fn renewal(lifetime: Duration, chance: f64) -> Duration {
    lifetime.mul_f64(0.6 + 0.2 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_long_before_they_expire_and_not_all_at_once() {
        let hours = |hours: f64| Duration::from_secs_f64(hours * 3600.0);
        let day = hours(24.0);
        assert_eq!(renewal(day, 0.0), hours(14.4));
        assert_eq!(renewal(day, 0.5), hours(16.8));
        assert!(renewal(day, 1.0) <= hours(19.2) + Duration::from_millis(1));
    }
}
