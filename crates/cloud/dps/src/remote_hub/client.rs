//! A remote hub through its service API: another Muster, or an Azure IoT Hub.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use ids::{DeviceId, Etag};
use outbound::{OnBehalf, OutboundAnswer, OutboundCall};
use provisioning::{HubAccess, LinkedHub, RemoteAccess};
use serde_json::Value;
use wire::sas::SharedAccessKey;
use wire::service_api::remote_hub::{self, MAX_ANSWER, NewDevice, RemoteDevice, RemoteTwin};
use zeroize::Zeroizing;

use crate::service::Dps;

use super::fault::RemoteFault;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a token is valid; clocks may differ.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// A remote hub, and the key of its link. Each of its answers updates its health.
pub struct RemoteHub<'a> {
    dps: &'a Dps,
    hub: &'a LinkedHub,
    access: &'a RemoteAccess,
}

struct Ask<'b> {
    method: Method,
    path: String,
    if_match: Option<String>,
    body: Option<&'b Value>,
}

impl Ask<'_> {
    fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            if_match: None,
            body: None,
        }
    }
}

impl<'a> RemoteHub<'a> {
    /// `None` for a hub of this server.
    pub fn for_link(dps: &'a Dps, hub: &'a LinkedHub) -> Option<Self> {
        match &hub.access {
            HubAccess::Local => None,
            HubAccess::Remote(access) => Some(Self { dps, hub, access }),
        }
    }

    /// Whether it answers and accepts the key of its link.
    pub async fn probe(&self) -> Result<(), RemoteFault> {
        let answer = self.ask(Ask::get(remote_hub::probe_path())).await?;
        self.require(&answer).map(drop)
    }

    /// `None` when it has no such device.
    pub async fn device(&self, id: &DeviceId) -> Result<Option<RemoteDevice>, RemoteFault> {
        let answer = self.ask(Ask::get(remote_hub::device_path(id))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.require(&answer)?;
        let device = RemoteDevice::parse(body).map_err(|error| self.unreadable(&error))?;
        Ok(Some(device))
    }

    /// Creates a device. `false` when it has one of that id.
    pub async fn create(&self, new: &NewDevice<'_>) -> Result<bool, RemoteFault> {
        let ask = Ask {
            method: Method::PUT,
            path: remote_hub::device_path(new.device_id),
            if_match: None,
            body: Some(&new.to_json()),
        };
        let answer = self.ask(ask).await?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(false);
        }
        self.require(&answer).map(|_| true)
    }

    /// Updates a device that is still at the version that was read.
    pub async fn update(
        &self,
        id: &DeviceId,
        etag: &Etag,
        body: &Value,
    ) -> Result<(), RemoteFault> {
        let ask = Ask {
            method: Method::PUT,
            path: remote_hub::device_path(id),
            if_match: Some(format!("\"{etag}\"")),
            body: Some(body),
        };
        let answer = self.ask(ask).await?;
        self.require(&answer).map(drop)
    }

    /// Deletes a device that is still at the version that was read.
    pub async fn delete(&self, id: &DeviceId, etag: &Etag) -> Result<(), RemoteFault> {
        let ask = Ask {
            method: Method::DELETE,
            path: remote_hub::device_path(id),
            if_match: Some(format!("\"{etag}\"")),
            body: None,
        };
        let answer = self.ask(ask).await?;
        match answer.status == StatusCode::NOT_FOUND {
            true => Ok(()),
            false => self.require(&answer).map(drop),
        }
    }

    /// `None` when it has no such device.
    pub async fn twin(&self, id: &DeviceId) -> Result<Option<RemoteTwin>, RemoteFault> {
        let answer = self.ask(Ask::get(remote_hub::twin_path(id))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = self.require(&answer)?;
        let twin = RemoteTwin::parse(body).map_err(|error| self.unreadable(&error))?;
        Ok(Some(twin))
    }

    /// Replaces tags and desired properties of a device's twin.
    pub async fn put_twin(&self, id: &DeviceId, body: &Value) -> Result<(), RemoteFault> {
        let ask = Ask {
            method: Method::PUT,
            path: remote_hub::twin_path(id),
            if_match: Some("*".to_owned()),
            body: Some(body),
        };
        let answer = self.ask(ask).await?;
        self.require(&answer).map(drop)
    }

    /// The device was there a moment ago.
    pub fn changed(&self) -> RemoteFault {
        RemoteFault::Changed {
            hub: self.hub.name.clone(),
        }
    }

    async fn ask(&self, ask: Ask<'_>) -> Result<OutboundAnswer, RemoteFault> {
        let token = self.token()?;
        let mut headers = vec![("authorization", token)];
        headers.extend(ask.if_match.map(|etag| ("if-match", etag)));
        let call = OutboundCall {
            on_behalf: self.on_behalf(),
            method: ask.method,
            url: Zeroizing::new(format!("https://{}{}", self.hub.host, ask.path)),
            headers,
            body: ask.body.map(|body| body.to_string().into_bytes()),
            limit: MAX_ANSWER,
            timeout: TIMEOUT,
        };
        let answer = self.dps.outbound().call(call).await;
        let name = &self.hub.name;
        let answer = answer.map_err(|fault| RemoteFault::NoAnswer {
            hub: name.clone(),
            fault,
        });
        let failure = match &answer {
            Err(fault) => Some(fault.to_string()),
            Ok(answer) => self
                .require(answer)
                .err()
                .filter(RemoteFault::is_hub_failure)
                .map(|fault| fault.to_string()),
        };
        self.dps
            .hub_health()
            .observe(self.hub, failure, self.dps.now());
        answer
    }

    /// A remote hub is linked to one service, for which it is called.
    fn on_behalf(&self) -> OnBehalf {
        let first = self.dps.tenants().first().service();
        match first.hub(&self.hub.name) {
            Some(_) => OnBehalf::Owner,
            None => OnBehalf::Tenant,
        }
    }

    fn require<'b>(&self, answer: &'b OutboundAnswer) -> Result<&'b [u8], RemoteFault> {
        match RemoteFault::from_answer(&self.hub.name, answer) {
            None => Ok(&answer.body),
            Some(fault) => Err(fault),
        }
    }

    fn token(&self) -> Result<String, RemoteFault> {
        let key = SharedAccessKey::try_from(&self.access.key);
        let key = key.map_err(|error| self.unreadable(&error))?;
        let expiry = self.dps.now().plus(TOKEN_LIFETIME);
        let resource = self.hub.host.as_str();
        let policy = Some(self.access.policy.as_str());
        Ok(wire::sas::build(resource, policy, expiry, &key))
    }

    fn unreadable(&self, problem: &dyn std::fmt::Display) -> RemoteFault {
        RemoteFault::Unreadable {
            hub: self.hub.name.clone(),
            problem: problem.to_string(),
        }
    }
}
