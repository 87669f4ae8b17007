//! CA certificates from the operator's side: proof of possession by our own tool and by OpenSSL, groups that refer to them, and
//! devices that do not present enough.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sim::{Server, Workshop};

/// Uploads a CA certificate, to be verified.
fn upload(server: &Server, name: &str, path: &Path, verified: bool) -> Result<()> {
    let path = path.to_string_lossy();
    let mut create = vec!["dps", "certificate", "create", "--certificate-name", name];
    create.extend(["--path", &path]);
    if verified {
        create.push("--verified");
    }
    let created = server.run_muster(&create)?.json()?;
    ensure!(created["properties"]["isVerified"] == verified, "{created}");
    Ok(())
}

fn code(server: &Server, name: &str) -> Result<String> {
    let generate = [
        "dps",
        "certificate",
        "generate-verification-code",
        "--certificate-name",
        name,
    ];
    let shown = server.run_muster(&generate)?.json()?;
    let code = shown.pointer("/properties/verificationCode");
    let code = code.and_then(|code| code.as_str()).context("no code")?;
    Ok(code.to_owned())
}

fn verify(server: &Server, name: &str, path: &Path) -> Result<()> {
    let path = path.to_string_lossy();
    let mut verify = vec!["dps", "certificate", "verify", "--certificate-name", name];
    verify.extend(["--path", &path]);
    let shown = server.run_muster(&verify)?.json()?;
    ensure!(shown["properties"]["isVerified"] == true, "{shown}");
    Ok(())
}

fn refer(server: &Server, group: &str, name: &str) -> Result<sim::Finished> {
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        group,
        "--ca-name",
        name,
    ];
    server.run_muster(&create)
}

/// What the article's scripts do to prove possession of a root.
fn prove_with_openssl(workshop: &Workshop, code: &str) -> Result<PathBuf> {
    let subject = format!("/CN={code}");
    let run = |arguments: &[&str]| -> Result<()> {
        let mut command = std::process::Command::new("openssl");
        let output = command
            .args(arguments)
            .current_dir(workshop.path())
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    run(&[
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        &subject,
        "-keyout",
        "private/code.key.pem",
        "-out",
        "csr/code.csr.pem",
    ])?;
    run(&[
        "x509",
        "-req",
        "-in",
        "csr/code.csr.pem",
        "-CA",
        "certs/azure-iot-test-only.root.ca.cert.pem",
        "-CAkey",
        "private/root.key.pem",
        "-CAcreateserial",
        "-days",
        "1",
        "-out",
        "certs/code.cert.pem",
    ])?;
    Ok(workshop.path().join("certs/code.cert.pem"))
}

#[tokio::test]
async fn t3_a_group_refers_to_a_root_whose_possession_openssl_proved() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    upload(&server, "root", &workshop.root(), false)?;
    let refused = refer(&server, "factory", "root")?;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("is not verified"),
        "{}",
        refused.stderr
    );
    let shown = prove_with_openssl(&workshop, &code(&server, "root")?)?;
    verify(&server, "root", &shown)?;
    refer(&server, "factory", "root")?.ok()?;
    let device = workshop.issue_with_openssl("dev-1")?;
    let (status, answer) = server.register("dev-1", &device.pem()?).await?;
    assert_eq!(status, 202, "{answer}");
    server.wait_for_registration("dev-1", "assigned").await?;
    Ok(())
}

#[tokio::test]
async fn t4_a_leaf_without_the_groups_intermediate_is_refused_and_the_reason_logged() -> Result<()>
{
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    upload(&server, "root", &workshop.root(), false)?;
    let code = code(&server, "root")?;
    workshop
        .ca(&["issue", "verification", "--code", &code])?
        .ok()?;
    let shown = "certs/iot-device-verification-code.cert.pem";
    verify(&server, "root", &workshop.path().join(shown))?;
    let intermediate = workshop.intermediate();
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "factory",
        "--certificate-path",
        &intermediate.to_string_lossy(),
    ];
    server.run_muster(&create)?.ok()?;
    let device = workshop.issue("dev-1")?;
    let (status, answer) = server.register("dev-1", &device.leaf_pem()?).await?;
    assert_eq!(status, 401, "{answer}");
    let log = server.log();
    let told = |line: &str| line.contains("dev-1") && line.contains("intermediate_not_presented");
    assert!(log.lines().any(told), "{log}");
    let (status, answer) = server.register("dev-1", &device.pem()?).await?;
    assert_eq!(status, 202, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_root_that_is_deleted_after_a_breach_stops_its_devices_and_says_so() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    upload(&server, "root", &workshop.root(), true)?;
    refer(&server, "factory", "root")?.ok()?;
    let device = workshop.issue("dev-1")?;
    let (status, answer) = server.register("dev-1", &device.pem()?).await?;
    assert_eq!(status, 202, "{answer}");
    let delete = ["dps", "certificate", "delete", "--certificate-name", "root"];
    server.run_muster(&delete)?.ok()?;
    let (status, answer) = server.register("dev-1", &device.pem()?).await?;
    assert_eq!(status, 401, "{answer}");
    let log = server.log();
    let told = |line: &str| line.contains("dev-1") && line.contains("authority_deleted");
    assert!(log.lines().any(told), "{log}");
    Ok(())
}
