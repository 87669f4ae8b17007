//! What a registration that must not succeed gets: a terse Azure error for the device, the reason in the operator's log.

use anyhow::Result;
use sim::{Server, Workshop};

/// Registers, expects 401 with Azure's code, and the reason in the server's log.
async fn refused(server: &Server, id: &str, pem: &str, reason: &str) -> Result<()> {
    let (status, answer) = server.register(id, pem).await?;
    assert_eq!(status, 401, "{id}: {answer}");
    assert_eq!(
        answer["errorCode"].as_i64().map(|code| code / 1000),
        Some(401),
        "{id}: {answer}"
    );
    let outside = answer.to_string();
    assert!(
        !outside.contains(reason),
        "{id}: the device is told {outside}"
    );
    let log = server.log();
    let told = log
        .lines()
        .any(|line| line.contains(id) && line.contains(reason));
    assert!(told, "{id}: no line of the log says {reason:?}:\n{log}");
    Ok(())
}

fn enroll_group(server: &Server, name: &str, certificate: &std::path::Path) -> Result<()> {
    let certificate = certificate.to_string_lossy();
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        name,
        "--certificate-path",
        &certificate,
    ];
    server.run_muster(&create)?.ok().map(drop)
}

#[tokio::test]
async fn a_device_without_an_enrollment_learns_nothing() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let stranger = workshop.issue("stranger-1")?;
    refused(&server, "stranger-1", &stranger.pem()?, "no enrollment").await
}

#[tokio::test]
async fn a_disabled_group_and_a_disabled_individual_refuse() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_group(&server, "factory", &workshop.root())?;
    let device = workshop.issue("dev-1")?;
    let certificate = device.certificate.to_string_lossy();
    let create = [
        "dps",
        "enrollment",
        "create",
        "--enrollment-id",
        "dev-1",
        "--attestation-type",
        "x509",
        "--certificate-path",
        &certificate,
        "--provisioning-status",
        "disabled",
    ];
    server.run_muster(&create)?.ok()?;
    refused(&server, "dev-1", &device.pem()?, "disabled").await?;
    let disable = [
        "dps",
        "enrollment-group",
        "update",
        "--enrollment-id",
        "factory",
        "--provisioning-status",
        "disabled",
    ];
    server.run_muster(&disable)?.ok()?;
    refused(
        &server,
        "dev-2",
        &workshop.issue("dev-2")?.pem()?,
        "disabled",
    )
    .await
}

#[tokio::test]
async fn a_chain_without_its_issuer_refuses() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_group(&server, "factory", &workshop.root())?;
    let device = workshop.issue("dev-1")?;
    refused(&server, "dev-1", &device.leaf_pem()?, "no enrollment").await
}

#[tokio::test]
async fn a_common_name_that_is_not_the_registration_id_refuses() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_group(&server, "factory", &workshop.root())?;
    let device = workshop.issue("dev-1")?;
    refused(&server, "dev-9", &device.pem()?, "common name").await
}

#[tokio::test]
async fn an_expired_leaf_refuses() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    enroll_group(&server, "factory", &workshop.root())?;
    let device = workshop.issue_expired("dev-1")?;
    refused(&server, "dev-1", &device.pem()?, "expired").await
}

#[tokio::test]
async fn an_operator_is_told_what_to_mend() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_group(&server, "factory", &workshop.root())?;

    let root = workshop.root();
    let again = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "second",
        "--certificate-path",
        &root.to_string_lossy(),
    ];
    let finished = server.run_muster(&again)?;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("factory"), "{}", finished.stderr);

    let stale = [
        "dps",
        "enrollment-group",
        "update",
        "--enrollment-id",
        "factory",
        "--etag",
        "bm90IHRoaXM=",
        "--provisioning-status",
        "disabled",
    ];
    let finished = server.run_muster(&stale)?;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("412"), "{}", finished.stderr);

    let finished = server.run_muster(&[
        "dps",
        "enrollment",
        "list",
        "--login",
        "HostName=127.0.0.1;SharedAccessKeyName=a",
    ])?;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let nowhere =
        "HostName=127.255.255.1:9;SharedAccessKeyName=a;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
    let finished = server.run_muster(&["dps", "enrollment", "list", "--login", nowhere])?;
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    Ok(())
}
