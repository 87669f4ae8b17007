//! From the configuration to the certificates of the device and the tasks that renew them.

mod issuers;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

use device::Proxies;
use ids::DeviceId;
use pki::{Certificate, KeyType, Profile, Subject};
use tokio::task::JoinSet;

use super::edge_ca::{self, EdgeCa, EdgeCaTask, Source};
use super::expiry::{ExpiryTask, Watched};
use super::identity_files::{ConfiguredKeys, IdentityFiles};
use super::issuer::{IssuanceError, LocalCa, OpenCa};
use super::keys::{KeyPairs, NamedKey};
use super::managed::{Managed, Wanted};
use super::renewal_task::{IssuedBy, Proof, RenewalTask};
use super::source::IdentitySource;
use crate::config::{
    self, CertIssuance, DEVICE_ID, EDGE_CA, FileReference, IdentityCertificate, Issuance,
    IssuanceMethod, KeyLocation, LOCAL_CA,
};
use crate::provision::guarded_clock::GuardedClock;
use crate::state::SharedState;
use issuers::Issuers;

/// What the certificates of a device need.
#[derive(Debug, Clone)]
pub struct CertificateParts {
    /// Where slots are kept.
    pub folder: PathBuf,
    pub keys: Arc<dyn KeyPairs>,
    pub configured_keys: Arc<dyn ConfiguredKeys>,
    pub shared: SharedState,
    /// The time that the device goes by.
    pub clock: Arc<GuardedClock>,
    /// The roots of `trust_bundle_cert`.
    pub roots: Vec<Certificate>,
    /// How servers are reached.
    pub proxies: Proxies,
}

/// The certificates of the device. Dropping it ends their renewal.
#[derive(Debug, Default)]
pub struct Certificates {
    identity: Option<Arc<Managed>>,
    /// Each ends with this value.
    _tasks: JoinSet<()>,
}

impl Certificates {
    /// Opens what is kept and begins to renew. `edge_ca` is the configured one from then on.
    pub fn start(
        config: &config::Config,
        parts: &CertificateParts,
        edge_ca: &Arc<EdgeCa>,
    ) -> Result<Self, IssuanceError> {
        let mut tasks = JoinSet::new();
        let assembly = Assembly {
            parts,
            issuers: &config.cert_issuance,
        };
        let local_ca = assembly.local_ca(&mut tasks)?;
        let identity = match config
            .source
            .x509()
            .map(|x509| (&x509.certificate, &x509.key))
        {
            Some((IdentityCertificate::Issued(issuance), key)) => {
                let task = assembly.identity((issuance, key), local_ca.as_ref())?;
                let managed = task.managed.clone();
                tasks.spawn(task.run());
                Some(managed)
            }
            Some((IdentityCertificate::File(_), _)) | None => None,
        };
        match &config.edge_ca {
            config::EdgeCa::Files { certificate, key } => {
                let files = assembly.files(certificate.clone(), key.clone());
                edge_ca.use_from_now(Source::Files(files));
            }
            config::EdgeCa::Issued(issuance) => {
                tasks.spawn(assembly.edge_ca(issuance, edge_ca, local_ca));
            }
        }
        let expiry = ExpiryTask {
            watched: watched(config, identity.as_ref(), edge_ca),
            shared: parts.shared.clone(),
        };
        tasks.spawn(expiry.run());
        Ok(Self {
            identity,
            _tasks: tasks,
        })
    }

    /// The identity, if it is issued on or for this device.
    #[must_use]
    pub fn identity(&self) -> Option<Arc<dyn IdentitySource>> {
        let identity = self.identity.clone()?;
        Some(identity)
    }
}

/// The certificates whose expiry is shown and warned of.
fn watched(
    config: &config::Config,
    identity: Option<&Arc<Managed>>,
    edge_ca: &Arc<EdgeCa>,
) -> Vec<Watched> {
    let file = |id: &str, file: &FileReference| Watched::File {
        id: id.to_owned(),
        file: file.clone(),
    };
    let mut all = Vec::new();
    match config.source.x509().map(|x509| &x509.certificate) {
        Some(IdentityCertificate::File(named)) => all.push(file(DEVICE_ID, named)),
        Some(IdentityCertificate::Issued(issuance)) => {
            all.extend(identity.cloned().map(Watched::Managed));
            let client = match &issuance.method {
                IssuanceMethod::Est(est) => est.auth.client.as_ref(),
                IssuanceMethod::Dps(client) => Some(&**client),
                _ => None,
            };
            all.extend(client.map(|client| file(&client.id, &client.certificate)));
        }
        None => {}
    }
    match &config.edge_ca {
        config::EdgeCa::Files { certificate, .. } => all.push(file(EDGE_CA, certificate)),
        config::EdgeCa::Issued(_) => all.push(Watched::EdgeCa(edge_ca.clone())),
    }
    if let Some(config::LocalCa::Files { certificate, .. }) = &config.cert_issuance.local_ca {
        all.push(file(LOCAL_CA, certificate));
    }
    all
}

/// A CA that is issued to this device.
#[derive(Debug)]
struct ManagedCa(Arc<Managed>);

impl LocalCa for ManagedCa {
    fn open(&self) -> Result<OpenCa, IssuanceError> {
        edge_ca::open(&self.0)
    }
}

type SharedCa = Arc<dyn LocalCa>;

struct Assembly<'a> {
    parts: &'a CertificateParts,
    issuers: &'a CertIssuance,
}

impl Assembly<'_> {
    fn files(&self, certificate: FileReference, key: KeyLocation) -> IdentityFiles {
        let issuers = Issuers { parts: self.parts };
        issuers.files(certificate, key)
    }

    /// The CA of `[cert_issuance.local_ca]`, and the task that renews it, if it is issued.
    fn local_ca(&self, tasks: &mut JoinSet<()>) -> Result<Option<SharedCa>, IssuanceError> {
        Ok(match &self.issuers.local_ca {
            None => None,
            Some(config::LocalCa::Files { certificate, key }) => {
                Some(Arc::new(self.files(certificate.clone(), key.clone())))
            }
            Some(config::LocalCa::Issued(issuance)) => {
                // It may issue the Edge CA, below which there are no more.
                let profile = match issuance.method {
                    IssuanceMethod::SelfSigned => Profile::Root { path_length: 1 },
                    _ => Profile::Intermediate { path_length: 1 },
                };
                let usual = Subject::common_name(LOCAL_CA)?;
                let subject = settings::subject(issuance, usual)?;
                let what = What {
                    id: LOCAL_CA,
                    profile,
                    subject,
                    proof: Proof::AtOnce,
                    keys: self.parts.keys.clone(),
                };
                let task = self.task(what, issuance, None)?;
                let ca = ManagedCa(task.managed.clone());
                tasks.spawn(task.run());
                Some(Arc::new(ca))
            }
        })
    }

    fn identity(
        &self,
        (issuance, key): (&Issuance, &KeyLocation),
        local_ca: Option<&SharedCa>,
    ) -> Result<RenewalTask, IssuanceError> {
        let keys = self.parts.keys.clone();
        let keys = match key {
            KeyLocation::Held => keys,
            _ => Arc::new(NamedKey {
                keys,
                id: DEVICE_ID,
            }),
        };
        // The configuration has put the registration id or the device id there.
        let subject = settings::own_subject(issuance)?.ok_or_else(|| {
            IssuanceError::Files("the identity certificate has no common name".to_owned())
        })?;
        let what = What {
            id: DEVICE_ID,
            profile: Profile::EdgeIdentity,
            subject,
            proof: Proof::AtHub,
            keys,
        };
        self.task(what, issuance, local_ca)
    }

    fn edge_ca(
        &self,
        issuance: &Issuance,
        edge_ca: &Arc<EdgeCa>,
        local_ca: Option<SharedCa>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (parts, issuers) = (self.parts.clone(), self.issuers.clone());
        let issuance = issuance.clone();
        let renewal = move |device: &DeviceId| {
            let assembly = Assembly {
                parts: &parts,
                issuers: &issuers,
            };
            let subject = settings::subject(&issuance, edge_ca::subject(device)?)?;
            let what = What {
                id: EDGE_CA,
                profile: Profile::EdgeCa,
                subject,
                proof: Proof::AtOnce,
                keys: parts.keys.clone(),
            };
            assembly.task(what, &issuance, local_ca.as_ref())
        };
        let task = EdgeCaTask {
            edge_ca: edge_ca.clone(),
            cloud_state: self.parts.shared.cloud_state.subscribe(),
            renewal,
        };
        task.run()
    }

    fn task(
        &self,
        what: What,
        issuance: &Issuance,
        local_ca: Option<&SharedCa>,
    ) -> Result<RenewalTask, IssuanceError> {
        let wanted = Wanted {
            id: what.id.to_owned(),
            profile: what.profile,
            subject: what.subject,
            key_type: KeyType::Ec,
            issuer: settings::issuer_name(&issuance.method),
            renewal: issuance.auto_renew.map(settings::renewal),
            bootstrap: match &issuance.method {
                IssuanceMethod::Dps(client) => {
                    Some(self.files(client.certificate.clone(), client.key.clone()))
                }
                _ => None,
            },
        };
        let file = self.parts.folder.join(format!("{}.json", what.id));
        let managed = Arc::new(Managed::open(wanted, file, what.keys)?);
        let issued_by = match &issuance.method {
            IssuanceMethod::LocalCa | IssuanceMethod::SelfSigned => IssuedBy::Device,
            IssuanceMethod::Est(_) | IssuanceMethod::Dps(_) => IssuedBy::Server,
        };
        let retry = issuance.auto_renew.unwrap_or_default().retry;
        let (parts, issuance) = (self.parts.clone(), issuance.clone());
        let (local_ca, renewed) = (local_ca.cloned(), managed.clone());
        let issuer = move || Issuers { parts: &parts }.make(&issuance, local_ca.as_ref(), &renewed);
        Ok(RenewalTask {
            shared: self.parts.shared.clone(),
            issuer: Box::new(issuer),
            managed,
            proof: what.proof,
            issued_by,
            retry,
        })
    }
}

/// Which certificate a task is for.
struct What {
    id: &'static str,
    profile: Profile,
    subject: Subject,
    proof: Proof,
    /// Where its keys are.
    keys: Arc<dyn KeyPairs>,
}
