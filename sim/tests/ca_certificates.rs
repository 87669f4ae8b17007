//! CA certificates from the operator's side: proof of possession by our own tool and by OpenSSL,
//! groups that refer to them, and devices that do not present enough.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sim::{Device, Server, Workshop, openssl};

/// Uploads a CA certificate, to be verified.
async fn upload(server: &Server, name: &str, path: &Path, verified: bool) -> Result<()> {
    let path = path.display();
    let create = format!("dps certificate create --certificate-name {name} --path {path}");
    let created = server
        .muster(&format!("{create} --verified {verified}"))
        .await?;
    ensure!(created["properties"]["isVerified"] == verified, "{created}");
    Ok(())
}

async fn code(server: &Server, name: &str) -> Result<String> {
    let generate = "dps certificate generate-verification-code --certificate-name";
    let answer = server.muster(&format!("{generate} {name}")).await?;
    let code = answer.pointer("/properties/verificationCode");
    let code = code.and_then(|code| code.as_str()).context("no code")?;
    Ok(code.to_owned())
}

async fn verify(server: &Server, name: &str, path: &Path) -> Result<()> {
    let path = path.display();
    let verify = format!("dps certificate verify --certificate-name {name} --path {path}");
    let answer = server.muster(&verify).await?;
    ensure!(answer["properties"]["isVerified"] == true, "{answer}");
    Ok(())
}

async fn refer(server: &Server, group: &str, name: &str) -> Result<sim::Finished> {
    let create = "dps enrollment-group create --enrollment-id";
    server
        .try_muster(&format!("{create} {group} --ca-name {name}"))
        .await
}

/// What the article's scripts do to prove possession of a root.
fn prove_with_openssl(workshop: &Workshop, code: &str) -> Result<PathBuf> {
    openssl(
        workshop.path(),
        &format!(
            "req -new -newkey rsa:2048 -nodes -subj /CN={code} -keyout private/code.key.pem \
         -out csr/code.csr.pem"
        ),
    )?;
    openssl(
        workshop.path(),
        "x509 -req -in csr/code.csr.pem -CA certs/azure-iot-test-only.root.ca.cert.pem \
         -CAkey private/root.key.pem -CAcreateserial -days 1 -out certs/code.cert.pem",
    )?;
    Ok(workshop.path().join("certs/code.cert.pem"))
}

#[tokio::test]
async fn t3_a_group_refers_to_a_root_whose_possession_openssl_proved() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    upload(&server, "root", &workshop.root(), false).await?;
    let refused = refer(&server, "factory", "root").await?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("is not verified"),
        "{}",
        refused.stderr
    );
    let found = prove_with_openssl(&workshop, &code(&server, "root").await?)?;
    verify(&server, "root", &found).await?;
    refer(&server, "factory", "root").await?.ok()?;
    let device = workshop.issue_with_openssl("dev-1")?;
    Device::with_certificate(&server, &device)?.begin().await?;
    server.wait_for_registration("dev-1", "assigned").await?;
    Ok(())
}

#[tokio::test]
async fn t4_a_leaf_without_the_groups_intermediate_is_refused_and_the_reason_logged() -> Result<()>
{
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    upload(&server, "root", &workshop.root(), false).await?;
    let code = code(&server, "root").await?;
    workshop
        .ca(&format!("issue verification --code {code}"))?
        .ok()?;
    let found = "certs/iot-device-verification-code.cert.pem";
    verify(&server, "root", &workshop.path().join(found)).await?;
    server
        .enroll_group("factory", &workshop.intermediate(), "")
        .await?;
    let device = workshop.issue("dev-1")?;
    let (status, answer) = Device::with_pem(&server, "dev-1", &device.leaf_pem()?)?
        .register()
        .await?;
    assert_eq!(status, 401, "{answer}");
    let log = server.log();
    let is_it = |line: &str| line.contains("dev-1") && line.contains("intermediate_not_presented");
    assert!(log.lines().any(is_it), "{log}");
    let (status, answer) = Device::with_certificate(&server, &device)?
        .register()
        .await?;
    assert_eq!(status, 202, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_root_that_is_deleted_after_a_breach_stops_its_devices_and_says_so() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    upload(&server, "root", &workshop.root(), true).await?;
    refer(&server, "factory", "root").await?.ok()?;
    let device = workshop.issue("dev-1")?;
    let (status, answer) = Device::with_certificate(&server, &device)?
        .register()
        .await?;
    assert_eq!(status, 202, "{answer}");
    server
        .muster("dps certificate delete --certificate-name root")
        .await?;
    let (status, answer) = Device::with_certificate(&server, &device)?
        .register()
        .await?;
    assert_eq!(status, 401, "{answer}");
    let log = server.log();
    let is_it = |line: &str| line.contains("dev-1") && line.contains("authority_deleted");
    assert!(log.lines().any(is_it), "{log}");
    Ok(())
}
