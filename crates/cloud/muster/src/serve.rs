//! `muster serve`: opens the data directory, puts the services behind the ports, runs, drains.

mod certificate;
mod certificate_issuer;
pub mod config;
mod health;
mod listen;
mod outbound_client;
mod router;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ca::DeviceIssuers;
use dps::Dps;
use hub::Hub;
use ids::{HubHost, HubName};
use pki::SeenIssuers;
use provisioning::Provisioning;
use registry::{Init, Registry, Renamed, SystemEntropy};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use transport::accept::{self, Port};
use transport::address_limit::AddressLimit;
use transport::budget::Budget;
use transport::plain_http::PlainPort;
use transport::tls::{self, CurrentCertificate};
use transport::unproven::UnprovenConnections;
use transport::{https, listen_queue, mqtts};

use crate::data_dir::Endpoints;
use crate::logging::Log;
use crate::{clock, data_dir, environment};
use certificate_issuer::ServiceIssuer;
use config::ServeConfig;
use health::Metrics;
use listen::listen;
use outbound_client::{Guard, OutboundClient};
use router::Router;

/// The name of the first hub of a new data directory.
const FIRST_HUB: &str = "hub";
/// Connections that are open this long after SIGTERM are cut.
const DRAIN_DEADLINE: Duration = Duration::from_secs(15);

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: ServeConfig, log: Log) -> anyhow::Result<()> {
    let ports = Ports::open(&config)?;
    let endpoints = ports.endpoints(&config)?;
    let host = config.hub_host(listen::port(&ports.https)?)?;
    let recorder = health::record_metrics()?;
    let provisioning = open(&config, &host).await?;
    log_renaming(provisioning.registry());
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let certificate = certificate::keep(&config, &provisioning, &mut tasks, stopping.clone())?;
    let outbound = Arc::new(outbound_client(&config)?);
    let hosts = certificate.await_certificate_for_hosts;
    let keys = (host, new_issuers(&config, &endpoints)?);
    let dps = new_dps(&config, &provisioning, keys, hosts, outbound.clone());
    let hub = new_hub(&config, &provisioning, outbound, dps.clone())?;
    let health = |route| {
        health::router(
            provisioning.registry().clone(),
            (dps.clone(), hub.clone()),
            recorder.clone(),
            route,
        )
    };
    if let Some(listener) = ports.health {
        let health = health(Metrics::Exposed);
        tasks.spawn(PlainPort::HEALTH.run(listener, health, stopping.clone()));
    }
    let health = health(match config.metrics_on_https_port {
        true => Metrics::Exposed,
        false => Metrics::Hidden,
    });
    if let Some(listener) = ports.pki {
        let router = public_router(dps.clone());
        tasks.spawn(PlainPort::PUBLIC.run(listener, router, stopping.clone()));
    }
    tasks.spawn(listen_queue::watch(stopping.clone()));
    tasks.spawn(log.report_left_out(stopping.clone()));
    let (running, until) = (dps.clone(), stopping.clone());
    tasks.spawn(async move { running.run(until).await });
    let (running, until) = (hub.clone(), stopping.clone());
    tasks.spawn(async move { running.run(until).await });
    accept_connections(
        &config,
        Router::new(dps, hub.clone(), health),
        certificate.current,
        (ports.https, ports.mqtts),
        &mut tasks,
        &stopping,
    )?;
    data_dir::write_endpoints(&config.data_dir, &endpoints)?;
    announce(&endpoints, &provisioning)?;
    wait_for_signal().await?;
    drain(stop, &hub, tasks).await;
    Ok(())
}

/// The listening sockets. They are opened before the data directory is, so that
/// a port in use changes nothing.
struct Ports {
    https: TcpListener,
    mqtts: TcpListener,
    health: Option<TcpListener>,
    pki: Option<TcpListener>,
}

impl Ports {
    fn open(config: &ServeConfig) -> anyhow::Result<Self> {
        let health = config.metrics_listen;
        Ok(Self {
            https: listen(config.https, "--https-port")?,
            mqtts: listen(config.mqtts, "--mqtts-port")?,
            health: health
                .map(|address| listen(address, "--metrics-listen"))
                .transpose()?,
            pki: config
                .pki_http
                .map(|address| listen(address, "--pki-http-port"))
                .transpose()?,
        })
    }

    /// The addresses as clients are told them.
    fn endpoints(&self, config: &ServeConfig) -> anyhow::Result<Endpoints> {
        let url = |scheme: &str, listener: &TcpListener| {
            let port = listen::port(listener)?;
            anyhow::Ok(format!("{scheme}://{}:{port}", config.hostname))
        };
        let pki = self.pki.as_ref().map(listen::port).transpose()?;
        Ok(Endpoints {
            https: Some(url("https", &self.https)?),
            mqtts: Some(url("mqtts", &self.mqtts)?),
            amqps: None,
            pki_http: pki.map(|port| config.pki_address(port)),
        })
    }
}

fn new_hub(
    config: &ServeConfig,
    provisioning: &Provisioning,
    outbound: Arc<OutboundClient>,
    dps: Dps,
) -> anyhow::Result<Hub> {
    config.uploads.prepare().with_context(|| {
        let directory = config.uploads.directory.display();
        format!("cannot use the directory of uploaded files, {directory}")
    })?;
    let options = hub::HubOptions {
        clock: Arc::new(clock::now),
        pace: config.pace,
        streams: outbound.clone(),
        outbound,
        certificate_issuer: Arc::new(ServiceIssuer(dps)),
        limits: config.hub_limits,
        device_limits: config.device_limits,
        uploads: config.uploads.clone(),
        transfers: config.data_dir.join("transfers"),
    };
    Ok(Hub::new(provisioning.registry().clone(), options))
}

fn new_dps(
    config: &ServeConfig,
    provisioning: &Provisioning,
    (host, device_issuers): (HubHost, DeviceIssuers),
    await_certificate_for_hosts: dps::AwaitCertificateForHosts,
    outbound: Arc<OutboundClient>,
) -> Dps {
    let options = dps::DpsOptions {
        host,
        await_certificate_for_hosts: Some(await_certificate_for_hosts),
        device_issuers: Arc::new(device_issuers),
        outbound,
        publishes_logs: config.publishes_logs,
        clock: Arc::new(clock::now),
        limits: config.limits.clone(),
    };
    Dps::new(provisioning.clone(), options)
}

/// The keys of the issuers. Their certificates name the port where they publish.
fn new_issuers(config: &ServeConfig, endpoints: &Endpoints) -> anyhow::Result<DeviceIssuers> {
    let issuers = config.issuer_keys.open(&config.data_dir)?;
    Ok(match &endpoints.pki_http {
        Some(address) => issuers.published_at(address.clone()),
        None => issuers,
    })
}

/// What the port of issuers serves.
fn public_router(dps: Dps) -> axum::Router {
    axum::Router::new().fallback(move |request: axum::extract::Request| {
        let dps = dps.clone();
        async move { dps.answer_publicly(request).await }
    })
}

fn log_renaming(registry: &Registry) {
    if let Some(Renamed { before, after }) = registry.renamed() {
        tracing::warn!(
            %before, %after,
            "the host name of this server and its first hub has changed: devices that were \
             assigned to the old name are refused there and register again; \
             the server's certificate goes on naming it"
        );
    }
}

fn outbound_client(config: &ServeConfig) -> anyhow::Result<OutboundClient> {
    let guard = Guard::new(config.outbound_networks.clone());
    let trusted = config.outbound_ca.as_deref();
    OutboundClient::new(trusted, guard, config.outbound_guards_first_service)
}

fn first_hub() -> anyhow::Result<HubName> {
    Ok(HubName::parse(FIRST_HUB)?)
}

/// Set in tests: the store runs every write, rolls it back and runs it again before it counts.
const REHEARSE: &str = "MUSTER_STORE_REHEARSE";

async fn open(config: &ServeConfig, host: &HubHost) -> anyhow::Result<Provisioning> {
    let init = Init {
        hub_name: first_hub()?,
        hub_host: host.clone(),
        rehearse: environment::variable(REHEARSE).is_some(),
        entropy: Arc::new(SystemEntropy),
    };
    let retention = config.retention.clone();
    let provisioning = Provisioning::open(&config.data_dir, init, retention, clock::now())
        .await
        .with_context(|| {
            format!(
                "cannot open the data directory {}",
                config.data_dir.display()
            )
        })?;
    // A hub of this name may be created later, and gets these limits then.
    let local = provisioning.registry().hubs();
    for (hub, _) in &config.retention.registry.telemetry.of_hubs {
        let is_named = |local: &Arc<registry::LocalHub>| {
            local.name.as_str().eq_ignore_ascii_case(hub.as_str())
        };
        if !local.hubs.iter().any(is_named) {
            tracing::warn!(
                hub.name = %hub,
                "[telemetry] names the hub {hub}, but no hub has this name"
            );
        }
    }
    Ok(provisioning)
}

/// Accepts connections on both ports.
fn accept_connections(
    config: &ServeConfig,
    router: Router,
    certificate: Arc<CurrentCertificate>,
    (https, mqtts): (TcpListener, TcpListener),
    tasks: &mut JoinSet<()>,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(tls::server_config(certificate).context("TLS")?);
    let budget = Budget::of_this_process(config.connections);
    let unproven = UnprovenConnections::new(budget.limits);
    let per_address = AddressLimit::new(config.connections_per_address);
    let seen = Arc::new(SeenIssuers::default());
    let port = |name, listener| Port {
        name,
        listener,
        tls: acceptor.clone(),
        seen: seen.clone(),
        unproven: unproven.clone(),
        per_address: per_address.clone(),
        max_queued: budget.max_queued,
    };
    let (for_https, for_mqtts) = (router.clone(), router);
    let (stop_https, stop_mqtts) = (stopping.clone(), stopping.clone());
    tasks.spawn(accept::run(
        port("https", https),
        stopping.clone(),
        move |stream, peer| https::serve(stream, peer, for_https.clone(), stop_https.clone()),
    ));
    tasks.spawn(accept::run(
        port("mqtts", mqtts),
        stopping.clone(),
        move |stream, peer| mqtts::serve(stream, peer, for_mqtts.clone(), stop_mqtts.clone()),
    ));
    Ok(())
}

/// Writes one line to standard output: the server can be used now.
fn announce(endpoints: &Endpoints, provisioning: &Provisioning) -> anyhow::Result<()> {
    let https = endpoints.https.as_deref().unwrap_or_default();
    tracing::info!(id_scope = %provisioning.service().id_scope, https, "ready");
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready {https}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Stops accepting, waits for open connections and tasks, and cuts those that do not end in time.
async fn drain(stop: watch::Sender<bool>, hub: &Hub, mut tasks: JoinSet<()>) {
    tracing::info!("stopping");
    let _ = stop.send(true);
    hub.drain();
    let finished = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_DEADLINE, finished)
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and were cut");
    }
}
