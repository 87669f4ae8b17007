//! A device brings a key, gets a certificate as it registers, and lives by it: OpenSSL makes the
//! key and checks the chain, the hub takes it over MQTT, and the server is killed in between.

use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sim::{Device, Server, openssl, request_by_openssl};

const ID: &str = "press-7";

fn chain(state: &Value) -> Result<Vec<Vec<u8>>> {
    let chain = state["issuedCertificateChain"].as_array();
    let chain = chain.with_context(|| format!("no chain in {state}"))?;
    let one = |text: &Value| Ok(STANDARD.decode(text.as_str().context("no text")?)?);
    chain.iter().map(one).collect()
}

/// An issuer, a trust bundle, and an enrollment that names both; the enrollment's key.
async fn enroll(server: &Server) -> Result<String> {
    server
        .muster("dps issuer create --issuer-name fleet --validity-days 30")
        .await?;
    let bundle = "dps trust-bundle create --trust-bundle-id site --certificate-path";
    server
        .muster(&format!("{bundle} {}", server.ca()?.display()))
        .await?;
    let create = "dps enrollment create --attestation-type symmetrickey --credential-policy fleet \
                  --trust-bundle-id site --enrollment-id";
    let created = server.muster(&format!("{create} {ID}")).await?;
    let key = created.pointer("/attestation/symmetricKey/primaryKey");
    let key = key.and_then(Value::as_str);
    Ok(key.with_context(|| created.to_string())?.to_owned())
}

/// The device as it shows the certificate that was issued to it.
fn with_issued(server: &Server, chain: &[Vec<u8>], key: &Path) -> Result<Device> {
    let leaf = pki::Certificate::from_der(&chain[0])?.to_pem();
    Device::with_pem(server, ID, &(leaf + &std::fs::read_to_string(key)?))
}

/// OpenSSL takes the chain for what it should be.
fn verify_with_openssl(dir: &Path, chain: &[Vec<u8>]) -> Result<()> {
    for (name, certificate) in [("leaf", &chain[0]), ("ca", &chain[1])] {
        std::fs::write(dir.join(format!("{name}.der")), certificate)?;
        openssl(
            dir,
            &format!("x509 -inform DER -in {name}.der -out {name}.pem"),
        )?;
    }
    let verify = "verify -x509_strict -purpose sslclient -CAfile ca.pem leaf.pem";
    assert_eq!(openssl(dir, verify)?.trim(), "leaf.pem: OK");
    Ok(())
}

#[tokio::test]
async fn t3_a_device_is_given_a_certificate_and_connects_with_it() -> Result<()> {
    let mut server = Server::start().await?;
    let (hub, key) = (server.host(), enroll(&server).await?);
    let dir = tempfile::tempdir()?;
    let csr = request_by_openssl(dir.path(), "device", &format!("/CN={ID}"))?;
    let device = Device::with_key(&server, ID, &key)?;
    let device = device
        .speaking("2025-07-01-preview")
        .sending("csr", json!(csr));
    let operation = device.begin().await?;
    let state = device.poll(&operation).await?;
    assert_eq!(state["trustBundle"]["id"], "site");
    let issued = chain(&state)?;
    verify_with_openssl(dir.path(), &issued)?;

    let device_key = dir.path().join("device.key");
    let with_first = with_issued(&server, &issued, &device_key)?;
    assert_eq!(with_first.connack(&hub).await?, 0);

    server.kill()?;
    server.start_again().await?;
    assert_eq!(device.poll(&operation).await?, state);
    assert_eq!(with_first.connack(&hub).await?, 0);

    // Another certificate replaces it: the old one opens nothing any more.
    let newer = chain(&device.provision().await?)?;
    assert_ne!(newer[0], issued[0]);
    assert_eq!(newer[1], issued[1]);
    let with_newer = with_issued(&server, &newer, &device_key)?;
    assert_eq!(with_newer.connack(&hub).await?, 0);
    assert_eq!(with_first.connack(&hub).await?, 5);
    Ok(())
}
