//! C2, C3: unproven clients may hold as many connections as they like, and everybody else gets
//! in all the same.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::Method;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use sim::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Sessions that unproven clients open.
const SESSIONS: usize = 5_000;
/// Connections that are opened side by side.
const AT_ONCE: usize = 32;
/// What one of them may cost the server, measured over all of them.
const BYTES_EACH: usize = 64 * 1024;
/// What the server keeps of one address (`unproven_connections_per_address`).
const KEPT_OF_ONE: usize = 500;

/// Believes every server: what is measured is not the client.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}

fn config() -> Arc<ClientConfig> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let config = ClientConfig::builder().dangerous();
    let config = config.with_custom_certificate_verifier(Arc::new(Anybody));
    Arc::new(config.with_no_client_auth())
}

/// Connects from `from` and begins a provisioning session of which nobody has heard; then
/// begins a long message.
async fn intrude(
    server: Ipv4Addr,
    from: Ipv4Addr,
    config: Arc<ClientConfig>,
    number: usize,
) -> Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect((server, 8883).into()).await?;
    let name = ServerName::IpAddress(std::net::IpAddr::from(server).into());
    let mut stream = TlsConnector::from(config).connect(name, stream).await?;
    let field = |text: &str| -> Result<Vec<u8>> {
        let length = u16::try_from(text.len())?.to_be_bytes();
        Ok([&length, text.as_bytes()].concat())
    };
    let id = format!("unproven-{number}");
    let username = format!("0ne00000000/registrations/{id}/api-version=2019-03-31");
    // MQTT 3.1.1 without keep-alive.
    let mut body = [field("MQTT")?, vec![4, 0x82, 0, 0]].concat();
    body.extend([field(&id)?, field(&username)?].concat());
    let head = [0x10, u8::try_from(body.len())?];
    stream.write_all(&[&head[..], &body].concat()).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(answer == [0x20, 2, 0, 0], "CONNACK is {answer:?}");
    // Half of a message, as much of it as may be sent for nothing.
    stream.write_all(&[0x30, 0x80, 0x80, 0x04]).await?;
    stream.write_all(&[0; 8 * 1024]).await?;
    Ok(stream)
}

/// Physical memory of a process.
fn resident(process: u32) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<usize>()? * 1024)
}

#[tokio::test]
async fn an_operator_gets_in_while_unproven_clients_hold_what_they_can() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let server = Server::start().await?;
    let group = json!({"enrollmentGroupId": "fleet", "attestation": {"type": "symmetricKey"}});
    let path = "/enrollmentGroups/fleet";
    server.operate(Method::PUT, path, Some(&group)).await?;
    let before = resident(server.process_id())?;

    let address: Ipv4Addr = server.host().parse()?;
    let addresses = [Ipv4Addr::new(127, 9, 9, 1), Ipv4Addr::new(127, 9, 9, 2)];
    let config = config();
    let (mut opening, mut held) = (JoinSet::new(), Vec::with_capacity(SESSIONS));
    for number in 0..SESSIONS {
        if opening.len() >= AT_ONCE
            && let Some(opened) = opening.join_next().await
        {
            held.push(opened??);
        }
        let from = addresses[number % addresses.len()];
        opening.spawn(intrude(address, from, config.clone(), number));
    }
    while let Some(opened) = opening.join_next().await {
        held.push(opened??);
    }
    assert_eq!(held.len(), SESSIONS, "each of them got in at first");

    let begun = Instant::now();
    server.operate(Method::GET, path, None).await?;
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let grown = resident(server.process_id())?.saturating_sub(before);
    assert!(grown < SESSIONS * BYTES_EACH, "{grown} bytes");

    // Idle connections are closed, down to what an address may keep.
    let metrics = format!("https://{}/metrics", server.host());
    let client = server.client()?;
    let limit = Duration::from_secs(30);
    sim::until("the idle connections are closed", limit, || async {
        let text = client.get(&metrics).send().await?.text().await?;
        let mut lines = text.lines();
        let open = lines.find_map(|line| line.strip_prefix("muster_connections_unproven "));
        let open: f64 = open.context("no gauge")?.parse()?;
        ensure!(open <= (addresses.len() * KEPT_OF_ONE + 5) as f64, "{open}");
        Ok(())
    })
    .await?;
    server.operate(Method::GET, path, None).await?;
    Ok(())
}

#[tokio::test]
async fn a_message_in_pieces_costs_no_more_than_one_in_one_piece() -> Result<()> {
    // H18: half a message of WebSocket and half a packet of MQTT in it counted both.
    let server = Server::start().await?;
    let mut stream = server.connect(443).await?;
    let request = format!(
        "GET /$iothub/websocket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        server.host()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 1024];
    let length = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    ensure!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    // A binary message that goes on and on: masked with zeros, which changes nothing.
    let piece = |kind: u8| [&[kind, 0x80 | 126, 0x10, 0, 0, 0, 0, 0], &[0; 4096][..]].concat();
    let begun = Instant::now();
    let sending = async {
        stream.write_all(&piece(0x02)).await?;
        for _ in 0..30 {
            stream.write_all(&piece(0x00)).await?;
        }
        // It reads nothing but the end.
        stream.read_to_end(&mut Vec::new()).await
    };
    // Whichever way it ended, it did.
    let _ = tokio::time::timeout(Duration::from_secs(20), sending)
        .await
        .context("it goes on")?;
    assert!(begun.elapsed() < Duration::from_secs(10), "at its deadline");
    Ok(())
}
