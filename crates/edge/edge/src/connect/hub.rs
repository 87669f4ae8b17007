//! Opens a session with the hub of an assignment.

use std::collections::BTreeSet;
use std::time::Duration;

use device::{Events, Hub, HubOptions, ModuleIdentities, token};
use ids::ModuleId;

use super::CloudParts;
use super::attempt::AttemptError;
use crate::identities::Identities;
use crate::provision::CloudAccess;
use crate::provision::assignment::DeviceLocation;
use crate::runtime::ModuleRuntime;
use crate::session::{Session, SessionParts};

/// How long a token of `$edgeAgent` is valid. The hub closes the connection when it expires, and
/// the next connection gets a new token.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Longest silence towards the hub, seconds: shorter than home routers keep an idle connection.
const KEEP_ALIVE: u16 = 120;

impl<R: ModuleRuntime> CloudParts<R> {
    pub(super) async fn open_session(
        &self,
        location: &DeviceLocation,
        access: &CloudAccess,
        credential: usize,
        renew_keys: bool,
    ) -> Result<Session<R>, AttemptError> {
        let DeviceLocation { hub, device_id } = location;
        let credential = access.for_hub(credential, location);
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
        let twin = hub.get_twin().await?;
        Ok(Session::new(SessionParts {
            hub,
            events,
            identities,
            client,
            location: location.clone(),
            desired_file: self.files.desired.clone(),
            twin,
            master: self.master.clone(),
            runtime: self.runtime.clone(),
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
            .ok_or(AttemptError::NoAgent)?;
        let expiry = self.now().plus(TOKEN_LIFETIME);
        let token = token(&key, hub.as_str(), device_id, Some(&agent), expiry).await?;
        let options = HubOptions {
            hub: hub.clone(),
            gateway: None,
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
