use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{self, message::StreamMessage};
use async_nats::{ConnectOptions, HeaderMap};

use crate::{Program, openssl, until};

const USER: &str = "muster";
const PASSWORD: &str = "s3cret";
const STREAM: &str = "events";

/// A server of NATS on this machine, with one stream of JetStream.
#[derive(Debug)]
pub struct NatsServer {
    program: Program,
    port: u16,
    folder: tempfile::TempDir,
    has_tls: bool,
}

/// A message of the stream.
#[derive(Debug)]
pub struct NatsMessage {
    pub subject: String,
    pub body: String,
    headers: HeaderMap,
}

impl NatsMessage {
    /// The value of a header, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.as_str())
    }
}

impl From<StreamMessage> for NatsMessage {
    fn from(message: StreamMessage) -> Self {
        Self {
            subject: message.subject.to_string(),
            body: String::from_utf8_lossy(&message.payload).into_owned(),
            headers: message.headers,
        }
    }
}

impl NatsServer {
    /// Starts a server whose stream takes these subjects.
    pub async fn start(subjects: &str) -> Result<Self> {
        Self::start_with(subjects, false).await
    }

    /// The same, which wants TLS and has a certificate for `localhost`.
    pub async fn start_with_tls(subjects: &str) -> Result<Self> {
        Self::start_with(subjects, true).await
    }

    async fn start_with(subjects: &str, has_tls: bool) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("nats-server-").tempdir()?;
        if has_tls {
            make_certificate(folder.path())?;
        }
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        let server = Self {
            program: spawn(port, folder.path(), has_tls)?,
            port,
            folder,
            has_tls,
        };
        let config = Config {
            name: STREAM.to_owned(),
            subjects: vec![subjects.to_owned()],
            ..Config::default()
        };
        let created = server.context().await?.create_stream(config).await;
        created.context("creating a stream")?;
        Ok(server)
    }

    /// Its URL; its certificate does not name the address.
    #[must_use]
    pub fn url_with(&self, host: &str) -> String {
        let scheme = if self.has_tls { "tls" } else { "nats" };
        format!("{scheme}://{host}:{}", self.port)
    }

    /// The flags of an endpoint that log in.
    #[must_use]
    pub fn login(&self) -> String {
        format!("--user {USER} --password {PASSWORD}")
    }

    /// The CA of its certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }

    /// Starts it again with what it has stored.
    pub fn start_again(&mut self) -> Result<()> {
        self.program = spawn(self.port, self.folder.path(), self.has_tls)?;
        Ok(())
    }

    async fn context(&self) -> Result<jetstream::Context> {
        let url = format!("nats://localhost:{}", self.port);
        let connect = || async {
            let mut options = ConnectOptions::with_user_and_password(USER.into(), PASSWORD.into());
            if self.has_tls {
                options = options.add_root_certificates(self.ca()).require_tls(true);
            }
            let client = options.connect(&url).await;
            client.with_context(|| format!("connecting:\n{}", self.program.log()))
        };
        let client = until("the server of NATS", Duration::from_secs(20), connect).await?;
        Ok(jetstream::new(client))
    }

    /// The messages of the stream so far, in their order.
    pub async fn messages(&self) -> Result<Vec<NatsMessage>> {
        let mut stream: Stream = self.context().await?.get_stream(STREAM).await?;
        let last = stream.info().await?.state.last_sequence;
        let mut messages = Vec::new();
        for sequence in 1..=last {
            messages.push(stream.get_raw_message(sequence).await?.into());
        }
        Ok(messages)
    }

    /// How many there are.
    pub async fn count(&self) -> Result<u64> {
        let mut stream: Stream = self.context().await?.get_stream(STREAM).await?;
        Ok(stream.info().await?.state.messages)
    }
}

fn spawn(port: u16, folder: &Path, has_tls: bool) -> Result<Program> {
    let mut command = Command::new("nats-server");
    command.current_dir(folder).args(["-a", "127.0.0.1", "-js"]);
    command.args(["-sd", "store", "-p", &port.to_string()]);
    command.args(["--user", USER, "--pass", PASSWORD]);
    if has_tls {
        command.args(["--tls", "--tlscert", "leaf.pem", "--tlskey", "leaf.key"]);
    }
    Program::start(command, &folder.join("log"))
}

/// A CA, and a certificate of it for `localhost`.
fn make_certificate(folder: &Path) -> Result<()> {
    std::fs::write(
        folder.join("leaf.ext"),
        "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
    )?;
    for line in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=nats-ca -days 2",
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=nats",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile leaf.ext -out leaf.pem",
    ] {
        openssl(folder, line)?;
    }
    Ok(())
}
