//! A server that devices connect to, and how they introduce themselves there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sim::measure::{Hierarchy, printed_address};
use sim::{Program, Server, binary};

use crate::broker;
use crate::devices::DeviceKey;

/// How a device introduces itself once TLS stands.
pub enum Greeting {
    /// CONNECT with a token of the device's key; telemetry goes to the hub's topic.
    Hub { host: String, key: DeviceKey },
    /// CONNECT without a password; any topic.
    Broker,
    /// Not at all.
    Silence,
}

pub struct Target {
    pub title: &'static str,
    pub process: u32,
    pub address: SocketAddr,
    pub tls: Arc<ClientConfig>,
    pub greeting: Greeting,
    /// Ends with this value, unless its owner is another.
    _program: Option<Program>,
}

impl Target {
    /// Muster's hub. The server stays its owner's.
    pub fn hub(server: &Server, key: DeviceKey) -> Result<Self> {
        let ca = std::fs::read_to_string(server.ca()?)?;
        Ok(Self {
            title: "muster",
            process: server.process_id(),
            address: format!("{}:8883", server.host()).parse()?,
            tls: client_config(&ca)?,
            greeting: Greeting::Hub {
                host: server.host(),
                key,
            },
            _program: None,
        })
    }

    /// The distribution's mosquitto, which keeps nothing on disk.
    pub async fn mosquitto(hierarchy: &Hierarchy, dir: &Path) -> Result<Self> {
        let (program, address) = broker::start(dir).await?;
        Ok(Self {
            title: "mosquitto, nothing on disk",
            process: program.id(),
            address,
            tls: client_config(&hierarchy.root_pem)?,
            greeting: Greeting::Broker,
            _program: Some(program),
        })
    }

    /// This program again, as a server that only speaks TLS.
    pub async fn bare(hierarchy: &Hierarchy, dir: &Path) -> Result<Self> {
        let mut command = Command::new(binary("hub-bench")?);
        command.arg("bare").arg(dir);
        let program = Program::start(command, &dir.join("bare.log"))?;
        let address = printed_address(&program).await?;
        Ok(Self {
            title: "bare tokio-rustls",
            process: program.id(),
            address,
            tls: client_config(&hierarchy.root_pem)?,
            greeting: Greeting::Silence,
            _program: Some(program),
        })
    }
}

fn client_config(roots_pem: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots_pem.as_bytes()) {
        roots.add(root?)?;
    }
    let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}
