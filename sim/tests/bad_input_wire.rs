//! Bytes that are not what a port speaks: a clear answer where the protocol has one, and
//! the server goes on.

use anyhow::Result;
use sim::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sends `bytes` to a port and reads until the server closes.
async fn answer(server: &Server, port: u16, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = server.connect(port).await?;
    stream.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A server that closes without close_notify has closed all the same.
    let _ = stream.read_to_end(&mut answer).await;
    Ok(answer)
}

#[tokio::test]
async fn malformed_http_is_answered_400() -> Result<()> {
    let server = Server::start().await?;
    for bytes in [
        &b"\x16\x03\x01 nonsense\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"PUT / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ] {
        let answer = String::from_utf8_lossy(&answer(&server, 443, bytes).await?).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    }
    assert!(
        server
            .client()?
            .get(format!("https://{}/healthz", server.host()))
            .send()
            .await?
            .status()
            .is_success()
    );
    Ok(())
}

#[tokio::test]
async fn malformed_mqtt_is_closed_and_another_version_is_refused() -> Result<()> {
    let server = Server::start().await?;
    assert_eq!(answer(&server, 8883, b"\xf0\xff\xff\xff\xff").await?, b"");
    assert_eq!(
        answer(&server, 8883, b"\x30\x05\x00\x01a12").await?,
        b"",
        "PUBLISH before CONNECT"
    );
    // MQTT 5: CONNACK with return code 1, unacceptable protocol version.
    let connect = b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04dev1";
    assert_eq!(answer(&server, 8883, connect).await?, b"\x20\x02\x00\x01");
    // A user name that names neither service: return code 4.
    let connect = b"\x10\x16\x00\x04MQTT\x04\x82\x00\x3c\x00\x04dev1\x00\x04what";
    assert_eq!(answer(&server, 8883, connect).await?, b"\x20\x02\x00\x04");
    assert!(
        server
            .client()?
            .get(format!("https://{}/healthz", server.host()))
            .send()
            .await?
            .status()
            .is_success()
    );
    Ok(())
}

#[tokio::test]
async fn bodies_have_a_limit_and_must_be_json() -> Result<()> {
    let server = Server::start().await?;
    let workshop = sim::Workshop::with_muster_ca()?;
    let identity = workshop.issue("dev-1")?;
    let client = sim::Device::with_certificate(&server, &identity)?.client()?;
    let url = format!(
        "https://{}/{}/registrations/dev-1/register?api-version=2021-06-01",
        server.host(),
        server.id_scope()?
    );
    let large = client.put(&url).body(vec![b' '; 200 * 1024]).send().await?;
    assert_eq!(large.status(), 413);
    let malformed = client
        .put(&url)
        .header("content-type", "application/json")
        .body("{\"registrationId\":")
        .send()
        .await?;
    assert_eq!(malformed.status(), 400);
    let answer: serde_json::Value = malformed.json().await?;
    assert_eq!(
        answer["errorCode"].as_i64().map(|code| code / 1000),
        Some(400),
        "{answer}"
    );
    Ok(())
}
