//! Calls about one device at a remote hub.

use ids::DeviceId;
use provisioning::{Choice, MovedData, Registrant};
use serde_json::{Map, Value};
use wire::service_api::identity::{Authentication, Status};
use wire::service_api::remote_hub::{NewDevice, RemoteTwin};

use super::Fault;
use crate::remote_hub::client::RemoteHub;

/// A device at the remote hub that it gets, or stays in.
pub struct RemoteDevice<'a> {
    pub remote: RemoteHub<'a>,
    pub registrant: &'a Registrant,
    pub choice: &'a Choice,
    pub device_id: &'a DeviceId,
    /// Whether an earlier try may have created the device.
    pub begun_before: bool,
}

impl RemoteDevice<'_> {
    /// Creates a device that was not there when the plan was made. One that is there now was
    /// created by an earlier try, if there was one and it has the credential that this gave it;
    /// another one was created by somebody else.
    pub async fn create(&self, moved: Option<&MovedData>) -> Result<(), Fault> {
        let registrant = self.registrant;
        let authentication = registrant.proof.authentication();
        let id = self.device_id;
        let disabled = moved.filter(|moved| moved.status == Status::Disabled);
        let new = NewDevice {
            device_id: id,
            authentication: &authentication,
            iot_edge: moved.map_or(registrant.iot_edge, |moved| moved.iot_edge),
            disabled: disabled.map(|moved| moved.status_reason.as_deref().unwrap_or_default()),
        };
        let created = self.remote.create(&new).await?;
        if !created {
            self.require_own(&authentication).await?;
        }
        let [tags, desired] = self.twin(moved)?;
        // The twin of a new device is empty.
        if !created || !tags.is_empty() || !desired.is_empty() {
            let body = RemoteTwin::body(&tags, &desired);
            self.remote.put_twin(id, &body).await?;
        }
        Ok(())
    }

    async fn require_own(&self, created_with: &Authentication) -> Result<(), Fault> {
        let found = self.remote.device(self.device_id).await?;
        let found = found.ok_or_else(|| self.remote.changed())?;
        match self.begun_before && found.authentication.as_ref() == Some(created_with) {
            true => Ok(()),
            false => Err(Fault::Appeared),
        }
    }

    /// A device that was there keeps everything but its credential; its twin as well, unless that
    /// is reset or a webhook answered with one.
    pub async fn refresh(&self, reset: bool) -> Result<(), Fault> {
        let iot_edge = reset && self.registrant.iot_edge;
        self.update_credential(iot_edge).await?;
        if reset || self.choice.twin.is_some() {
            let [tags, desired] = self.twin(None)?;
            let body = RemoteTwin::body(&tags, &desired);
            self.remote.put_twin(self.device_id, &body).await?;
        }
        Ok(())
    }

    async fn update_credential(&self, iot_edge: bool) -> Result<(), Fault> {
        let authentication = self.registrant.proof.authentication();
        let id = self.device_id;
        let found = self.remote.device(id).await?;
        let found = found.ok_or_else(|| self.remote.changed())?;
        let body = match iot_edge && !found.iot_edge {
            true => found.of_edge_proving_itself_by(&authentication),
            false if found.authentication.as_ref() == Some(&authentication) => return Ok(()),
            false => found.proving_itself_by(&authentication),
        };
        Ok(self.remote.update(id, &found.etag, &body).await?)
    }

    /// Tags and desired properties: the webhook's, else those that it
    /// takes along, else its enrollment's.
    fn twin(&self, moved: Option<&MovedData>) -> Result<[Map<String, Value>; 2], Fault> {
        let registrant = self.registrant;
        Ok(match (&self.choice.twin, moved) {
            (Some(twin), _) => twin.documents()?,
            (None, Some(moved)) => moved.twin.documents()?,
            (None, None) => registrant.initial_twin.documents()?,
        })
    }
}
