//! X25519MLKEM768, the key exchange that a quantum computer does not undo: every port of the server
//! has it, and every client of ours. Counterparts without it are served as before.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::NamedGroup;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use sim::{Device, EdgeDevice, HybridServer, Server, Workshop, binary, hybrid_alone, run, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SECOND: &str = "second.hub.test";

/// A first message to a server, and what its answer begins with.
struct Talk {
    what: &'static str,
    host: String,
    port: u16,
    message: Vec<u8>,
    answer: &'static [u8],
}

fn get(what: &'static str, host: &str, path: &str, answer: &'static [u8]) -> Talk {
    let upgrade = match path {
        "/$iothub/websocket" => {
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n"
        }
        _ => "",
    };
    Talk {
        what,
        host: host.to_owned(),
        port: 443,
        message: format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n").into_bytes(),
        answer,
    }
}

/// CONNECT of MQTT 3.1.1 without credentials, which is answered by a CONNACK that refuses.
fn mqtt(what: &'static str, host: &str) -> Talk {
    let user = format!("{host}/nobody/?api-version=2021-04-12");
    let mut body = b"\0\x04MQTT\x04\x82\0\x3c\0\x06nobody\0".to_vec();
    body.push(user.len() as u8);
    body.extend(user.as_bytes());
    Talk {
        what,
        host: host.to_owned(),
        port: 8883,
        message: [&[0x10, body.len() as u8][..], &body].concat(),
        answer: &[0x20, 2],
    }
}

/// Everything that is behind the TLS ports.
fn everything(server: &Server) -> Vec<Talk> {
    let first = server.host();
    let est = "/.well-known/est/fleet/cacerts";
    let ok = b"HTTP/1.1 200";
    vec![
        get("health", &first, "/readyz", ok),
        get("EST", &first, est, ok),
        get("what issuers publish", &first, "/pki/fleet/ca", ok),
        get(
            "device API",
            &first,
            "/0ne0/registrations/a",
            b"HTTP/1.1 40",
        ),
        get("service API", &first, "/enrollments/a", b"HTTP/1.1 40"),
        get(
            "service API of a further hub",
            SECOND,
            "/devices/a",
            b"HTTP/1.1 40",
        ),
        get("WebSocket", &first, "/$iothub/websocket", b"HTTP/1.1 101"),
        get(
            "WebSocket of a further hub",
            SECOND,
            "/$iothub/websocket",
            b"HTTP/1.1 101",
        ),
        mqtt("MQTT", &first),
        mqtt("MQTT of a further hub", SECOND),
    ]
}

/// Talks with this cryptography; how keys were exchanged.
async fn group(
    server: &Server,
    provider: Arc<CryptoProvider>,
    talk: &Talk,
) -> Result<Option<NamedGroup>> {
    let to = (talk.host.as_str(), talk.port);
    let mut stream = server.connect_by(provider, to).await?;
    stream.write_all(&talk.message).await?;
    let mut answer = vec![0; talk.answer.len()];
    let reading = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await??;
    let said = String::from_utf8_lossy(&answer).into_owned();
    ensure!(answer == talk.answer, "{said:?}");
    let negotiated = stream.get_ref().1.negotiated_key_exchange_group();
    Ok(negotiated.map(|group| group.name()))
}

#[tokio::test]
async fn every_port_has_the_hybrid_key_exchange_and_the_usual_ones() -> Result<()> {
    let server = Server::start().await?;
    server
        .muster("dps issuer create --issuer-name fleet")
        .await?;
    let create = format!("hub create --name second --hostname {SECOND}");
    server.muster(&create).await?;
    let alone = |group| {
        Arc::new(CryptoProvider {
            kx_groups: vec![group],
            ..default_provider()
        })
    };
    for talk in everything(&server) {
        for (provider, wanted) in [
            (hybrid_alone(), NamedGroup::X25519MLKEM768),
            // One that has everything prefers it, too.
            (Arc::new(default_provider()), NamedGroup::X25519MLKEM768),
            (alone(kx_group::X25519), NamedGroup::X25519),
            (alone(kx_group::SECP256R1), NamedGroup::secp256r1),
            (alone(kx_group::SECP384R1), NamedGroup::secp384r1),
        ] {
            let group = group(&server, provider, &talk).await;
            let group = group.with_context(|| format!("{}, {wanted:?}", talk.what))?;
            ensure!(group == Some(wanted), "{}: {group:?}", talk.what);
        }
    }
    Ok(())
}

#[tokio::test]
async fn openssl_without_the_hybrid_key_exchange_is_served_on_every_port() -> Result<()> {
    let server = Server::start().await?;
    for port in [443, 8883] {
        for version in ["-tls1_2", "-tls1_3"] {
            let address = format!("{}:{port}", server.host());
            let output = Command::new("openssl")
                .args(["s_client", "-connect", &address, "-brief", version])
                .args(["-groups", "X25519:P-256", "-verify_return_error", "-CAfile"])
                .arg(server.ca()?)
                .stdin(Stdio::null())
                .output()
                .context("this test needs the openssl command")?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "{port} {version}: {said}");
            ensure!(said.contains("X25519"), "{port} {version}: {said}");
        }
    }
    Ok(())
}

/// Waits for a client that says this; how keys were exchanged with it.
async fn await_client(counterpart: &HybridServer, what: &str, said: &str) -> Result<()> {
    let came = || async {
        let clients = counterpart.clients();
        let found = clients.iter().find(|client| client.said.contains(said));
        let found = found.with_context(|| format!("{said:?} is not in {clients:?}"))?;
        ensure!(found.group == NamedGroup::X25519MLKEM768, "{found:?}");
        Ok(())
    };
    until(what, Duration::from_secs(60), came).await
}

/// What makes a client call a counterpart.
enum Cause {
    /// A command to the server, which calls.
    Command(String),
    /// The same, and a message that is routed to the endpoint that the command made.
    Endpoint(&'static str, String),
    /// A command to the counterpart.
    Login(String),
}

/// A client, and what it says first.
struct Client {
    what: &'static str,
    cause: Cause,
    said: &'static str,
}

fn clients(web: &str, nats: &str, workshop: &Workshop) -> Vec<Client> {
    let key = "c2hhcmVkIGtleSBvZiBhIGNvdW50ZXJwYXJ0";
    let login = format!("HostName={web};SharedAccessKeyName=o;SharedAccessKey={key}");
    let client = |what, said, cause| Client { what, cause, said };
    let intermediate = workshop.intermediate().display().to_string();
    let upload = format!(
        "dps certificate crl upload --certificate-name line --certificate-path {intermediate} \
         --crl-url https://{web}/line.crl"
    );
    let endpoint = |name: &'static str, flags: String| {
        let create = "hub routing-endpoint create --endpoint-name";
        Cause::Endpoint(name, format!("{create} {name} --endpoint-type {flags}"))
    };
    let link = format!("dps linked-hub create --name remote --connection-string '{login}'");
    let hook = endpoint("hook", format!("webhook --url https://{web}/events"));
    let stream = format!("nats --url tls://{nats}:8883 --subject telemetry");
    let (query, hub) = ("POST /enrollments/query", "api-version=2021-04-12");
    vec![
        client("the command line", query, Cause::Login(login)),
        client("a remote hub", hub, Cause::Command(link)),
        client("a revocation list", "GET /line.crl", Cause::Command(upload)),
        client("a webhook of a route", "POST /events", hook),
        client("a stream", "CONNECT {", endpoint("stream", stream)),
    ]
}

impl Cause {
    async fn act(&self, server: &Server, counterpart: &HybridServer) -> Result<()> {
        match self {
            Self::Login(login) => {
                let ca = counterpart.ca().to_string_lossy().into_owned();
                let words = [
                    "dps",
                    "enrollment",
                    "list",
                    "--login",
                    login,
                    "--server-ca",
                    &ca,
                ];
                // What the counterpart answers is no list of enrollments.
                run(&binary("muster")?, words).map(drop)
            }
            // It may be refused for what the counterpart answers.
            Self::Command(command) => server.try_muster(command).await.map(drop),
            Self::Endpoint(name, command) => {
                server.muster(command).await?;
                route(server, name).await
            }
        }
    }
}

/// The operator's command line and the outbound calls of a server, to a counterpart that has no
/// other key exchange.
#[tokio::test(flavor = "multi_thread")]
async fn every_client_of_server_and_operator_has_the_hybrid_key_exchange() -> Result<()> {
    let web = HybridServer::start().await?;
    let nats = HybridServer::start_as_nats().await?;
    let workshop = Workshop::with_muster_ca()?;
    let trusted = workshop.path().join("counterparts.pem");
    let both = [std::fs::read(web.ca())?, std::fs::read(nats.ca())?].concat();
    std::fs::write(&trusted, both)?;
    let flags = ["--outbound-ca", &trusted.to_string_lossy()].map(str::to_owned);
    let server = Server::start_with(flags.to_vec()).await?;
    let allocate = format!(
        "--allocation-policy custom --webhook-url https://{}/allocate --api-version 2021-10-01",
        web.host()
    );
    let root = workshop.root();
    server.enroll_group("factory", &root, &allocate).await?;
    let device = Device::with_certificate(&server, &workshop.issue("press-7")?)?;
    device.begin().await?;
    await_client(&web, "a webhook of custom allocation", "POST /allocate").await?;
    for client in clients(&web.host(), &nats.host(), &workshop) {
        let counterpart = match client.said.starts_with("CONNECT") {
            true => &nats,
            false => &web,
        };
        client.cause.act(&server, counterpart).await?;
        await_client(counterpart, client.what, client.said).await?;
    }
    Ok(())
}

/// Routes the message of a device to an endpoint.
async fn route(server: &Server, endpoint: &str) -> Result<()> {
    for command in [
        format!(
            "hub message-route create --route-name {endpoint} --source-type DeviceMessages \
             --endpoint-name {endpoint}"
        ),
        format!("hub device-identity create -d dev-{endpoint}"),
        format!("device send-d2c-message -d dev-{endpoint} --data '{{}}'"),
    ] {
        server.muster(&command).await?;
    }
    Ok(())
}

/// The runtime registers over HTTPS and opens its session over MQTT.
#[tokio::test]
async fn the_device_runtime_has_the_hybrid_key_exchange() -> Result<()> {
    let (server, counterpart) = (Server::start().await?, HybridServer::start().await?);
    let workshop = Workshop::with_muster_ca()?;
    let identity = workshop.issue("hybrid")?;
    let engine = "unix:///nonexistent.sock";
    let mut device = EdgeDevice::with_engine_uri(&server, &identity, engine)?;
    let config = device.config()?;
    let ca = server.ca()?.display().to_string();
    let config = config
        .replace(&ca, &counterpart.ca().display().to_string())
        .replace(
            &format!("https://{}", server.host()),
            &format!("https://{}", counterpart.host()),
        );
    device.write_config(&config)?;
    device.apply()?;
    device.start()?;
    for (what, said) in [
        ("a registration", "/registrations/hybrid/register"),
        ("module identities", "GET /devices/hybrid/modules"),
        ("a session over MQTT", "MQTT"),
    ] {
        await_client(&counterpart, what, said).await?;
    }
    Ok(())
}
