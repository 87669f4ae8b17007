//! The devices: a new connection, a full handshake, the requests, the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sim::exchange;
use sim::measure::{Hierarchy, IssuedBy};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is said once the connection stands.
#[derive(Clone)]
pub enum Talk {
    /// One request without meaning.
    Empty,
    /// Register; the answer comes after the durable commit.
    Registration { scope: String },
    /// Register, then poll until told the hub.
    RegistrationAndPoll { scope: String },
}

/// A device that has not called yet.
pub struct Device {
    name: String,
    config: Arc<ClientConfig>,
}

/// Makes devices that trust one server.
pub struct Maker<'h> {
    hierarchy: &'h Hierarchy,
    roots: Arc<RootCertStore>,
}

impl<'h> Maker<'h> {
    /// `trusted_pem` is the CA that the server's certificate leads to.
    pub fn new(hierarchy: &'h Hierarchy, trusted_pem: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(trusted_pem.as_bytes()) {
            roots.add(root?)?;
        }
        let roots = Arc::new(roots);
        Ok(Self { hierarchy, roots })
    }

    /// A device with a certificate of its own.
    pub fn device(&self, name: String, issued_by: IssuedBy) -> Result<Device> {
        let (chain, key) = self.hierarchy.device(&name, issued_by)?;
        let builder = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
        let mut config = builder
            .with_root_certificates(self.roots.clone())
            .with_client_auth_cert(chain, key)?;
        // Every handshake is a full one.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Device {
            name,
            config: Arc::new(config),
        })
    }
}

/// A server to be called.
#[derive(Clone)]
pub struct Called {
    pub address: SocketAddr,
    /// The CA that its certificate leads to.
    pub trusted_pem: String,
    /// The requests that each device sends.
    pub talk: Talk,
}

/// Devices that have not called yet.
pub struct Fleet {
    devices: Vec<Device>,
    address: SocketAddr,
    talk: Talk,
}

impl Fleet {
    /// Makes a certificate for every name, before anything is measured.
    pub fn new(
        hierarchy: &Hierarchy,
        names: impl Iterator<Item = String>,
        issued_by: IssuedBy,
        called: &Called,
    ) -> Result<Self> {
        let maker = Maker::new(hierarchy, &called.trusted_pem)?;
        let devices = names.map(|name| maker.device(name, issued_by));
        let devices = devices.collect::<Result<_>>()?;
        Ok(Self {
            devices,
            address: called.address,
            talk: called.talk.clone(),
        })
    }

    /// Lets all devices call, `concurrency` at a time; how many got what they asked for.
    pub async fn run(self, concurrency: usize) -> Result<usize> {
        let devices = Arc::new(self.devices);
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            let (devices, next) = (devices.clone(), next.clone());
            let (address, talk) = (self.address, self.talk.clone());
            workers.spawn(async move {
                let mut done = 0;
                while let Some(device) = devices.get(next.fetch_add(1, Ordering::Relaxed)) {
                    device.call(address, &talk).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            });
        }
        let mut done = 0;
        while let Some(worker) = workers.join_next().await {
            done += worker??;
        }
        Ok(done)
    }
}

impl Device {
    /// Connects, says what it has to say, and leaves.
    pub async fn call(&self, address: SocketAddr, talk: &Talk) -> Result<()> {
        let called = call(self, address, talk).await;
        called.with_context(|| self.name.clone())
    }
}

async fn call(device: &Device, address: SocketAddr, talk: &Talk) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(device.config.clone());
    let mut stream = connector
        .connect(ServerName::IpAddress(address.ip().into()), stream)
        .await?;
    match talk {
        Talk::Empty => {
            let answer = exchange(&mut stream, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
            ensure!(answer.status == 200, "{answer:?}");
        }
        Talk::Registration { scope } => {
            register(&mut stream, scope, &device.name).await?;
        }
        Talk::RegistrationAndPoll { scope } => {
            let operation = register(&mut stream, scope, &device.name).await?;
            poll(&mut stream, scope, &device.name, &operation).await?;
        }
    }
    stream.shutdown().await?;
    Ok(())
}

/// Registers; the operation to poll.
async fn register(stream: &mut TlsStream<TcpStream>, scope: &str, name: &str) -> Result<String> {
    let body = format!("{{\"registrationId\":\"{name}\"}}");
    let put = format!(
        "PUT {}?api-version=2021-06-01 HTTP/1.1\r\nhost: a\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        wire::device_api::registration::register_path(scope, name),
        body.len()
    );
    let answer = exchange(stream, put.as_bytes()).await?;
    ensure!(answer.status == 202, "{answer:?}");
    Ok(answer.json()?["operationId"]
        .as_str()
        .context("no operationId")?
        .to_owned())
}

async fn poll(
    stream: &mut TlsStream<TcpStream>,
    scope: &str,
    name: &str,
    operation: &str,
) -> Result<()> {
    let get = format!(
        "GET {}?api-version=2021-06-01 HTTP/1.1\r\nhost: a\r\n\r\n",
        wire::device_api::registration::operation_path(scope, name, operation)
    );
    let answer = exchange(stream, get.as_bytes()).await?;
    ensure!(
        answer.status == 200 && answer.json()?["status"] == "assigned",
        "{answer:?}"
    );
    Ok(())
}
