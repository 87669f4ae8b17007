//! ML-DSA, an experiment that an operator has to ask for: a hierarchy, issuers, and devices that
//! register and connect with such keys over TLS 1.3.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::{Certificate, KeyType, MlDsa, PrivateKey, Profile, Subject, make_request};
use sim::{Device, EdgeDevice, Finished, Server, Workshop, binary, certs_only, run, until};

const ISSUED: &str = "muster-issued";

/// A folder with an ML-DSA root and intermediate.
fn workshop() -> Result<Workshop> {
    let workshop = Workshop::empty()?;
    let init = "init --key-type ml-dsa-65";
    let refused = workshop.ca(init)?;
    ensure!(refused.code == Some(2), "{refused:?}");
    ensure!(refused.stderr.contains("--experimental"), "{refused:?}");
    workshop.ca(&format!("{init} --experimental"))?.ok()?;
    Ok(workshop)
}

fn certificate(path: &Path) -> Result<Certificate> {
    Ok(Certificate::parse_one(&std::fs::read(path)?)?)
}

fn refused(finished: &Finished, code: i32, wanted: &str) -> Result<()> {
    ensure!(finished.code == Some(code), "{finished:?}");
    ensure!(finished.stderr.contains(wanted), "{}", finished.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_with_ml_dsa_keys_register_and_connect() -> Result<()> {
    let workshop = workshop()?;
    let server = Server::start().await?;
    let edge = "--edge-enabled true";
    server
        .enroll_group("factory", &workshop.root(), edge)
        .await?;
    assert_eq!(certificate(&workshop.root())?.signature_name(), "ML-DSA-65");
    for (id, level) in [("press-44", 44), ("press-65", 65), ("press-87", 87)] {
        let issue = format!("issue edge-identity {id} --key-type ml-dsa-{level}");
        refused(&workshop.ca(&issue)?, 2, "is an experiment")?;
        workshop.ca(&format!("{issue} --experimental"))?.ok()?;
        let identity = workshop.identity(id);
        let leaf = certificate(&identity.certificate)?;
        assert_eq!(leaf.key_name(), format!("ML-DSA-{level}"));
        let (root, chain) = (workshop.root(), identity.full_chain.display());
        let (root, chain) = (root.display().to_string(), chain.to_string());
        let words = ["ca", "verify", "--chain", &chain, "--anchor", &root];
        run(&binary("muster")?, words)?.ok()?;
        let device = Device::with_certificate(&server, &identity)?;
        let hub = device.assigned_hub().await?;
        device.connect(&hub).await?;
    }
    // The runtime has its identity from a file, as devices with other keys have.
    let identity = workshop.identity("press-65");
    let engine = "unix:///nonexistent.sock";
    let mut edge = EdgeDevice::with_engine_uri(&server, &identity, engine)?;
    edge.apply()?;
    edge.start()?;
    let connected = || async {
        let show = "hub module-identity show -d press-65 -m '$edgeAgent'";
        let found = server.muster(show).await?;
        ensure!(found["connectionState"] == "Connected", "{found}");
        Ok(())
    };
    until("the runtime", Duration::from_secs(60), connected).await?;
    let report = server.muster("dps issuer report").await?;
    let rows = report["rows"].as_array().context("no rows")?;
    ensure!(rows.len() == 3, "{report}");
    let kinds = rows
        .iter()
        .all(|row| row["signatureAlgorithm"] == "ML-DSA-65");
    ensure!(kinds, "{report}");
    Ok(())
}

#[tokio::test]
async fn an_issuer_of_the_experiment_answers_requests_and_others_refuse_them() -> Result<()> {
    let workshop = workshop()?;
    let server = Server::start().await?;
    let dir = workshop.path().display().to_string();
    let create = "dps issuer create --issuer-name";
    let of_folder = format!("{create} {ISSUED} --ca-dir {dir} --key-types ML-DSA-44 ML-DSA-65");
    refused(&server.try_muster(&of_folder).await?, 1, "is an experiment")?;
    let usual = format!("{create} {ISSUED} --ca-dir {dir}");
    refused(&server.try_muster(&usual).await?, 1, "is an experiment")?;
    let issuer = server
        .muster(&format!("{of_folder} --experimental"))
        .await?;
    assert_eq!(issuer["experimental"], true, "{issuer}");
    server.muster(&format!("{create} usual")).await?;
    let mut passwords = Vec::new();
    for name in [ISSUED, "usual"] {
        let user = format!("dps issuer user create --issuer-name {name} --username line-1");
        let user = server.muster(&user).await?;
        passwords.push(user["password"].as_str().context("no password")?.to_owned());
    }
    let key = PrivateKey::generate(KeyType::MlDsa(MlDsa::Level44))?;
    let subject = Subject::common_name("press-7")?;
    let request = make_request(&Profile::EdgeIdentity, &subject, &key)?;
    let http = server.client()?;
    let enroll = |issuer: &str, password: &str| {
        let url = format!(
            "https://{}/.well-known/est/{issuer}/simpleenroll",
            server.address()
        );
        http.post(url)
            .basic_auth("line-1", Some(password))
            .header("content-type", "application/pkcs10")
            .body(STANDARD.encode(&request))
    };
    let issued = certs_only(enroll(ISSUED, &passwords[0])).await?;
    let leaf = issued.first().context("no certificate")?;
    key.matches(leaf)?;
    assert_eq!(leaf.signature_name(), "ML-DSA-65");
    let answer = enroll("usual", &passwords[1]).send().await?;
    assert_eq!(answer.status().as_u16(), 400);
    let text = answer.text().await?;
    ensure!(text.contains("ML-DSA-44"), "{text}");
    Ok(())
}
