//! The unmodified Python device SDK (TLS 1.2) provisions and works, by every way that the journey offers.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sim::{Identity, Server, Workshop};

/// The SDK's process and what it prints.
struct Device {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Device {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test runner hands its Python over in the environment"
    )]
    fn start(server: &Server, identity: &Identity, websockets: bool) -> Result<Self> {
        let python = std::env::var("MUSTER_TEST_PYTHON")
            .context("MUSTER_TEST_PYTHON names no Python with azure-iot-device; run the tests with `cargo xtask test`")?;
        let settings = json!({
            "host": server.host(),
            "idScope": server.id_scope()?,
            "serverCa": server.ca()?,
            "registrationId": identity.name,
            "certificate": identity.full_chain,
            "key": identity.key,
            "websockets": websockets,
        });
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/journey.py");
        let mut process = Command::new(python)
            .args([script, &settings.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("Python")?;
        let stdout = process.stdout.take().context("no standard output")?;
        Ok(Self {
            process,
            lines: BufReader::new(stdout).lines(),
        })
    }

    fn wait_for(&mut self, event: &str) -> Result<Value> {
        let line = self
            .lines
            .next()
            .with_context(|| format!("the SDK ended before {event:?}"))??;
        let said: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        ensure!(said["event"] == event, "expected {event:?}, got {said}");
        Ok(said)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Provisions, connects, and goes through everything that a device and its hub say to each other.
async fn journey(server: &Server, identity: &Identity, websockets: bool) -> Result<()> {
    let name = identity.name.as_str();
    let mut device = Device::start(server, identity, websockets)?;
    let ready = device.wait_for("ready")?;
    assert_eq!(ready["deviceId"], name);
    assert_eq!(ready["assignedHub"], server.host());
    assert_eq!(ready["substatus"], "initialAssignment");

    let twin = server
        .muster(&["hub", "device-twin", "show", "-d", name])?
        .json()?;
    assert_eq!(twin["properties"]["reported"]["firmware"], "1.2.3");
    assert_eq!(twin["tags"]["environment"], "test");
    assert_eq!(twin["connectionState"], "Connected");

    server
        .muster(&[
            "hub",
            "device-twin",
            "update",
            "-d",
            name,
            "--desired",
            r#"{"interval":7}"#,
        ])?
        .ok()?;
    let invoke = [
        "hub",
        "invoke-device-method",
        "-d",
        name,
        "--method-name",
        "blink",
        "--method-payload",
        r#"{"n":3}"#,
    ];
    let answer = server.muster(&invoke)?.json()?;
    assert_eq!(
        answer,
        json!({"status": 200, "payload": {"echo": {"n": 3}}})
    );

    let done = device.wait_for("done")?;
    assert_eq!(done["patch"]["interval"], 7);
    assert_eq!(
        done["patch"]["$version"],
        done["after"]["desired"]["$version"]
    );
    assert_eq!(done["method"], "blink");
    assert_eq!(done["after"]["reported"]["firmware"], "1.2.3");

    let monitor = [
        "hub",
        "monitor-events",
        "-d",
        name,
        "--count",
        "1",
        "--timeout",
        "10",
    ];
    let event: Value = serde_json::from_str(server.muster(&monitor)?.ok()?.trim())?;
    assert_eq!(event["deviceId"], name);
    assert_eq!(event["properties"]["room"], "a b&c=d/é");
    Ok(())
}

fn enroll_individually(server: &Server, identity: &Identity) -> Result<()> {
    let certificate = identity.certificate.to_string_lossy();
    let create = [
        "dps",
        "enrollment",
        "create",
        "--enrollment-id",
        &identity.name,
        "--attestation-type",
        "x509",
        "--certificate-path",
        &certificate,
        "--initial-twin-tags",
        r#"{"environment":"test"}"#,
    ];
    server.muster(&create)?.ok().map(drop)
}

fn enroll_group(server: &Server, workshop: &Workshop) -> Result<()> {
    let root = workshop.root();
    let create = [
        "dps",
        "enrollment-group",
        "create",
        "--enrollment-id",
        "factory",
        "--certificate-path",
        &root.to_string_lossy(),
        "--initial-twin-tags",
        r#"{"environment":"test"}"#,
    ];
    server.muster(&create)?.ok().map(drop)
}

#[tokio::test]
async fn sdk_with_openssl_certificates_individual_and_group_over_mqtt_and_websocket() -> Result<()>
{
    let server = Server::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    enroll_group(&server, &workshop)?;
    journey(&server, &workshop.issue_with_openssl("group-mqtt")?, false).await?;
    journey(&server, &workshop.issue_with_openssl("group-ws")?, true).await?;
    for (name, websockets) in [("Single-MQTT", false), ("single-ws", true)] {
        let identity = workshop.issue_with_openssl(name)?;
        enroll_individually(&server, &identity)?;
        journey(&server, &identity, websockets).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sdk_with_muster_certificates_individual_and_group_over_mqtt_and_websocket() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    enroll_group(&server, &workshop)?;
    journey(&server, &workshop.issue("group-mqtt")?, false).await?;
    journey(&server, &workshop.issue("group-ws")?, true).await?;
    for (name, websockets) in [("single-mqtt", false), ("single-ws", true)] {
        let identity = workshop.issue(name)?;
        enroll_individually(&server, &identity)?;
        journey(&server, &identity, websockets).await?;
    }
    Ok(())
}
