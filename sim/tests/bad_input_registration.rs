//! What a registration that must not succeed gets: a terse Azure error for the device, the reason
//! in the operator's log.

use anyhow::Result;
use sim::{Device, Server, Workshop};

/// Registers, expects 401 with Azure's code, and the reason in the server's log.
async fn refused(server: &Server, id: &str, pem: &str, reason: &str) -> Result<()> {
    let (status, answer) = Device::with_pem(server, id, pem)?.register().await?;
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
    let logged = log
        .lines()
        .any(|line| line.contains(id) && line.contains(reason));
    assert!(logged, "{id}: no line of the log says {reason:?}:\n{log}");
    Ok(())
}

#[tokio::test]
async fn a_device_without_an_enrollment_learns_nothing() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let device = workshop.issue("unknown-1")?;
    refused(&server, "unknown-1", &device.pem()?, "no enrollment").await
}

#[tokio::test]
async fn a_disabled_group_and_a_disabled_individual_refuse() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = workshop.issue("dev-1")?;
    let create = "dps enrollment create --enrollment-id dev-1 --attestation-type x509";
    let path = device.certificate.display();
    let disabled = "--provisioning-status disabled";
    server
        .muster(&format!("{create} --certificate-path {path} {disabled}"))
        .await?;
    refused(&server, "dev-1", &device.pem()?, "disabled").await?;
    let disable = "dps enrollment-group update --enrollment-id factory";
    server.muster(&format!("{disable} {disabled}")).await?;
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
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = workshop.issue("dev-1")?;
    refused(&server, "dev-1", &device.leaf_pem()?, "no enrollment").await
}

#[tokio::test]
async fn a_common_name_that_is_not_the_registration_id_refuses() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = workshop.issue("dev-1")?;
    refused(&server, "dev-9", &device.pem()?, "common name").await
}

#[tokio::test]
async fn an_expired_leaf_refuses() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;
    let device = workshop.issue_expired("dev-1")?;
    refused(&server, "dev-1", &device.pem()?, "expired").await
}

#[tokio::test]
async fn an_operator_reads_what_to_mend() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    server.enroll_group("factory", &workshop.root(), "").await?;

    let again = "dps enrollment-group create --enrollment-id second --certificate-path";
    let root = workshop.root();
    let finished = server
        .try_muster(&format!("{again} {}", root.display()))
        .await?;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("factory"), "{}", finished.stderr);

    let stale = "dps enrollment-group update --enrollment-id factory --etag bm90IHRoaXM= \
                 --provisioning-status disabled";
    let finished = server.try_muster(stale).await?;
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("412"), "{}", finished.stderr);

    let list = "dps enrollment list --login";
    let incomplete = "HostName=127.0.0.1;SharedAccessKeyName=a";
    let finished = server.try_muster(&format!("{list} '{incomplete}'")).await?;
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let nowhere =
        "HostName=127.255.255.1:9;SharedAccessKeyName=a;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==";
    let finished = server.try_muster(&format!("{list} '{nowhere}'")).await?;
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    Ok(())
}
