//! Keeps the server's certificate fresh, and naming every host of the registry, while the server runs.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use registry::{Change, Registry, Watcher};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::ServeConfig;
use super::shutdown;
use super::tls::CurrentCertificate;
use crate::clock;

/// How often the server looks at the age of its own certificate.
const RENEWAL_CHECK: Duration = Duration::from_secs(3600);
/// How soon a certificate that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Counts the changes of what is served. A count stands for all before it.
type Count = u64;

/// Hears of new hosts. Called on the writer's thread, so it only counts.
struct Wanted(watch::Sender<Count>);

impl Watcher for Wanted {
    fn changed(&self, change: &Change) {
        if *change == Change::Served {
            self.0.send_modify(|count| *count += 1);
        }
    }
}

/// The certificate in use, and a way to wait until it names what was added.
pub struct Kept {
    pub current: Arc<CurrentCertificate>,
    pub hosts_covered: dps::HostsCovered,
}

/// Makes or loads the server certificate and keeps it until `stopping`.
pub fn keep(
    config: &ServeConfig,
    registry: &Registry,
    tasks: &mut JoinSet<()>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Kept> {
    let authority = ca::ServerAuthority::open_or_create(&config.data_dir, clock::now())
        .context("the server's certificate authority")?;
    // Before the names are read: a change in between is looked at again, not missed.
    let (wanted, changes) = watch::channel(0);
    registry.watch(Arc::new(Wanted(wanted)));
    let credential = authority
        .ensure_server_certificate(&names(&config.hostname, registry), clock::now())
        .context("the server's certificate")?;
    let current = CurrentCertificate::new(&credential)?;
    let (done, covered) = watch::channel(0);
    let keeper = Keeper {
        authority,
        hostname: config.hostname.clone(),
        registry: registry.clone(),
        current: current.clone(),
        done,
    };
    tasks.spawn(keeper.run(changes.clone(), stopping));
    Ok(Kept {
        current,
        hosts_covered: Arc::new(move || wait_until_covered(changes.clone(), covered.clone())),
    })
}

/// The names that the server certificate covers: this server's, and those of all its hubs and services, also those that they had
/// before: a device whose handshake fails never hears that it has to register again.
fn names(hostname: &str, registry: &Registry) -> Vec<String> {
    let served = registry.served();
    let services = served.services.iter();
    let hosts = services.filter_map(|service| service.host.as_ref());
    let hosts = hosts.chain(served.hubs.iter().map(|hub| &hub.host));
    let hosts = hosts.chain(served.former_hosts.iter().map(|former| &former.host));
    let mut names = vec![hostname.to_owned()];
    names.extend(hosts.map(|host| host.name().to_owned()));
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

/// Waits until the keeper has seen all that is committed now. It ends with the server too.
fn wait_until_covered(
    changes: watch::Receiver<Count>,
    mut covered: watch::Receiver<Count>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let wanted = *changes.borrow();
    Box::pin(async move {
        let _ = covered.wait_for(|done| *done >= wanted).await;
    })
}

struct Keeper {
    authority: ca::ServerAuthority,
    hostname: String,
    registry: Registry,
    current: Arc<CurrentCertificate>,
    done: watch::Sender<Count>,
}

impl Keeper {
    /// Level-triggered: each round looks at what is served and how old the certificate is, whatever woke it.
    async fn run(self, mut changes: watch::Receiver<Count>, mut stopping: watch::Receiver<bool>) {
        let mut rest = RENEWAL_CHECK;
        loop {
            // All arms are cancel-safe: they only wait.
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = changes.changed() => {}
                () = shutdown::told(&mut stopping) => return,
            }
            let seen = *changes.borrow_and_update();
            rest = match self.renew() {
                Ok(()) => RENEWAL_CHECK,
                Err(error) => {
                    tracing::error!(error = %format!("{error:#}"), "the server certificate was not renewed");
                    RETRY
                }
            };
            // Also after a failure: whoever waits has his hub, and the log says why clients do not trust it yet.
            self.done.send_replace(seen);
        }
    }

    fn renew(&self) -> anyhow::Result<()> {
        let names = names(&self.hostname, &self.registry);
        let fresh = self
            .authority
            .ensure_server_certificate(&names, clock::now())?;
        self.current.replace(&fresh)
    }
}
