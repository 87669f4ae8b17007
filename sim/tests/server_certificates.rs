//! H16, H24. Which certificate a client is shown: by what its TLS can use, and by the name
//! that it asks for.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sim::{Server, until};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const OWN: &str = "own.hub.test";

/// `openssl s_client`, which ends as soon as hands are shaken; whether it trusts the server.
fn s_client(server: &Server, arguments: &[&str]) -> Result<String> {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &format!("{}:443", server.host())])
        .args(["-verify_return_error", "-brief", "-CAfile"])
        .arg(server.ca()?)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("these tests need the openssl command; on Debian: apt-get install openssl")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

/// The leaf that a client is shown that trusts some CAs and asks for a name.
async fn leaf(server: &Server, roots: &Path, name: &str) -> Result<CertificateDer<'static>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots)? {
        store.add(root?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth();
    let address: IpAddr = server.host().parse()?;
    let stream = TcpStream::connect((address, 443)).await?;
    let name = ServerName::try_from(name.to_owned())?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let presented = stream.get_ref().1.peer_certificates();
    let presented = presented.and_then(|chain| chain.first());
    Ok(presented.context("no certificate")?.clone().into_owned())
}

#[tokio::test]
async fn a_client_that_knows_rsa_only_gets_in() -> Result<()> {
    let mut server = Server::start().await?;
    let rsa = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
    // Made beside everything else at the first start.
    until("an RSA certificate", Duration::from_secs(60), || async {
        s_client(&server, &rsa)
    })
    .await?;
    // One whose whole TLS is RSA verifies the issuer's signature with it, too.
    let only = [&rsa[..], &["-sigalgs", "RSA+SHA256:RSA-PSS+SHA256"]].concat();
    let said = s_client(&server, &only)?;
    ensure!(said.contains("ECDHE-RSA-AES128-GCM-SHA256"), "{said}");
    // All others are shown what costs least, and need to trust one CA only.
    let trusted = std::fs::read_to_string(server.ca()?)?;
    ensure!(
        trusted.matches("BEGIN CERTIFICATE").count() == 2,
        "{trusted}"
    );
    let usual = s_client(&server, &[])?;
    ensure!(usual.to_ascii_lowercase().contains("ecdsa"), "{usual}");
    let first = server.data_dir().join("ca/server-ca.cert.pem");
    let before = leaf(&server, &first, &server.host()).await?;
    server.terminate()?;
    server.start_again().await?;
    s_client(&server, &only)?;
    ensure!(leaf(&server, &first, &server.host()).await? == before);
    Ok(())
}

/// Makes a certificate for the name, signed by itself.
fn make(dir: &Path, file: &str) -> Result<()> {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=own", "-addext"])
        .arg(format!("subjectAltName=DNS:{OWN}"))
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args([
            "-keyout",
            &format!("{file}.key"),
            "-out",
            &format!("{file}.pem"),
        ])
        .current_dir(dir)
        .output()?;
    ensure!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}

#[tokio::test]
async fn the_operators_own_certificate_is_shown_and_read_again() -> Result<()> {
    let dir = tempfile::tempdir()?;
    make(dir.path(), "own")?;
    make(dir.path(), "new")?;
    let path = |name: &str| dir.path().join(name);
    let flag = |name: &str| path(name).to_string_lossy().into_owned();
    let flags = ["--server-certificate", "--server-key"].map(str::to_owned);
    let [certificate, key] = flags;
    let flags = vec![certificate, flag("own.pem"), key, flag("own.key")];
    let server = Server::start_with(flags).await?;
    let read = |name: &str| CertificateDer::from_pem_file(path(name));
    let (before, after) = (read("own.pem")?, read("new.pem")?);
    // Who trusts what `show` names is let in under every name.
    let ca = server.ca()?;
    ensure!(leaf(&server, &ca, OWN).await? == before);
    ensure!(leaf(&server, &ca, &server.host()).await? != before);
    std::fs::rename(path("new.key"), path("own.key"))?;
    std::fs::rename(path("new.pem"), path("own.pem"))?;
    until("the new certificate", Duration::from_secs(30), || async {
        let presented = leaf(&server, &ca, OWN).await?;
        ensure!(presented == after, "it is the old one");
        Ok(())
    })
    .await
}
