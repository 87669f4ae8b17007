//! TLS with the key exchange X25519MLKEM768 alone, for counterparts of ours.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::openssl;
use crate::server::free_address;

/// What a server of NATS says before TLS begins.
const NATS_INFO: &str = "INFO {\"server_id\":\"hybrid\",\"server_name\":\"hybrid\",\
                         \"version\":\"2.12.0\",\"proto\":1,\"headers\":true,\
                         \"max_payload\":1048576,\"tls_required\":true}\r\n";

/// Cryptography that exchanges keys by X25519MLKEM768 and in no other way.
#[must_use]
pub fn hybrid_alone() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..default_provider()
    })
}

/// A TLS server of one key exchange, X25519MLKEM768, at the ports of HTTPS and MQTT of an address
/// of its own. It notes its clients, and answers what is HTTP: one that registers is assigned to
/// this server, and has the module `$edgeAgent`.
#[derive(Debug)]
pub struct HybridServer {
    address: Ipv4Addr,
    folder: tempfile::TempDir,
    clients: Arc<Mutex<Vec<HybridClient>>>,
    tasks: Vec<JoinHandle<()>>,
}

/// A client after its handshake.
#[derive(Debug, Clone)]
pub struct HybridClient {
    /// How keys were exchanged.
    pub group: NamedGroup,
    /// The first line that it sent, or the first bytes of something binary.
    pub said: String,
}

impl HybridServer {
    pub async fn start() -> Result<Self> {
        Self::start_greeting("").await
    }

    /// The same, which begins as a server of NATS does.
    pub async fn start_as_nats() -> Result<Self> {
        Self::start_greeting(NATS_INFO).await
    }

    async fn start_greeting(greeting: &'static str) -> Result<Self> {
        let address = free_address()?;
        let folder = tempfile::Builder::new().prefix("hybrid-").tempdir()?;
        make_certificate(folder.path(), address)?;
        let chain = vec![CertificateDer::from_pem_file(
            folder.path().join("leaf.pem"),
        )?];
        let key = PrivateKeyDer::from_pem_file(folder.path().join("leaf.key"))?;
        let config = ServerConfig::builder_with_provider(hybrid_alone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let clients = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for port in [443, 8883] {
            let listener = TcpListener::bind((address, port)).await?;
            let connection = Connection {
                acceptor: acceptor.clone(),
                greeting,
                address,
                noted: clients.clone(),
            };
            tasks.push(tokio::spawn(accept(listener, connection)));
        }
        Ok(Self {
            address,
            folder,
            clients,
            tasks,
        })
    }

    /// Its address, which its certificate names.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The CA of its certificate, PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The clients so far.
    #[must_use]
    pub fn clients(&self) -> Vec<HybridClient> {
        let clients = self.clients.lock();
        clients.map(|clients| clients.clone()).unwrap_or_default()
    }
}

impl Drop for HybridServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What a connection needs.
#[derive(Clone)]
struct Connection {
    acceptor: TlsAcceptor,
    greeting: &'static str,
    address: Ipv4Addr,
    noted: Arc<Mutex<Vec<HybridClient>>>,
}

async fn accept(listener: TcpListener, connection: Connection) {
    while let Ok((tcp, _)) = listener.accept().await {
        let connection = connection.clone();
        tokio::spawn(async move {
            // The story misses a client whose connection fails.
            let _ = connection.serve(tcp).await;
        });
    }
}

impl Connection {
    async fn serve(self, mut tcp: TcpStream) -> Result<()> {
        tcp.write_all(self.greeting.as_bytes()).await?;
        let mut stream = self.acceptor.accept(tcp).await?;
        let group = stream.get_ref().1.negotiated_key_exchange_group();
        let group = group.context("no key exchange")?.name();
        let mut first = [0; 4096];
        let read = stream.read(&mut first).await?;
        let text = String::from_utf8_lossy(&first[..read]).into_owned();
        let said = text.lines().next().unwrap_or_default().to_owned();
        let answer = said.ends_with("HTTP/1.1").then(|| self.answer(&said));
        if let Ok(mut noted) = self.noted.lock() {
            noted.push(HybridClient { group, said });
        }
        if let Some(answer) = answer {
            let (body, kind) = (answer.to_string(), "application/json; charset=utf-8");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n");
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await?;
        }
        Ok(())
    }

    fn answer(&self, request: &str) -> Value {
        const KEY: &str = "c2hhcmVkIGtleSBvZiBhIG1vZHVsZQ==";
        let (device, when) = ("hybrid", "2026-01-01T00:00:00Z");
        let agent = || {
            json!({
                "moduleId": "$edgeAgent", "deviceId": device, "generationId": "1",
                "managedBy": "IotEdge",
                "authentication": {
                    "type": "sas",
                    "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY},
                },
            })
        };
        if request.contains("/registrations/") {
            return json!({
                "operationId": "5.1", "status": "assigned",
                "registrationState": {
                    "registrationId": device, "deviceId": device, "status": "assigned",
                    "substatus": "initialAssignment", "assignedHub": self.address.to_string(),
                    "createdDateTimeUtc": when, "lastUpdatedDateTimeUtc": when, "etag": "1",
                },
            });
        }
        match request.contains("/modules") {
            true if request.contains("edgeAgent") => agent(),
            true => json!([agent()]),
            false => json!({}),
        }
    }
}

/// A CA, and a certificate of it for an address.
fn make_certificate(folder: &Path, address: Ipv4Addr) -> Result<()> {
    std::fs::write(
        folder.join("leaf.ext"),
        format!("subjectAltName=IP:{address}\nbasicConstraints=CA:FALSE\n"),
    )?;
    for line in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
         -subj /CN=hybrid-ca -days 2",
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout leaf.key -out leaf.csr \
         -subj /CN=hybrid",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile leaf.ext -out leaf.pem",
    ] {
        openssl(folder, line)?;
    }
    Ok(())
}
