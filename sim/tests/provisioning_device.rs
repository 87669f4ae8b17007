//! The ways in which a device gets its hub, each with the real daemon against a real server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sim::{EdgeDevice, Server, Workshop, until};

/// No container engine is needed to connect.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";
const PATIENCE: Duration = Duration::from_secs(60);

/// A device with this `[provisioning]`, applied and started.
fn start(server: &Server, name: &str, provisioning: &str) -> Result<EdgeDevice> {
    let mut device = EdgeDevice::provisioned_by(server, name, provisioning, NO_ENGINE)?;
    device.apply()?;
    device.start()?;
    Ok(device)
}

fn status(device: &EdgeDevice) -> Result<Value> {
    let printed = device.iotedge("system status --output json")?;
    serde_json::from_str(&printed.stdout).with_context(|| format!("{printed:?}"))
}

/// Waits until the device has a session with a hub; the status then.
async fn connected(device: &EdgeDevice) -> Result<Value> {
    let waited = until("a session with the hub", PATIENCE, || async {
        let status = status(device)?;
        ensure!(status["connection"]["state"] == "connected", "{status}");
        Ok(status)
    });
    waited.await.with_context(|| device.log())
}

fn dps(server: &Server, attestation: &str) -> Result<String> {
    let (host, scope) = (server.host(), server.id_scope()?);
    Ok(format!(
        "source = \"dps\"\nglobal_endpoint = \"https://{host}\"\nid_scope = \"{scope}\"\n\n\
         [provisioning.attestation]\n{attestation}\n"
    ))
}

fn by_key(id: &str, key: &str) -> String {
    format!(
        "method = \"symmetric_key\"\nregistration_id = \"{id}\"\n\
         symmetric_key = {{ value = \"{key}\" }}"
    )
}

#[tokio::test]
async fn a_connection_string_is_all_that_a_manual_device_needs() -> Result<()> {
    let server = Server::start().await?;
    server
        .muster("hub device-identity create -d press-1 --edge-enabled")
        .await?;
    let printed = server
        .muster("hub device-identity connection-string show -d press-1")
        .await?;
    let connection = printed["connectionString"].as_str().context("no string")?;
    let provisioning = format!("source = \"manual\"\nconnection_string = \"{connection}\"\n");
    let mut device = start(&server, "press-1", &provisioning)?;
    let status = connected(&device).await?;
    ensure!(status["provisioning"]["deviceId"] == "press-1", "{status}");
    let modules = server
        .muster("hub module-identity list -d press-1")
        .await?
        .to_string();
    ensure!(modules.contains("$edgeAgent"), "{modules}");
    ensure!(!device.log().contains("registering"), "{}", device.log());
    device.terminate()?;
    Ok(())
}

#[tokio::test]
async fn a_manual_device_proves_itself_by_its_certificate() -> Result<()> {
    let server = Server::start().await?;
    let workshop = Workshop::with_muster_ca()?;
    let identity = workshop.issue("press-2")?;
    let pem = std::fs::read_to_string(&identity.certificate)?;
    let leaf = pki::Certificate::parse_pem_bundle(&pem)?.remove(0);
    let thumbprint = leaf.sha256().to_string();
    let create = "hub device-identity create -d press-2 --edge-enabled --auth-method";
    let pinned = format!("--primary-thumbprint {thumbprint} --secondary-thumbprint {thumbprint}");
    server
        .muster(&format!("{create} x509_thumbprint {pinned}"))
        .await?;
    let provisioning = format!(
        "source = \"manual\"\niothub_hostname = \"{}\"\ndevice_id = \"press-2\"\n\n\
         [provisioning.authentication]\nmethod = \"x509\"\nidentity_cert = \"file://{}\"\n\
         identity_pk = \"file://{}\"\n",
        server.host(),
        identity.full_chain.display(),
        identity.key.display(),
    );
    let device = start(&server, "press-2", &provisioning)?;
    let status = connected(&device).await?;
    ensure!(status["provisioning"]["deviceId"] == "press-2", "{status}");
    Ok(())
}

/// The key stands in a file as its bytes, as in the original.
#[tokio::test]
async fn a_symmetric_key_registers_its_device() -> Result<()> {
    let server = Server::start().await?;
    let create = "dps enrollment create --attestation-type symmetrickey --edge-enabled true";
    let created = server
        .muster(&format!("{create} --enrollment-id Press-3"))
        .await?;
    let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
    let key = wire::sas::SharedAccessKey::from_base64(key.context("no key")?)?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("press-3.key");
    let bytes = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        key.to_base64().as_bytes(),
    )?;
    std::fs::write(&path, bytes)?;
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, private)?;
    let attestation = format!(
        "method = \"symmetric_key\"\nregistration_id = \"Press-3\"\n\
         symmetric_key = {{ uri = \"file://{}\" }}",
        path.display()
    );
    let device = start(&server, "press-3", &dps(&server, &attestation)?)?;
    let status = connected(&device).await?;
    ensure!(status["provisioning"]["deviceId"] == "Press-3", "{status}");
    Ok(())
}

#[tokio::test]
async fn a_key_derived_from_a_groups_registers_its_device_and_survives_a_new_one() -> Result<()> {
    let server = Server::start().await?;
    let create = "dps enrollment-group create --edge-enabled true";
    server
        .muster(&format!("{create} --enrollment-id presses"))
        .await?;
    let compute = "dps enrollment-group compute-device-key --enrollment-id presses";
    let derived = server
        .muster(&format!("{compute} --registration-id press-4"))
        .await?;
    let key = derived.as_str().context("no key")?;
    let mut device = start(&server, "press-4", &dps(&server, &by_key("press-4", key))?)?;
    let first = connected(&device).await?;
    // Another start needs no registration; the service need not even be asked.
    device.terminate()?;
    device.start()?;
    let again = connected(&device).await?;
    ensure!(first["provisioning"]["since"] == again["provisioning"]["since"]);
    let registered = device.log().matches("registering").count();
    ensure!(registered == 1, "{}", device.log());
    // A wrong key is noticed, and what works goes on.
    let wrong = by_key("press-4", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    device.configure(&server, &dps(&server, &wrong)?, NO_ENGINE)?;
    device.apply()?;
    until("the refusal", PATIENCE, || async {
        let status = status(&device)?;
        let problem = status["provisioning"]["problem"].to_string();
        ensure!(problem.contains("the identity's key changed"), "{status}");
        ensure!(status["provisioning"]["state"] == "provisioned", "{status}");
        Ok(())
    })
    .await?;
    device.configure(&server, &dps(&server, &by_key("press-4", key))?, NO_ENGINE)?;
    device.apply()?;
    connected(&device).await?;
    Ok(())
}

/// `iotedge system reprovision` keeps what there is until the service has answered.
#[tokio::test]
async fn a_registration_that_is_asked_for_without_a_server_loses_nothing() -> Result<()> {
    let mut server = Server::start().await?;
    let create = "dps enrollment create --attestation-type symmetrickey --edge-enabled true";
    let created = server
        .muster(&format!("{create} --enrollment-id press-5"))
        .await?;
    let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
    let key = by_key("press-5", key.context("no key")?);
    let mut device = start(&server, "press-5", &dps(&server, &key)?)?;
    connected(&device).await?;
    let asked = device.iotedge("system reprovision")?.ok()?;
    ensure!(asked.contains("Successfully reprovisioned"), "{asked:?}");
    connected(&device).await?;
    server.terminate()?;
    let asked = device.iotedge("system reprovision")?;
    ensure!(asked.code == Some(1), "{asked:?}");
    ensure!(asked.stderr.contains("cannot be reached"), "{asked:?}");
    let kept = status(&device)?;
    ensure!(kept["provisioning"]["state"] == "provisioned", "{kept}");
    // A start without the server runs from what is kept.
    device.terminate()?;
    device.start()?;
    until("the kept assignment", PATIENCE, || async {
        let kept = status(&device)?;
        ensure!(kept["provisioning"]["deviceId"] == "press-5", "{kept}");
        Ok(())
    })
    .await?;
    server.start_again().await?;
    connected(&device).await?;
    Ok(())
}

/// `Dynamic` registers again while it runs, `OnErrorOnly` at its next start.
#[tokio::test]
async fn a_device_that_was_deleted_at_its_hub_comes_back_as_its_mode_says() -> Result<()> {
    let server = Server::start().await?;
    let mut devices = Vec::new();
    for (name, mode) in [("press-6", "Dynamic"), ("press-7", "OnErrorOnly")] {
        let create = "dps enrollment create --attestation-type symmetrickey --edge-enabled true";
        let created = server
            .muster(&format!("{create} --enrollment-id {name}"))
            .await?;
        let key = created["attestation"]["symmetricKey"]["primaryKey"].as_str();
        let provisioning = dps(&server, &by_key(name, key.context("no key")?))?;
        let mut device = EdgeDevice::provisioned_by(&server, name, &provisioning, NO_ENGINE)?;
        let mode = format!("auto_reprovisioning_mode = \"{mode}\"\n");
        device.write_config(&(mode + &device.config()?))?;
        device.apply()?;
        device.start()?;
        connected(&device).await?;
        server
            .muster(&format!("hub device-identity delete -d {name}"))
            .await?;
        devices.push(device);
    }
    let [dynamic, at_start] = &mut devices[..] else {
        anyhow::bail!("two devices")
    };
    until("another registration", PATIENCE, || async {
        let log = dynamic.log();
        ensure!(log.contains("the hub refused the device"), "{log}");
        connected(dynamic).await
    })
    .await?;
    until("the refusal", PATIENCE, || async {
        let status = status(at_start)?;
        let problem = status["provisioning"]["problem"].to_string();
        ensure!(problem.contains("OnErrorOnly"), "{status}");
        Ok(())
    })
    .await?;
    ensure!(at_start.log().matches("registering").count() == 1);
    at_start.terminate()?;
    at_start.start()?;
    connected(at_start).await?;
    Ok(())
}
