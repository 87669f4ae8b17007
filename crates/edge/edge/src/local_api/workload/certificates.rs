//! Certificates of modules, and the roots that modules trust.

use hyper::StatusCode;
use ids::{ModuleId, Timestamp, error_chain};
use pki::Certificate;
use wire::edge_api::local::{
    CertificateResponse, IdentityCertificateRequest, PrivateKey, ServerCertificateRequest,
    TrustBundle,
};

use super::Workload;
use crate::certificates::{
    self, IssuanceError, LocalCa, ModuleCertificate, ModuleCertificateError, OpenCa,
};
use crate::local_api::http::{Refusal, Reply};

/// What a module asks for.
pub(super) enum Asked {
    Server(ServerCertificateRequest),
    Identity(IdentityCertificateRequest),
}

impl Workload {
    /// Issues a certificate to a module, with a key that is made for it. Each call issues another
    /// one, so that a module renews its certificate by asking again.
    pub(super) async fn certificate(
        &self,
        module: ModuleId,
        asked: Asked,
    ) -> Result<Reply, Refusal> {
        let location = self.shared.cloud_state.borrow().location.clone();
        let edge_ca = self.edge_ca.clone();
        let now = self.shared.now();
        let issuing = move || {
            let ca = edge_ca.open().map_err(no_ca)?;
            match asked {
                Asked::Server(asked) => {
                    let (name, until) = (asked.common_name.as_str(), asked.expiration);
                    certificates::server(&ca, &module, name, until, now).map_err(refused)
                }
                Asked::Identity(asked) => {
                    let location = location.ok_or_else(|| unavailable("no hub is assigned"))?;
                    let names = (&location.hub, &location.device_id, &module);
                    identity(&ca, names, &asked, now)
                }
            }
        };
        // To make a key takes long.
        let issued = tokio::task::spawn_blocking(issuing).await;
        let issued = issued.map_err(|_| internal())??;
        Ok(Reply::created(&response(&issued)))
    }

    /// The Edge CA, and the roots of `trust_bundle_cert`.
    pub(super) fn trust_bundle(&self) -> Result<Reply, Refusal> {
        let failed = |error: String| {
            tracing::error!(error = %error, "the trust bundle cannot be read");
            internal()
        };
        let edge_ca = self.edge_ca.trusted(self.shared.now());
        let edge_ca = edge_ca.map_err(|error| failed(error_chain(&error)))?;
        let mut certificate: String = edge_ca.iter().map(Certificate::to_pem).collect();
        if let Some(path) = &self.trust_bundle {
            let read = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            // Modules can only read PEM in UTF-8.
            let text = Certificate::file_to_pem(&read);
            certificate += &text.map_err(|error| failed(error.to_string()))?;
        }
        Ok(Reply::json(&TrustBundle { certificate }))
    }
}

fn identity(
    ca: &OpenCa,
    names: (&ids::HubHost, &ids::DeviceId, &ModuleId),
    asked: &IdentityCertificateRequest,
    now: Timestamp,
) -> Result<ModuleCertificate, Refusal> {
    certificates::identity(ca, names, asked.expiration, now).map_err(refused)
}

fn response(issued: &ModuleCertificate) -> CertificateResponse {
    CertificateResponse {
        private_key: PrivateKey {
            kind: "key".to_owned(),
            bytes: issued.private_key.as_str().to_owned(),
        },
        certificate: issued.certificate.clone(),
        expiration: issued.not_after,
    }
}

fn no_ca(error: IssuanceError) -> Refusal {
    let problem = error_chain(&error);
    tracing::error!(error = %problem, "a module gets no certificate");
    unavailable(&problem)
}

fn refused(error: ModuleCertificateError) -> Refusal {
    match error {
        ModuleCertificateError::Asked(problem) => Refusal::new(StatusCode::BAD_REQUEST, problem),
        other => {
            tracing::error!(error = %error_chain(&other), "a module gets no certificate");
            internal()
        }
    }
}

fn unavailable(problem: &str) -> Refusal {
    let message = format!("the Edge CA cannot issue now: {problem}");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
}

fn internal() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use ids::{DeviceId, HubHost};
    use serde_json::Value;

    use super::*;
    use crate::certificates::{CertificateParts, Certificates, EdgeCa, keys_in};
    use crate::clock;
    use crate::config::Config;
    use crate::identities::master_key::tests::master_in;
    use crate::provision::assignment::DeviceLocation;
    use crate::provision::guarded_clock::GuardedClock;
    use crate::state::SharedState;

    const CONFIG: &str = r#"
[provisioning]
source = "dps"
global_endpoint = "https://dps.example"
id_scope = "0ne1"
[provisioning.attestation]
method = "x509"
identity_cert = "file:///none.pem"
identity_pk = "file:///none.key"
"#;

    fn parts(folder: &Path, shared: &SharedState) -> CertificateParts {
        CertificateParts {
            folder: folder.to_owned(),
            keys: keys_in(&folder.join("keys")),
            configured_keys: keys_in(&folder.join("keys")),
            shared: shared.clone(),
            clock: Arc::new(GuardedClock::start(&folder.join("clock.json"))),
            roots: Vec::new(),
            proxies: device::Proxies::default(),
        }
    }

    fn assigned() -> SharedState {
        let shared = SharedState::default();
        shared.cloud_state.send_modify(|state| {
            state.location = Some(DeviceLocation {
                hub: HubHost::parse("hub.example").unwrap(),
                device_id: DeviceId::parse("press-7").unwrap(),
            });
        });
        shared
    }

    /// Waits for the Edge CA, which is issued in a task.
    async fn roots(edge_ca: &EdgeCa) -> Vec<Certificate> {
        for _ in 0..500 {
            let found = edge_ca.trusted(clock::now()).unwrap();
            if !found.is_empty() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no Edge CA")
    }

    fn body(reply: Result<Reply, Refusal>) -> Value {
        match reply {
            Ok(Reply::Created(value) | Reply::Json(value)) => value,
            Ok(_) => panic!("another reply"),
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    #[tokio::test]
    async fn a_module_gets_certificates_of_the_edge_ca_that_the_device_makes() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, edge_ca) = (assigned(), Arc::new(EdgeCa::default()));
        let workload = Workload {
            shared: shared.clone(),
            master: master_in(&dir.path().join("master")),
            trust_bundle: None,
            edge_ca: edge_ca.clone(),
        };
        let module = ModuleId::parse("$edgeHub").unwrap();
        let ask = |name: &str| {
            Asked::Server(ServerCertificateRequest {
                common_name: name.to_owned(),
                expiration: None,
            })
        };
        let early = workload.certificate(module.clone(), ask("a")).await;
        let early = early.err().map(|refusal| refusal.status);
        assert_eq!(early, Some(StatusCode::SERVICE_UNAVAILABLE));

        let (config, _) = Config::parse(CONFIG).unwrap();
        let parts = parts(dir.path(), &shared);
        let started = Certificates::start(&config, &parts, &edge_ca).unwrap();
        assert!(started.identity().is_none());
        let ca = roots(&edge_ca).await;
        assert_eq!(ca[0].subject(), "CN=aziot-edge CA press-7");
        let bundle = body(workload.trust_bundle());
        assert_eq!(bundle["certificate"], ca[0].to_pem());

        let issued = body(
            workload
                .certificate(module.clone(), ask("press-7.local"))
                .await,
        );
        assert_eq!(issued["privateKey"]["type"], "key");
        let chain = issued["certificate"].as_str().unwrap();
        let chain = Certificate::parse_pem_bundle(chain).unwrap();
        assert_eq!(chain[1..], ca);
        assert!(chain[0].is_signed_by(&ca[0]));
        let asked = Asked::Identity(IdentityCertificateRequest::default());
        let named = body(workload.certificate(module.clone(), asked).await);
        assert!(named["expiration"].is_string());
        let refused = workload.certificate(module, ask("a b")).await;
        let refused = refused.err().map(|refusal| refusal.status);
        assert_eq!(refused, Some(StatusCode::BAD_REQUEST));

        // The Edge CA is kept.
        drop(started);
        let again = Arc::new(EdgeCa::default());
        let _started = Certificates::start(&config, &parts, &again).unwrap();
        assert_eq!(roots(&again).await, ca);
    }
}
