//! The TPM service on the device's socket, and what is said of a TPM that is not there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pki::tpm::{EndorsementKey, HmacKey, StorageRootKey};
use serde_json::{Value, json};
use sim::{EdgeDevice, Server, Tpm, Workshop, exchange, until};
use tokio::net::UnixStream;

const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

/// A device whose `config.toml` names the TPM. Its identity is in the workshop.
fn device(server: &Server, workshop: &Workshop, tpm: &Tpm) -> Result<EdgeDevice> {
    let identity = workshop.issue_with_openssl("edge-1")?;
    let device = EdgeDevice::with_engine_uri(server, &identity, NO_ENGINE)?;
    let config = device.config()?;
    device.write_config(&format!("{config}\n[tpm]\ntcti = \"{}\"\n", tpm.tcti()))?;
    Ok(device)
}

async fn ask(device: &EdgeDevice, request: &str, body: Option<Value>) -> Result<(u16, Value)> {
    let socket = device.root().join("run/aziot/tpmd.sock");
    let mut stream = UnixStream::connect(&socket).await.context("the socket")?;
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{request} HTTP/1.1\r\nhost: tpm\r\ncontent-type: application/json\r\ncontent-length: {}\
         \r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&mut stream, request.as_bytes()).await?;
    Ok((answer.status, answer.json()?))
}

fn bytes(text: &Value) -> Result<Vec<u8>> {
    Ok(STANDARD.decode(text.as_str().context("no text")?)?)
}

#[tokio::test]
async fn tpm_service_imports_a_key_and_signs_with_it() -> Result<()> {
    let server = Server::start().await?;
    let tpm = Tpm::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    let mut device = device(&server, &workshop, &tpm)?;
    device.apply()?;
    device.start()?;
    const KEYS: &str = "GET /get_tpm_keys?api-version=2020-09-01";
    let (_, keys) = until("the TPM service", Duration::from_secs(20), || async {
        let answer = ask(&device, KEYS, None).await?;
        ensure!(answer.0 == 200, "{answer:?}");
        Ok(answer)
    })
    .await?;
    let endorsement = EndorsementKey::parse(&bytes(&keys["endorsement_key"])?)?;
    let storage_root = StorageRootKey::parse(&bytes(&keys["storage_root_key"])?)?;

    let sign = "POST /sign_with_auth_key?api-version=2020-09-01";
    let data = json!({"data": STANDARD.encode(b"hub/devices/a\n1")});
    let (status, early) = ask(&device, sign, Some(data.clone())).await?;
    ensure!(
        status == 400 && early["message"].to_string().contains("0x81000100"),
        "{early}"
    );

    let sealed = HmacKey::new([7; 32]).seal(&endorsement, &storage_root, "text")?;
    let key = json!({"key": STANDARD.encode(sealed.as_bytes())});
    let import = "POST /import_auth_key?api-version=2020-09-01";
    ensure!(ask(&device, import, Some(key)).await? == (200, json!({})));
    let (status, signed) = ask(&device, sign, Some(data.clone())).await?;
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
    let wanted = aws_lc_rs::hmac::sign(&key, b"hub/devices/a\n1");
    ensure!(
        status == 200 && bytes(&signed["digest"])? == wanted.as_ref(),
        "{signed}"
    );
    // The device daemons look there, too.
    ensure!(tpm.sign(b"hub/devices/a\n1")? == wanted.as_ref());

    for (request, body, expected) in [
        ("GET /get_tpm_keys", None, 400),
        ("GET /get_tpm_keys?api-version=1999-01-01", None, 400),
        ("GET /nothing?api-version=2020-09-01", None, 404),
        ("GET /import_auth_key?api-version=2020-09-01", None, 400),
        (import, Some(json!({"key": "AAAA"})), 400),
        (import, Some(json!({"key": 7})), 422),
    ] {
        let (status, answer) = ask(&device, request, body).await?;
        ensure!(status == expected, "{request}: {status} {answer}");
    }
    device.terminate()?;
    Ok(())
}

#[tokio::test]
async fn tpm_that_does_not_answer_is_found_before_anything_is_applied() -> Result<()> {
    let server = Server::start().await?;
    let mut tpm = Tpm::start().await?;
    let workshop = Workshop::with_openssl_ca()?;
    let device = device(&server, &workshop, &tpm)?;
    device.iotedge("config apply --check")?.ok()?;
    tpm.kill()?;
    let named = format!("the TPM at {} cannot be reached", tpm.tcti());
    for command in ["config apply --check", "config apply", "check"] {
        let finished = device.iotedge(command)?;
        ensure!(finished.code == Some(1), "{command}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        ensure!(said.contains(&named), "{command}: {said}");
    }
    let applied = device.root().join("etc/aziot/edged/config.d/00-super.toml");
    ensure!(!applied.exists(), "something was applied");
    Ok(())
}
