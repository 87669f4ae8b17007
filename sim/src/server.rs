use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::Rng;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::command_line::split;
use crate::{Finished, Program, binary, run, run_to_end, until};

/// A `muster serve` on a loopback address of its own with the standard ports, because device SDKs
/// have those built in.
#[derive(Debug)]
pub struct Server {
    program: Program,
    address: Ipv4Addr,
    /// The host name that it is started with.
    hostname: String,
    data_dir: PathBuf,
    /// The folder that the data directory is in, or is; deleted with this value.
    _folder: Arc<tempfile::TempDir>,
    settings: ServeSettings,
}

/// How `muster serve` is started.
#[derive(Debug, Clone, Default)]
pub struct ServeSettings {
    /// Further flags.
    pub flags: Vec<String>,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
}

impl From<Vec<String>> for ServeSettings {
    fn from(flags: Vec<String>) -> Self {
        Self {
            flags,
            environment: Vec::new(),
        }
    }
}

impl Server {
    /// Starts a server on an empty data directory and waits until it is ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(Vec::new()).await
    }

    /// The same, which trusts the server certificates of another one when it calls that.
    pub async fn start_trusting(other: &Self) -> Result<Self> {
        let ca = other.ca()?.to_string_lossy().into_owned();
        Self::start_with(vec!["--outbound-ca".to_owned(), ca]).await
    }

    /// The same with further flags of `muster serve`.
    pub async fn start_with(flags: Vec<String>) -> Result<Self> {
        Self::start_as(flags.into()).await
    }

    /// The same with further flags and environment variables.
    pub async fn start_as(settings: ServeSettings) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("muster-server-")
            .tempdir()?;
        let data_dir = folder.path().to_owned();
        Self::start_on(free_address()?, data_dir, Arc::new(folder), settings).await
    }

    /// Starts a server at an address on a data directory within `folder`.
    pub(crate) async fn start_on(
        address: Ipv4Addr,
        data_dir: PathBuf,
        folder: Arc<tempfile::TempDir>,
        settings: ServeSettings,
    ) -> Result<Self> {
        let hostname = address.to_string();
        let program = spawn(address, &hostname, &data_dir, &settings)?;
        let mut server = Self {
            program,
            address,
            hostname,
            data_dir,
            _folder: folder,
            settings,
        };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Gives it another host name at its next start. It stays where it is, and its address
    /// was its first name.
    pub fn rename(&mut self, hostname: &str) {
        hostname.clone_into(&mut self.hostname);
    }

    pub fn kill(&mut self) -> Result<()> {
        self.program.kill()
    }

    /// kill -9 while others use it; [`kill`](Self::kill) then waits until it is gone.
    pub fn strike(&self) -> Result<()> {
        self.program.strike()
    }

    /// How it is started the next time.
    pub fn settings_mut(&mut self) -> &mut ServeSettings {
        &mut self.settings
    }

    /// SIGTERM; the exit code.
    pub fn terminate(&mut self) -> Result<Option<i32>> {
        self.program.terminate()
    }

    /// Starts the server again on its data, after it was killed or terminated.
    pub async fn start_again(&mut self) -> Result<()> {
        self.program = spawn(self.address, &self.hostname, &self.data_dir, &self.settings)?;
        self.wait_until_ready().await
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let url = format!("https://{}/readyz", self.address);
        let program = &mut self.program;
        let data_dir = &self.data_dir;
        let started = tokio::time::Instant::now();
        loop {
            program.still_runs()?;
            if probe(&url, data_dir).await.is_ok() {
                return Ok(());
            }
            anyhow::ensure!(
                started.elapsed() < Duration::from_secs(30),
                "not ready:\n{}",
                program.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The host name under which devices and operators reach it.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.program.id()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// PEM file of the CA that its certificate is issued by.
    pub fn ca(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.show("/serverCa")?))
    }

    pub fn id_scope(&self) -> Result<String> {
        self.show("/idScope")
    }

    /// One text of `muster show`.
    pub fn show(&self, pointer: &str) -> Result<String> {
        let data_dir = self.data_dir.to_string_lossy();
        let answer = run(&binary("muster")?, ["show", "--data-dir", &data_dir])?.json()?;
        let text = answer.pointer(pointer).and_then(Value::as_str);
        Ok(text
            .with_context(|| format!("no {pointer} in {answer}"))?
            .to_owned())
    }

    /// Runs an operator's command, one line as in a shell, against this server's data directory.
    /// It has to succeed; what it prints, as JSON, or null when it prints nothing.
    pub async fn muster(&self, line: &str) -> Result<Value> {
        let finished = self.try_muster(line).await?;
        finished
            .json_or_null()
            .with_context(|| format!("muster {line}"))
    }

    /// Runs an operator's command to its end, whatever that is.
    pub async fn try_muster(&self, line: &str) -> Result<Finished> {
        let mut words = split(line)?;
        words.push("--data-dir".to_owned());
        words.push(self.data_dir.to_string_lossy().into_owned());
        run_to_end(&binary("muster")?, words).await
    }

    /// Runs a command to its end as somebody who has a connection string and the server's CA.
    pub async fn try_muster_as(&self, connection: &str, line: &str) -> Result<Finished> {
        let mut words = split(line)?;
        let ca = self.ca()?.to_string_lossy().into_owned();
        words.extend(["--login", connection, "--server-ca", &ca].map(str::to_owned));
        run_to_end(&binary("muster")?, words).await
    }

    /// An HTTPS client that trusts this server.
    pub fn client(&self) -> Result<reqwest::Client> {
        client(&std::fs::read(self.ca()?)?)
    }

    /// A TLS connection without client certificate to one of the server's ports.
    pub async fn connect(&self, port: u16) -> Result<TlsStream<TcpStream>> {
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        self.dial(port, config).await
    }

    /// The same as one of the server's hosts, with other cryptography.
    pub async fn connect_by(
        &self,
        provider: Arc<CryptoProvider>,
        (host, port): (&str, u16),
    ) -> Result<TlsStream<TcpStream>> {
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth();
        dial(self.address, host, port, config).await
    }

    fn roots(&self) -> Result<RootCertStore> {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(self.ca()?)? {
            roots.add(root?)?;
        }
        Ok(roots)
    }

    async fn dial(&self, port: u16, config: ClientConfig) -> Result<TlsStream<TcpStream>> {
        dial(self.address, &self.host(), port, config).await
    }

    /// What it counts, as `/metrics` shows it.
    pub async fn metrics(&self) -> Result<String> {
        let url = format!("https://{}/metrics", self.address);
        Ok(self.client()?.get(url).send().await?.text().await?)
    }

    /// Waits until a registration has a status.
    pub async fn wait_for_registration(&self, id: &str, status: &str) -> Result<Value> {
        until(
            &format!("registration {id} {status}"),
            Duration::from_secs(30),
            || async {
                let show = "dps enrollment-group registration show --registration-id";
                let answer = self.muster(&format!("{show} {id}")).await?;
                anyhow::ensure!(answer["status"] == status, "it is {answer}");
                Ok(answer)
            },
        )
        .await
    }
}

/// A TLS connection to an address, under a host name.
pub(crate) async fn dial(
    address: Ipv4Addr,
    host: &str,
    port: u16,
    config: ClientConfig,
) -> Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((address, port)).await?;
    let name = ServerName::try_from(host.to_owned())?;
    let connector = TlsConnector::from(Arc::new(config));
    Ok(connector.connect(name, stream).await?)
}

fn client(ca: &[u8]) -> Result<reqwest::Client> {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let roots = reqwest::Certificate::from_pem_bundle(ca)?;
    Ok(reqwest::Client::builder()
        .tls_certs_only(roots)
        .timeout(Duration::from_secs(30))
        .build()?)
}

async fn probe(url: &str, data_dir: &Path) -> Result<()> {
    let arguments = ["show", "--data-dir", &data_dir.to_string_lossy()].map(str::to_owned);
    let answer = run(&binary("muster")?, arguments)?.json()?;
    let ca = answer["serverCa"].as_str().context("no serverCa")?;
    client(&std::fs::read(ca)?)?
        .get(url)
        .send()
        .await?
        .error_for_status()?;
    Ok(())
}

fn spawn(
    address: Ipv4Addr,
    hostname: &str,
    dir: &Path,
    settings: &ServeSettings,
) -> Result<Program> {
    let mut command = Command::new(binary("muster")?);
    let address = address.to_string();
    command
        .args([
            "serve",
            "--hostname",
            hostname,
            "--listen",
            &address,
            "--data-dir",
        ])
        .arg(dir)
        .args(&settings.flags)
        .envs(settings.environment.iter().cloned());
    // The log stands beside the data, which a restarted server must find as it was.
    Program::start(command, &dir.with_extension("log"))
}

/// A loopback address on which nobody has the standard ports. Tests run in parallel, so it
/// is drawn, not counted.
pub(crate) fn free_address() -> Result<Ipv4Addr> {
    let mut random = rand::rng();
    for _ in 0..100 {
        let address = Ipv4Addr::new(
            127,
            random.random_range(1..=254),
            random.random(),
            random.random_range(1..=254),
        );
        let free = [443, 8883]
            .iter()
            .all(|port| TcpListener::bind(SocketAddrV4::new(address, *port)).is_ok());
        if free {
            return Ok(address);
        }
    }
    anyhow::bail!(
        "no loopback address has free ports 443 and 8883; these tests bind them, which needs root"
    )
}
