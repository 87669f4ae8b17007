//! The server's CPU time for a device that enrolls over EST, next to a bare TLS handshake with a
//! client certificate of the same server.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sim::measure::{Hierarchy, IssuedBy, Usage, median};
use sim::{Server, exchange, write_request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::report::{Baseline, Row};

const ROUNDS: usize = 7;
/// Devices of one round: as many as an unknown address may send at once.
const DEVICES: usize = 300;
/// Requests of the first round are not measured.
const WARM_UP: usize = 1;

pub(crate) async fn measure() -> Result<Vec<Row>> {
    let bench = Bench::start().await?;
    let [mut handshakes, mut enrollments] = [const { Vec::new() }; 2];
    for round in 0..ROUNDS + WARM_UP {
        let requests = bench.requests(round)?;
        let handshake = bench.cost(|n| bench.handshake(n)).await?;
        let enrollment = bench.cost(|n| bench.enroll(&requests[n])).await?;
        if round >= WARM_UP {
            handshakes.push(handshake);
            enrollments.push(enrollment);
        }
    }
    let (handshake, enrollment) = (median(&handshakes), median(&enrollments));
    Ok(vec![
        Row {
            what: "TLS handshake with a client certificate, one empty request".to_owned(),
            unit: "us of CPU",
            value: handshake,
            baseline: None,
        },
        Row {
            what: "EST: TLS handshake, simpleenroll, certificate on disk".to_owned(),
            unit: "us of CPU",
            value: enrollment,
            baseline: Some(Baseline {
                what: "a handshake with a client certificate",
                ratio: handshake / enrollment,
                aim: None,
            }),
        },
    ])
}

struct Bench {
    server: Server,
    folder: tempfile::TempDir,
    /// With the certificates of devices.
    devices: Vec<Arc<ClientConfig>>,
    /// Without a certificate.
    anonymous: Arc<ClientConfig>,
    authorization: String,
}

impl Bench {
    async fn start() -> Result<Self> {
        let server = Server::start().await?;
        server
            .muster("dps issuer create --issuer-name fleet")
            .await?;
        let create = "dps issuer user create --issuer-name fleet --username line-1";
        let user = server.muster(create).await?;
        let password = user["password"].as_str().context("no password")?;
        let authorization = STANDARD.encode(format!("line-1:{password}"));
        let folder = tempfile::tempdir()?;
        let hierarchy = Hierarchy::make(folder.path())?;
        let roots = roots(&server.ca()?)?;
        let devices = (0..DEVICES).map(|number| {
            let issued_by = IssuedBy::TheSharedIntermediate;
            let (chain, key) = hierarchy.device(&format!("device-{number}"), issued_by)?;
            let config = builder(&roots).with_client_auth_cert(chain, key)?;
            Ok(full_handshakes(config))
        });
        let devices = devices.collect::<Result<_>>()?;
        let anonymous = full_handshakes(builder(&roots).with_no_client_auth());
        Ok(Self {
            server,
            folder,
            devices,
            anonymous,
            authorization,
        })
    }

    /// The bytes of the HTTP requests of a round.
    fn requests(&self, round: usize) -> Result<Vec<Vec<u8>>> {
        let file = self.folder.path().join("request");
        let one = |number| {
            write_request(&file, &format!("press-{round}-{number}"))?;
            let pem = std::fs::read_to_string(&file)?;
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let request = format!(
                "POST /.well-known/est/simpleenroll HTTP/1.1\r\nhost: {}\r\n\
                 authorization: Basic {}\r\ncontent-type: application/pkcs10\r\n\
                 content-length: {}\r\n\r\n{body}",
                self.server.host(),
                self.authorization,
                body.len()
            );
            Ok(request.into_bytes())
        };
        (0..DEVICES).map(one).collect()
    }

    /// Microseconds of CPU time of the server for one of [`DEVICES`].
    async fn cost<F>(&self, one: impl Fn(usize) -> F) -> Result<f64>
    where
        F: Future<Output = Result<()>>,
    {
        let before = Usage::of(self.server.process_id())?;
        let mut calls = Vec::with_capacity(DEVICES);
        for number in 0..DEVICES {
            calls.push(one(number));
        }
        let mut calls = calls.into_iter();
        loop {
            let some: Vec<F> = calls.by_ref().take(32).collect();
            if some.is_empty() {
                break;
            }
            futures_util::future::try_join_all(some).await?;
        }
        let used = Usage::of(self.server.process_id())?.since(before);
        Ok(used.cpu_micros / DEVICES as f64)
    }

    async fn handshake(&self, number: usize) -> Result<()> {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        self.call(self.devices[number].clone(), request)
            .await
            .map(drop)
    }

    async fn enroll(&self, request: &[u8]) -> Result<()> {
        let status = self.call(self.anonymous.clone(), request).await?;
        ensure!(status == 200, "EST answered {status}");
        Ok(())
    }

    async fn call(&self, config: Arc<ClientConfig>, request: &[u8]) -> Result<u16> {
        let address = self.server.address();
        let stream = TcpStream::connect((address, 443)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(std::net::IpAddr::V4(address).into());
        let mut stream = TlsConnector::from(config).connect(name, stream).await?;
        let answer = exchange(&mut stream, request).await?;
        stream.shutdown().await?;
        Ok(answer.status)
    }
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(path)? {
        roots.add(root?)?;
    }
    Ok(Arc::new(roots))
}

fn builder(
    roots: &Arc<RootCertStore>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
        .with_root_certificates(roots.clone())
}

fn full_handshakes(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}
