use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::Certificate;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{Device, Server, request_by_openssl};

/// Enrolls a device with a key that has the issuer's certificates. It sends the request `FILE.csr`
/// as it registers.
pub async fn enroll_requesting(
    server: &Server,
    (id, issuer): (&str, &str),
    (dir, file): (&Path, &str),
) -> Result<Device> {
    let create = "dps enrollment create --attestation-type symmetrickey --enrollment-id";
    let created = server
        .muster(&format!("{create} {id} --credential-policy {issuer}"))
        .await?;
    let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
    let csr = request_by_openssl(dir, file, &format!("/CN={id}"))?;
    let device = Device::with_key(server, id, key.context("no key")?)?;
    Ok(device
        .speaking("2025-07-01-preview")
        .sending("csr", json!(csr)))
}

/// The certificates that a registration was answered with, the device's first.
pub fn issued_chain(state: &Value) -> Result<Vec<Certificate>> {
    let chain = state["issuedCertificateChain"].as_array();
    let chain = chain.with_context(|| format!("no chain in {state}"))?;
    let one = |text: &Value| {
        let der = STANDARD.decode(text.as_str().context("no text")?)?;
        Ok(Certificate::from_der(&der)?)
    };
    chain.iter().map(one).collect()
}

/// Makes the issuer `fleet` and has a device get a certificate of it as it registers. Leaves
/// `leaf.pem`, `ca.pem` and `device.key` in `dir`.
pub async fn issue_certificate(server: &Server, id: &str, dir: &Path) -> Result<()> {
    server
        .muster("dps issuer create --issuer-name fleet --validity-days 30")
        .await?;
    let device = enroll_requesting(server, (id, "fleet"), (dir, "device")).await?;
    let chain = issued_chain(&device.provision().await?)?;
    write_pem(dir, &chain)
}

/// Writes `leaf.pem` and `ca.pem`.
pub fn write_pem(dir: &Path, chain: &[Certificate]) -> Result<()> {
    let [leaf, ca, ..] = chain else {
        anyhow::bail!("{} certificates", chain.len());
    };
    std::fs::write(dir.join("leaf.pem"), leaf.to_pem())?;
    Ok(std::fs::write(dir.join("ca.pem"), ca.to_pem())?)
}

/// The certificates of an answer of EST, which must be 200 and of the media type without or with
/// parameters, as Azure's certificate daemon reads it; white space in its base64 is dropped.
pub async fn certs_only(request: RequestBuilder) -> Result<Vec<Certificate>> {
    let response = request.send().await?;
    let status = response.status();
    let kind = response.headers().get("content-type").cloned();
    let body = response.text().await?;
    ensure!(status == StatusCode::OK, "{status} {body}");
    let kind = kind.context("no content type")?;
    let kind = kind.to_str()?;
    let known = kind == "application/pkcs7-mime" || kind.starts_with("application/pkcs7-mime;");
    ensure!(known, "{kind}");
    let packed: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    Ok(pki::read_certs_only(&STANDARD.decode(packed)?)?)
}

/// A client of ports in plain HTTP.
pub fn plain_client() -> Result<reqwest::Client> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
