//! Renews the server's certificates while the server runs, so that they are valid and name every
//! host of the data directory.
//!
//! The P-256 certificate exists before the ports are opened. An RSA key takes a moment to
//! make: at the first start it is made while the server runs, and a client that needs it
//! has to connect again.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ca::{ServerCredential, ServerKind};
use pki::Certificate;
use provisioning::Provisioning;
use registry::{Change, Watcher};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::JoinSet;
use transport::shutdown;
use transport::tls::certificate_files::OwnCertificates;
use transport::tls::{Certificates, CurrentCertificate};

use super::config::ServeConfig;
use crate::clock;
use expiry::ExpiryWatch;

mod expiry;

/// The time between two looks at the age of the server's own certificate.
const RENEWAL_CHECK: Duration = Duration::from_secs(3600);
/// The time between two looks at the operator's certificate files.
const OWN_CHECK: Duration = Duration::from_secs(5);
/// The time until a certificate that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Counts the changes of services and hubs. A count stands for all before it.
type Count = u64;

/// Counts changes of the hosts. Called on the writer's thread, so it must return at once.
struct HostChanges(watch::Sender<Count>);

impl Watcher for HostChanges {
    fn changed(&self, change: &Change) {
        if *change == Change::ServicesOrHubs {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

/// The certificate in use, and a way to wait until it names a new host.
pub struct Kept {
    pub current: Arc<CurrentCertificate>,
    pub await_certificate_for_hosts: dps::AwaitCertificateForHosts,
}

/// Makes or loads the server's certificates, and renews them until `stopping` turns true.
pub fn keep(
    config: &ServeConfig,
    provisioning: &Provisioning,
    tasks: &mut JoinSet<()>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Kept> {
    let server_ca = ca::ServerCa::open_or_create(&config.data_dir, clock::now())
        .context("the server's certificate authority")?;
    let rsa = match ca::ServerCa::exists(&config.data_dir, ServerKind::Rsa) {
        true => Some(open_rsa(&config.data_dir)?),
        false => None,
    };
    // Watches before it reads the names, so that no change in between is missed.
    let (wanted, changes) = watch::channel(0);
    provisioning.registry().watch(Arc::new(HostChanges(wanted)));
    let made = Made {
        data_dir: config.data_dir.clone(),
        server_ca,
        rsa,
        own: OwnCertificates::load(&config.server_certificates)?,
        hostname: config.hostname.clone(),
        provisioning: provisioning.clone(),
    };
    let certificates = made.certificates()?;
    let mut expiry = ExpiryWatch::default();
    expiry.look(&certificates, clock::now());
    let current = CurrentCertificate::new(certificates);
    let (done, covered) = watch::channel(0);
    let keeper = Keeper {
        made,
        current: current.clone(),
        expiry,
        done,
    };
    tasks.spawn(keeper.run(changes.clone(), stopping));
    Ok(Kept {
        current,
        await_certificate_for_hosts: Arc::new(move || {
            wait_until_covered(changes.clone(), covered.clone())
        }),
    })
}

fn open_rsa(data_dir: &Path) -> anyhow::Result<ca::ServerCa> {
    ca::ServerCa::open_or_create_of(ServerKind::Rsa, data_dir, clock::now())
        .context("the server's certificate authority for RSA")
}

/// The names that the server certificate covers: those of this server and of all its hubs and
/// services, with their former names. A device whose handshake fails would not learn that it
/// has to register again.
fn names(hostname: &str, provisioning: &Provisioning) -> Vec<String> {
    let (services, local) = (provisioning.services(), provisioning.registry().hubs());
    let services = services.iter();
    let hosts = services.filter_map(|service| service.host.as_ref());
    let hosts = hosts.chain(local.hubs.iter().map(|hub| &hub.host));
    let hosts = hosts.chain(local.former_hosts.iter().map(|former| &former.host));
    let mut names = vec![hostname.to_owned()];
    names.extend(hosts.map(|host| host.name().to_owned()));
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// Waits until the certificate names every host that is committed now. Also returns
/// when the server stops.
fn wait_until_covered(
    changes: watch::Receiver<Count>,
    mut covered: watch::Receiver<Count>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let wanted = *changes.borrow();
    Box::pin(async move {
        let _ = covered.wait_for(|done| *done >= wanted).await;
    })
}

/// Where the certificates come from.
struct Made {
    data_dir: PathBuf,
    server_ca: ca::ServerCa,
    /// `None` until the RSA key is made.
    rsa: Option<ca::ServerCa>,
    own: OwnCertificates,
    hostname: String,
    provisioning: Provisioning,
}

impl Made {
    /// Makes or loads all certificates for now, and writes the CA certificates that
    /// clients have to trust.
    fn certificates(&self) -> anyhow::Result<Certificates> {
        let names = names(&self.hostname, &self.provisioning);
        let ec = self
            .server_ca
            .ensure_server_certificate(&names, clock::now())
            .context("the server's certificate")?;
        let rsa = self
            .rsa
            .as_ref()
            .map(|rsa| rsa.ensure_server_certificate(&names, clock::now()))
            .transpose()
            .context("the server's RSA certificate")?;
        let made = [Some(&ec), rsa.as_ref()].into_iter().flatten();
        let trust = made.map(ServerCredential::ca).chain(self.own.trust());
        let trust: Vec<Certificate> = trust.cloned().collect();
        ca::ServerCa::write_trust(&self.data_dir, &trust)
            .context("what clients of the server have to trust")?;
        Ok(Certificates {
            own: self.own.keys(),
            ec: made_key(&ec)?,
            rsa: rsa.as_ref().map(made_key).transpose()?,
            hostname: self.hostname.clone(),
        })
    }
}

struct Keeper {
    made: Made,
    current: Arc<CurrentCertificate>,
    expiry: ExpiryWatch,
    done: watch::Sender<Count>,
}

impl Keeper {
    /// Level-triggered: each round looks at all hosts and at the age of the
    /// certificates, whatever woke it.
    async fn run(
        mut self,
        mut changes: watch::Receiver<Count>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut rest = match self.made.rsa {
            Some(_) => self.until_next_look(),
            None => Duration::ZERO,
        };
        loop {
            // All arms are cancel-safe: they only wait.
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = changes.changed() => {}
                () = shutdown::requested(&mut stopping) => return,
            }
            let seen = *changes.borrow_and_update();
            rest = match self.renew().await {
                Ok(()) => self.until_next_look(),
                Err(error) => {
                    tracing::error!(
                        error = %format!("{error:#}"),
                        "the server certificate was not renewed"
                    );
                    RETRY
                }
            };
            // Also after a failure: the hub exists, and the log says why clients do not trust it
            // yet.
            self.done.send_replace(seen);
        }
    }

    fn until_next_look(&self) -> Duration {
        match self.made.own.is_empty() {
            true => RENEWAL_CHECK,
            false => OWN_CHECK,
        }
    }

    async fn renew(&mut self) -> anyhow::Result<()> {
        self.made.own.reload();
        if self.made.rsa.is_none() {
            let data_dir = self.made.data_dir.clone();
            let names = names(&self.made.hostname, &self.made.provisioning);
            let making = tokio::task::spawn_blocking(move || {
                let rsa = open_rsa(&data_dir)?;
                // Makes the key. It is used again for other names.
                rsa.ensure_server_certificate(&names, clock::now())?;
                anyhow::Ok(rsa)
            });
            self.made.rsa = Some(making.await??);
        }
        let certificates = self.made.certificates()?;
        self.expiry.look(&certificates, clock::now());
        self.current.replace(certificates);
        Ok(())
    }
}

/// A certificate that the server made itself, as TLS needs it.
fn made_key(credential: &ServerCredential) -> anyhow::Result<Arc<CertifiedKey>> {
    let key = credential.certified().map(Arc::new);
    key.context("the server's certificate and key")
}
