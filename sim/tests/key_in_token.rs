//! A device whose identity key is in a PKCS#11 token: it registers and connects; without the token
//! it says what is wrong; and it works again when the token is back.

use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{EdgeDevice, Server, SoftToken, Workshop, until};

/// No container engine is needed to connect.
const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";
const PATIENCE: Duration = Duration::from_secs(60);

/// A device with its key in the token, and in no file.
async fn device(server: &Server, token: &SoftToken) -> Result<EdgeDevice> {
    let identity = Workshop::with_muster_ca()?;
    let issued = identity.issue("edge-token")?;
    server.enroll_edge_device(&issued).await?;
    let uri = token.import(&issued.key, "device", 7)?;
    let device = EdgeDevice::with_engine_uri(server, &issued, NO_ENGINE)?;
    let chain = device.root().join("chain.pem");
    std::fs::copy(&issued.full_chain, &chain)?;
    let text = device.config()?;
    let text = text.replace(
        &format!("file://{}", issued.key.display()),
        &format!("{uri}?pin-source=file:{}", token.pin_file().display()),
    );
    let text = text.replace(
        &issued.full_chain.display().to_string(),
        &chain.display().to_string(),
    );
    let library = SoftToken::library()?;
    let keys = format!(
        "\n[aziot_keys]\npkcs11_lib_path = \"{}\"\n",
        library.display()
    );
    device.write_config(&(text + &keys))?;
    // The folder with the key is gone from here on.
    drop(identity);
    Ok(device.with_environment(token.environment()))
}

async fn connected(device: &EdgeDevice) -> Result<()> {
    until("the device is connected", PATIENCE, || async {
        let status = device.iotedge("system status")?;
        ensure!(
            status.stdout.contains("connected"),
            "{status:?}\n{}",
            device.log()
        );
        ensure!(
            !status.stdout.contains("not connected"),
            "{status:?}\n{}",
            device.log()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_device_with_its_key_in_a_token_connects_and_survives_that_it_is_pulled_out() -> Result<()>
{
    let token = SoftToken::new()?;
    let mut server = Server::start().await?;
    let mut device = device(&server, &token).await?;
    device.apply()?;
    device.start()?;
    server
        .wait_for_registration("edge-token", "assigned")
        .await?;
    connected(&device).await?;
    let check = device.iotedge("check --verbose")?;
    for part in [
        "the device's keys are there and sign - OK",
        "device-id: the token \"fleet\" in slot ",
        "libsofthsm2.so, pkcs11:token=fleet;object=device;id=%07;type=private, signs by CKM_",
    ] {
        ensure!(check.stdout.contains(part), "{part:?} is not in {check:?}");
    }
    ensure!(!check.stdout.contains(token.pin()) && !device.log().contains(token.pin()));

    token.remove()?;
    server.kill()?;
    server.start_again().await?;
    let missed = "has no token of pkcs11:token=fleet;object=device";
    until(
        "the device says that its token is missing",
        PATIENCE,
        || async {
            let status = device.iotedge("system status")?;
            ensure!(
                status.stdout.contains(missed),
                "{status:?}\n{}",
                device.log()
            );
            Ok(())
        },
    )
    .await?;
    let check = device.iotedge("check --verbose")?;
    ensure!(check.stdout.contains(missed), "{check:?}");

    token.insert()?;
    connected(&device).await?;
    device.terminate()?;
    Ok(())
}
