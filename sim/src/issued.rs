use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::{Device, Server, openssl};

/// Makes the issuer `fleet` and has a device get a certificate of it as it registers. Leaves
/// `leaf.pem`, `ca.pem` and `device.key` in `dir`.
pub async fn issue_certificate(server: &Server, id: &str, dir: &Path) -> Result<()> {
    server
        .muster("dps issuer create --issuer-name fleet --validity-days 30")
        .await?;
    let create = "dps enrollment create --attestation-type symmetrickey --credential-policy fleet \
                  --enrollment-id";
    let created = server.muster(&format!("{create} {id}")).await?;
    let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
    let request = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                   -keyout device.key -outform DER -out device.csr -subj";
    openssl(dir, &format!("{request} /CN={id}"))?;
    let csr = STANDARD.encode(std::fs::read(dir.join("device.csr"))?);
    let device = Device::with_key(server, id, key.context("no key")?)?;
    let device = device.speaking("2025-07-01-preview");
    let device = device.sending("csr", json!(csr));
    let operation = device.begin().await?;
    let state = device.poll(&operation).await?;
    for (name, index) in [("leaf", 0), ("ca", 1)] {
        let der = state["issuedCertificateChain"][index].as_str();
        let der = STANDARD.decode(der.with_context(|| state.to_string())?)?;
        std::fs::write(dir.join(format!("{name}.der")), der)?;
        let convert = format!("x509 -inform DER -in {name}.der -out {name}.pem");
        openssl(dir, &convert)?;
    }
    Ok(())
}

/// A client of ports in plain HTTP.
pub fn plain_client() -> Result<reqwest::Client> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}
