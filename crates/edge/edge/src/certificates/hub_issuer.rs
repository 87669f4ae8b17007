//! The hub as issuer: a device whose certificate came with its registration gets the next one
//! over `$iothub/credentials`.

use std::sync::Arc;

use device::{Credential, HubError, HubOptions, RenewalError, Trust, renew_at_hub};
use pki::Certificate;
use tokio::sync::watch;

use super::issuer::{IssuanceError, Request};
use super::managed::Managed;
use crate::state::CloudState;

/// Longest silence towards the hub, seconds: longer than it takes to issue a certificate.
const KEEP_ALIVE: u16 = 240;

/// The hub that the device is assigned to.
#[derive(Debug)]
pub struct HubIssuer {
    pub cloud_state: watch::Receiver<CloudState>,
    pub trust: Trust,
    /// The certificate, which is requested by registering when the hub gives none.
    pub managed: Arc<Managed>,
}

impl HubIssuer {
    pub(super) async fn issue(
        &self,
        request: &Request<'_>,
    ) -> Result<Vec<Certificate>, IssuanceError> {
        let current = request.current.clone();
        let current = current.filter(|current| current.leaf().not_after() >= request.now);
        let current = current.ok_or(IssuanceError::AtRegistration)?;
        let location = self.cloud_state.borrow().location.clone();
        let location = location.ok_or(IssuanceError::AtRegistration)?;
        let options = HubOptions {
            hub: location.hub,
            gateway: None,
            device: location.device_id,
            module: None,
            credential: Credential::Certificate(current),
            trust: self.trust.clone(),
            keep_alive: KEEP_ALIVE,
            client_type: format!("EdgeAgent/{}", env!("CARGO_PKG_VERSION")),
        };
        let renewed = renew_at_hub(&options, request.csr).await;
        if let Err(error) = &renewed
            && (error.is_not_entitled()
                || matches!(error, RenewalError::Hub(HubError::Refused { .. })))
        {
            self.managed.register_for_the_next();
        }
        Ok(renewed?)
    }
}
