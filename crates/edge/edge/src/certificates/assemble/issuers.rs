use std::sync::Arc;

use device::Trust;
use device::est::{EstPassword, EstServer};

use super::{CertificateParts, SharedCa};
use crate::certificates::hub_issuer::HubIssuer;
use crate::certificates::identity_files::{IdentityFiles, read_certificates};
use crate::certificates::issuer::{
    CertificateIssuer, EstClientCertificate, EstIssuer, IssuanceError, USUAL_LIFETIME,
};
use crate::certificates::managed::Managed;
use crate::config::{
    EstClientKind, EstSettings, FileReference, Issuance, IssuanceMethod, KeyLocation,
};

/// Makes issuers of what the configuration says.
pub(super) struct Issuers<'a> {
    pub(super) parts: &'a CertificateParts,
}

impl Issuers<'_> {
    pub(super) fn files(&self, certificate: FileReference, key: KeyLocation) -> IdentityFiles {
        IdentityFiles {
            certificate,
            key,
            keys: self.parts.configured_keys.clone(),
        }
    }

    pub(super) fn make(
        &self,
        issuance: &Issuance,
        local_ca: Option<&SharedCa>,
        managed: &Arc<Managed>,
    ) -> Result<CertificateIssuer, IssuanceError> {
        let lifetime = issuance.lifetime.unwrap_or(USUAL_LIFETIME);
        Ok(match &issuance.method {
            IssuanceMethod::SelfSigned => CertificateIssuer::SelfSigned { lifetime },
            IssuanceMethod::LocalCa => CertificateIssuer::LocalCa {
                ca: local_ca.cloned().ok_or(IssuanceError::NoCa)?,
                lifetime,
            },
            IssuanceMethod::Est(est) => CertificateIssuer::Est(Box::new(self.est(est)?)),
            IssuanceMethod::Dps(_) => CertificateIssuer::Hub(HubIssuer {
                cloud_state: self.parts.shared.cloud_state.subscribe(),
                trust: self.trust(&[])?,
                managed: managed.clone(),
            }),
        })
    }

    fn est(&self, est: &EstSettings) -> Result<EstIssuer, IssuanceError> {
        let server = EstServer::new(est.url.is_https, est.url.host.clone(), &est.url.path);
        let client = match &est.auth.client {
            None => EstClientCertificate::Own,
            Some(client) => {
                let files = self.files(client.certificate.clone(), client.key.clone());
                match client.kind {
                    EstClientKind::Identity => EstClientCertificate::Files(files),
                    EstClientKind::Bootstrap => EstClientCertificate::Bootstrap(files),
                }
            }
        };
        Ok(EstIssuer {
            server,
            trust: self.trust(&est.trusted)?,
            password: est.auth.basic.as_ref().map(|user| EstPassword {
                username: user.username.clone(),
                password: user.password.reveal().to_owned(),
            }),
            client,
        })
    }

    /// The roots of the system, of `trust_bundle_cert`, and of some files.
    fn trust(&self, files: &[FileReference]) -> Result<Trust, IssuanceError> {
        let mut roots = self.parts.roots.clone();
        for file in files {
            roots.extend(read_certificates(file)?);
        }
        let trust = Trust::native_and(&roots);
        let trust = trust.map(|trust| {
            let trust = trust.through(self.parts.proxies.clone());
            trust.by_clock(self.parts.clock.clone())
        });
        trust.map_err(|error| IssuanceError::Files(error.to_string()))
    }
}
