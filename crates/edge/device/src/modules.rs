//! Module identities on a hub.

use std::time::Duration;

use hyper::Method;
use ids::{DeviceId, HubHost, ModuleId};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wire::error::HubHttpError;
use wire::service_api::device_view::{
    DeviceModule, DeviceModuleRequest, module_path, modules_path,
};

use crate::provision::excerpt;
use crate::{Answer, Credential, HttpsClient, HttpsError, Trust};

#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    #[error("the hub cannot be asked about module identities")]
    Connection(#[from] HttpsError),
    #[error("the hub refused with {status}: {message}")]
    Refused {
        status: u16,
        /// Six digits, if the answer has them.
        code: Option<u32>,
        message: String,
        /// The pause that the hub asks for.
        retry_after: Option<Duration>,
    },
    #[error("the hub answered with something else than module identities")]
    Answer(#[source] serde_json::Error),
}

/// The module identities of one device, as the device itself manages them.
pub struct ModuleIdentities {
    client: HttpsClient,
    device: DeviceId,
}

impl ModuleIdentities {
    /// The identities of `device` on `hub`, port 443 unless it has a port.
    #[must_use]
    pub fn new(hub: HubHost, device: DeviceId, trust: &Trust, credential: &Credential) -> Self {
        let client = HttpsClient::new(hub, trust, credential);
        Self { client, device }
    }

    pub async fn list(&self) -> Result<Vec<DeviceModule>, ModuleError> {
        read(
            &self
                .send(Method::GET, &modules_path(&self.device), None, None)
                .await?,
        )
    }

    /// `None` if there is no such module.
    pub async fn get(&self, module: &ModuleId) -> Result<Option<DeviceModule>, ModuleError> {
        let answer = self
            .send(Method::GET, &module_path(&self.device, module), None, None)
            .await;
        match answer {
            Ok(answer) => read(&answer).map(Some),
            Err(ModuleError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates an identity, or changes an existing one if `overwrite` is set. Returns the identity
    /// that the hub then has. Without `overwrite` an existing identity is an error.
    pub async fn put(
        &self,
        request: &DeviceModuleRequest,
        overwrite: bool,
    ) -> Result<DeviceModule, ModuleError> {
        let target = module_path(&self.device, &request.module);
        let if_match = overwrite.then_some("*");
        read(
            &self
                .send(Method::PUT, &target, Some(&request.to_json()), if_match)
                .await?,
        )
    }

    /// Removes an identity. A missing one is no error.
    pub async fn delete(&self, module: &ModuleId) -> Result<(), ModuleError> {
        let target = module_path(&self.device, module);
        match self.send(Method::DELETE, &target, None, Some("*")).await {
            Ok(_) | Err(ModuleError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        body: Option<&Value>,
        if_match: Option<&str>,
    ) -> Result<Answer, ModuleError> {
        let answer = self.client.send(method, target, body, if_match).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let (code, message) = serde_json::from_slice::<HubHttpError>(&answer.body)
            .map_or_else(|_| (None, excerpt(&answer.body)), |error| error.read());
        Err(ModuleError::Refused {
            status: answer.status,
            code,
            message,
            retry_after: answer.retry_after,
        })
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ModuleError> {
    serde_json::from_slice(&answer.body).map_err(ModuleError::Answer)
}
