//! The Edge CA: the CA of the modules' certificates.

use std::sync::{Arc, PoisonError, RwLock};

use ids::{DeviceId, Timestamp};
use pki::{Certificate, IssueError, Issuer, Subject};
use tokio::sync::watch;

use super::identity_files::IdentityFiles;
use super::issuer::{IssuanceError, LocalCa, OpenCa};
use super::managed::Managed;
use super::renewal_task::RenewalTask;
use crate::clock;
use crate::state::CloudState;

/// What Azure's runtime puts before the device id.
const PREFIX: &str = "aziot-edge CA ";

/// The Edge CA as it is now. Clones of its `Arc` see its renewals.
#[derive(Debug, Default)]
pub struct EdgeCa {
    source: RwLock<Option<Source>>,
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    /// Files that the owner renews.
    Files(IdentityFiles),
    Managed(Arc<Managed>),
}

impl EdgeCa {
    /// The certificates that clients of the modules have to trust: those of the CA, and earlier
    /// ones that are still valid, because what they have issued is in use.
    pub fn trusted(&self, now: Timestamp) -> Result<Vec<Certificate>, IssuanceError> {
        match self.source() {
            None => Ok(Vec::new()),
            Some(Source::Files(files)) => files.chain(),
            Some(Source::Managed(managed)) => {
                let mut all = managed.active_chain();
                for former in managed.former(now) {
                    if !all.contains(&former) {
                        all.push(former);
                    }
                }
                Ok(all)
            }
        }
    }

    /// The certificate, if it is issued on or for the device.
    pub(super) fn managed(&self) -> Option<Arc<Managed>> {
        match self.source() {
            Some(Source::Managed(managed)) => Some(managed),
            Some(Source::Files(_)) | None => None,
        }
    }

    fn source(&self) -> Option<Source> {
        let source = self.source.read();
        source.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn use_from_now(&self, newer: Source) {
        let mut source = self.source.write().unwrap_or_else(PoisonError::into_inner);
        *source = Some(newer);
    }
}

impl LocalCa for EdgeCa {
    fn open(&self) -> Result<OpenCa, IssuanceError> {
        match self.source() {
            None => Err(IssuanceError::NoCa),
            Some(Source::Files(files)) => files.open(),
            Some(Source::Managed(managed)) => open(&managed),
        }
    }
}

/// The CA of a certificate that is issued to this device.
pub(super) fn open(managed: &Managed) -> Result<OpenCa, IssuanceError> {
    // A candidate of a CA is proven as soon as it is written.
    let found = managed.presentable(clock::now())?.into_iter().next();
    let found = found.ok_or(IssuanceError::NoCa)?;
    Ok(OpenCa {
        issuer: Issuer::new(found.leaf().clone(), found.signer)?,
        chain: found.chain,
    })
}

/// The subject of the Edge CA of a device. A device id that leaves no room for Azure's prefix
/// stands alone.
pub(super) fn subject(device: &DeviceId) -> Result<Subject, IssueError> {
    let usual = Subject::common_name(&format!("{PREFIX}{device}"));
    usual.or_else(|_| Subject::common_name(device.as_str()))
}

/// Issues and renews the Edge CA, whose name follows from the device id.
pub(super) struct EdgeCaTask<F> {
    pub(super) edge_ca: Arc<EdgeCa>,
    pub(super) cloud_state: watch::Receiver<CloudState>,
    /// Opens what is kept for a device, and says how it is renewed.
    pub(super) renewal: F,
}

impl<F> EdgeCaTask<F>
where
    F: Fn(&DeviceId) -> Result<RenewalTask, IssuanceError> + Send,
{
    /// Runs until its task is aborted. With another device id it begins again.
    pub(super) async fn run(mut self) {
        loop {
            let is_known = |state: &CloudState| state.location.is_some();
            let device = match self.cloud_state.wait_for(is_known).await {
                Ok(state) => state.location.as_ref().map(|at| at.device_id.clone()),
                Err(_) => return,
            };
            let Some(device) = device else { continue };
            let renewing = match (self.renewal)(&device) {
                Ok(task) => {
                    let managed = task.managed.clone();
                    self.edge_ca.use_from_now(Source::Managed(managed));
                    Some(task.run())
                }
                Err(error) => {
                    tracing::error!(
                        error = %ids::error_chain(&error),
                        "modules get no certificates: the Edge CA cannot be issued"
                    );
                    None
                }
            };
            let is_other = |state: &CloudState| {
                let now = state.location.as_ref().map(|at| &at.device_id);
                now.is_some_and(|now| *now != device)
            };
            // Both may be dropped at any point: what they have written is resumed.
            tokio::select! {
                () = run_or_wait(renewing) => {}
                changed = self.cloud_state.wait_for(is_other) => if changed.is_err() { return },
            }
        }
    }
}

async fn run_or_wait(task: Option<impl Future<Output = ()>>) {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_azures_where_it_fits() {
        let name = |device: &str| {
            let device = DeviceId::parse(device).unwrap();
            subject(&device).map(|subject| subject.as_str().to_owned())
        };
        assert_eq!(name("press-7").unwrap(), "aziot-edge CA press-7");
        let fits = "d".repeat(50);
        assert_eq!(name(&fits).unwrap(), format!("aziot-edge CA {fits}"));
        let alone = "d".repeat(64);
        assert_eq!(name(&alone).unwrap(), alone);
        assert!(name(&"d".repeat(65)).is_err());
    }
}
