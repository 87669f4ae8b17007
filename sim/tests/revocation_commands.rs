//! Commands that revoke, as operators mistype and repeat them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Finished, Server, Workshop, issue_certificate};

/// That a command failed as it should, and what it said.
fn refused(finished: &Finished, code: i32, wanted: &str) -> Result<()> {
    let Finished { stdout, stderr, .. } = finished;
    ensure!(
        finished.code == Some(code),
        "{:?} {stdout}{stderr}",
        finished.code
    );
    ensure!(stdout.is_empty(), "{stdout}");
    ensure!(stderr.contains(wanted), "{stderr}");
    Ok(())
}

#[tokio::test]
async fn a_subject_without_certificates_is_an_error_and_nothing_is_revoked() -> Result<()> {
    let server = Server::start().await?;
    let dir = tempfile::tempdir()?;
    issue_certificate(&server, "press-7", dir.path()).await?;
    let of_fleet = "--issuer-name fleet --subject";
    let change = async |verb: &str, subject: &str| {
        let command = format!("dps issuer certificate {verb} {of_fleet} {subject}");
        server.try_muster(&command).await
    };
    let none = "no certificate of pres-7 is valid or held; `muster dps issuer certificate list";
    refused(&change("revoke", "pres-7").await?, 1, none)?;
    // There is one, which is not on hold.
    let none = "no certificate of press-7 is held";
    refused(&change("restore", "press-7").await?, 1, none)?;
    let list = format!("dps issuer certificate list {of_fleet} press-7");
    let listed = server.muster(&list).await?;
    assert_eq!(listed[0]["state"], "valid", "{listed}");

    change("revoke", "press-7").await?.ok()?;
    let none = "no certificate of press-7 is valid or held";
    refused(&change("revoke", "press-7").await?, 1, none)
}

/// Settings of a revocation list that an upload must not change.
fn settings(list: &Value) -> Value {
    json!([
        list["certificate"],
        list["certificateInfo"]["sha256Thumbprint"],
        list["crlUrl"],
        list["intervalSeconds"],
        list["stale"],
    ])
}

#[tokio::test]
async fn uploading_a_newer_list_changes_only_the_settings_that_are_given() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let crl = || -> Result<String> {
        let written = workshop.ca("crl")?.json()?;
        let path = written
            .pointer("/0/crl")
            .or_else(|| written.pointer("/crl"));
        let path = path.and_then(Value::as_str);
        Ok(path.with_context(|| written.to_string())?.to_owned())
    };
    let upload = async |more: &str| {
        let upload = "dps certificate crl upload --certificate-name line-3";
        server.muster(&format!("{upload} {more}")).await
    };
    // The uploaded CA certificate of the same name is another one.
    let create = "dps certificate create --verified true --certificate-name line-3 --path";
    let root = workshop.root();
    server
        .muster(&format!("{create} {}", root.display()))
        .await?;
    let signer = workshop.intermediate();
    let (first, url) = (crl()?, "http://127.0.0.1:9/line-3.crl");
    let made = upload(&format!(
        "--certificate-path {} --path {first} --crl-url {url} --interval-seconds 600 \
         --crl-stale refuse",
        signer.display()
    ))
    .await?;
    assert_eq!(made["crlUrl"], url, "{made}");
    assert_eq!(made["intervalSeconds"], 600, "{made}");
    assert_eq!(made["stale"], "refuse", "{made}");
    assert_eq!(made["crl"]["entries"], 0, "{made}");

    revoke(&workshop, &workshop.issue("press-7")?.certificate)?;
    let newer = upload(&format!("--path {}", crl()?)).await?;
    assert_eq!(newer["crl"]["entries"], 1, "{newer}");
    assert_eq!(settings(&newer), settings(&made));

    let other = upload("--crl-url http://127.0.0.1:9/other.crl").await?;
    assert_eq!(other["crlUrl"], "http://127.0.0.1:9/other.crl");
    let mut wanted = settings(&made);
    wanted[2] = other["crlUrl"].clone();
    assert_eq!(settings(&other), wanted);
    assert_eq!(other["crl"]["entries"], 1, "{other}");

    let missing = "dps certificate crl upload --certificate-name line-3 --path no-such.crl";
    refused(&server.try_muster(missing).await?, 2, "no-such.crl")
}

fn revoke(workshop: &Workshop, certificate: &Path) -> Result<Value> {
    let revoke = format!("revoke --certificate {}", certificate.display());
    workshop.ca(&revoke)?.json()
}

#[test]
fn the_full_chain_file_of_an_edge_ca_names_the_certificate_that_is_revoked() -> Result<()> {
    let workshop = Workshop::with_muster_ca()?;
    workshop.ca("issue edge-ca line-3")?.ok()?;
    let file = "certs/iot-edge-device-ca-line-3-full-chain.cert.pem";
    let revoked = revoke(&workshop, &workshop.path().join(file))?;
    assert_eq!(revoked["state"], "revoked", "{revoked}");
    assert_eq!(revoked["name"], "line-3.ca", "{revoked}");
    // A file that is no chain says nothing of which one is meant.
    let mut bundle = std::fs::read(workshop.issue("press-7")?.certificate)?;
    bundle.extend(std::fs::read(workshop.issue("press-8")?.certificate)?);
    let file = workshop.path().join("bundle.pem");
    std::fs::write(&file, bundle)?;
    let finished = workshop.ca(&format!("revoke --certificate {}", file.display()))?;
    refused(&finished, 2, "cannot be used")
}

#[tokio::test]
async fn a_passphrase_without_a_key_to_open_is_refused() -> Result<()> {
    let server = Server::start().await?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("passphrase");
    std::fs::write(&file, "one two\n")?;
    let create = "dps issuer create --issuer-name fleet --passphrase-file";
    let finished = server
        .try_muster(&format!("{create} {}", file.display()))
        .await?;
    refused(&finished, 2, "--key-path or --ca-dir")?;
    let issuers = server.muster("dps issuer list").await?;
    assert_eq!(issuers, json!([]));
    Ok(())
}
