//! A device brings a key, gets a certificate as it registers, and lives by it: OpenSSL makes the key and checks the chain, the
//! hub takes it over MQTT, and the server is killed in between.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use sim::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wire::sas::SharedAccessKey;

const ID: &str = "press-7";

fn openssl(dir: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "openssl {arguments:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A device with a symmetric key, and the server that it knows.
struct Device<'a> {
    server: &'a Server,
    token: String,
}

impl<'a> Device<'a> {
    fn new(server: &'a Server, key: &SharedAccessKey) -> Result<Self> {
        let resource = format!("{}/registrations/{ID}", server.id_scope()?);
        let expiry = ids::Timestamp::parse("2099-01-01T00:00:00Z")?;
        let token = wire::sas::build(&resource, Some("registration"), expiry, key);
        Ok(Self { server, token })
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!(
            "https://{}{path}?api-version=2025-07-01-preview",
            self.server.host()
        );
        let request = self.server.client()?.request(method, url).json(body);
        let response = request.header("authorization", &self.token).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }

    async fn register(&self, csr: &[u8]) -> Result<String> {
        let path = wire::device_api::registration::register_path(&self.server.id_scope()?, ID);
        let body = json!({"registrationId": ID, "csr": STANDARD.encode(csr)});
        let (status, answer) = self.ask(Method::PUT, &path, &body).await?;
        ensure!(status == 202, "{status}: {answer}");
        let operation = answer["operationId"].as_str().context("no operation")?;
        Ok(operation.to_owned())
    }

    async fn poll(&self, operation: &str) -> Result<Value> {
        let path =
            wire::device_api::registration::operation_path(&self.server.id_scope()?, ID, operation);
        let (status, answer) = self.ask(Method::GET, &path, &json!({})).await?;
        ensure!(status == 200, "{status}: {answer}");
        Ok(answer["registrationState"].clone())
    }
}

/// The CONNACK code of the hub for a device that shows this chain.
async fn connect(server: &Server, chain: &[Vec<u8>], key: &Path) -> Result<u8> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(server.ca()?)? {
        roots.add(root?)?;
    }
    let shown = chain.iter().cloned().map(CertificateDer::from).collect();
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(shown, PrivateKeyDer::from_pem_file(key)?)?;
    let host = server.host();
    let stream = TcpStream::connect((host.as_str(), 8883)).await?;
    let name = ServerName::try_from(host.clone())?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let text = |text: &str| -> Result<Vec<u8>> {
        let length = u16::try_from(text.len())?.to_be_bytes();
        Ok([&length, text.as_bytes()].concat())
    };
    let user = format!("{host}/{ID}/?api-version=2021-04-12");
    // MQTT 3.1.1, a user name and no password, a clean session, keep-alive 60 s.
    let head = [text("MQTT")?, vec![4, 0x82, 0, 60], text(ID)?, text(&user)?].concat();
    let packet = [vec![0x10, u8::try_from(head.len())?], head].concat();
    stream.write_all(&packet).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer[..2] == [0x20, 2], "no CONNACK: {answer:?}");
    Ok(answer[3])
}

fn chain(state: &Value) -> Result<Vec<Vec<u8>>> {
    let chain = state["issuedCertificateChain"].as_array();
    let chain = chain.with_context(|| format!("no chain in {state}"))?;
    let one = |text: &Value| Ok(STANDARD.decode(text.as_str().context("no text")?)?);
    chain.iter().map(one).collect()
}

/// The issuer and an enrollment that names it; the enrollment's key.
fn enroll(server: &Server) -> Result<SharedAccessKey> {
    let issuer = ["dps", "issuer", "create", "--issuer-name", "fleet"];
    server
        .run_muster(&[&issuer[..], &["--validity-days", "30"]].concat())?
        .ok()?;
    let root = server.ca()?;
    let root = root.to_string_lossy();
    let bundle = ["dps", "trust-bundle", "create", "--trust-bundle-id", "site"];
    server
        .run_muster(&[&bundle[..], &["--certificate-path", &root]].concat())?
        .ok()?;
    let create = [
        "dps",
        "enrollment",
        "create",
        "--enrollment-id",
        ID,
        "--attestation-type",
        "symmetrickey",
        "--credential-policy",
        "fleet",
        "--trust-bundle-id",
        "site",
    ];
    let created = server.run_muster(&create)?.json()?;
    let key = created.pointer("/attestation/symmetricKey/primaryKey");
    let key = key
        .and_then(Value::as_str)
        .with_context(|| created.to_string())?;
    Ok(SharedAccessKey::from_base64(key)?)
}

#[tokio::test]
async fn t3_a_device_is_given_a_certificate_and_connects_with_it() -> Result<()> {
    let mut server = Server::start().await?;
    let key = enroll(&server)?;
    let dir = tempfile::tempdir()?;
    let subject = format!("/CN={ID}");
    openssl(
        dir.path(),
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "device.key",
            "-outform",
            "DER",
            "-out",
            "device.csr",
            "-subj",
            &subject,
        ],
    )?;
    let csr = std::fs::read(dir.path().join("device.csr"))?;
    let device = Device::new(&server, &key)?;
    let operation = device.register(&csr).await?;
    let state = device.poll(&operation).await?;
    assert_eq!(state["trustBundle"]["id"], "site");
    let issued = chain(&state)?;
    std::fs::write(dir.path().join("leaf.der"), &issued[0])?;
    std::fs::write(dir.path().join("ca.der"), &issued[1])?;
    for name in ["leaf", "ca"] {
        let (from, to) = (format!("{name}.der"), format!("{name}.pem"));
        openssl(
            dir.path(),
            &["x509", "-inform", "DER", "-in", &from, "-out", &to],
        )?;
    }
    let verified = openssl(
        dir.path(),
        &[
            "verify",
            "-x509_strict",
            "-purpose",
            "sslclient",
            "-CAfile",
            "ca.pem",
            "leaf.pem",
        ],
    )?;
    assert_eq!(verified.trim(), "leaf.pem: OK");

    let device_key = dir.path().join("device.key");
    assert_eq!(connect(&server, &issued[..1], &device_key).await?, 0);

    server.kill()?;
    server.start_again().await?;
    let device = Device::new(&server, &key)?;
    assert_eq!(device.poll(&operation).await?, state);
    assert_eq!(connect(&server, &issued[..1], &device_key).await?, 0);

    // Another certificate replaces it: the old one opens nothing any more.
    let operation = device.register(&csr).await?;
    let newer = chain(&device.poll(&operation).await?)?;
    assert_ne!(newer[0], issued[0]);
    assert_eq!(newer[1], issued[1]);
    assert_eq!(connect(&server, &newer[..1], &device_key).await?, 0);
    assert_eq!(connect(&server, &issued[..1], &device_key).await?, 5);
    Ok(())
}
