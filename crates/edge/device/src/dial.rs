//! TLS connections to hubs and provisioning services.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ids::HubHost;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Trust;
use crate::proxy::Proxy;

/// The longest wait for a TCP connection, a proxy and the TLS handshake together.
const WITHIN: Duration = Duration::from_secs(20);

/// Why there is no connection to a server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Its name does not resolve, or nothing listens there.
    #[error("{host}:{port} cannot be reached")]
    Unreachable {
        host: String,
        port: u16,
        source: io::Error,
    },
    #[error("{host}:{port} did not answer within {} s", WITHIN.as_secs())]
    TimedOut { host: String, port: u16 },
    /// Its certificate is not valid now, by the clock of this device.
    #[error("{host}:{port} is not trusted: {reason}")]
    NotValidNow {
        host: String,
        port: u16,
        reason: String,
    },
    /// Its certificate is trusted, and names other hosts.
    #[error("{host}:{port} has another name now: {reason}")]
    OtherName {
        host: String,
        port: u16,
        reason: String,
    },
    /// The proxy is reached, but does not connect to the server.
    #[error("{host}:{port} cannot be reached by the proxy {reason}")]
    Proxy {
        host: String,
        port: u16,
        reason: String,
    },
    /// Its certificate is not trusted by this device.
    #[error("{host}:{port} is not trusted: {reason}")]
    Untrusted {
        host: String,
        port: u16,
        reason: String,
    },
    /// It is reached, but the TLS handshake fails.
    #[error("the TLS handshake with {host}:{port} failed")]
    Handshake {
        host: String,
        port: u16,
        source: io::Error,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// `host` with its own port, or with `usual` if it has none.
    pub(crate) fn new(host: &HubHost, usual: u16) -> Self {
        Self {
            host: host.name().trim_matches(['[', ']']).to_owned(),
            port: host.port().unwrap_or(usual),
        }
    }

    fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable {
            host: self.host.clone(),
            port: self.port,
            source,
        }
    }
}

/// A stream of bytes in both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A TLS connection, directly or through a proxy.
pub(crate) type Connection = TlsStream<Box<dyn Stream>>;

/// Opens a TLS connection, through the proxy that `trust` names for the server.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    trust: &Trust,
) -> Result<Connection, ConnectError> {
    let connecting = tokio::time::timeout(WITHIN, open(endpoint, config, trust));
    connecting.await.unwrap_or_else(|_| {
        Err(ConnectError::TimedOut {
            host: endpoint.host.clone(),
            port: endpoint.port,
        })
    })
}

/// Opens a connection without TLS.
pub(crate) async fn dial_plain(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let connecting = TcpStream::connect((host.as_str(), port));
    match tokio::time::timeout(WITHIN, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(ConnectError::Unreachable { host, port, source }),
        Err(_) => Err(ConnectError::TimedOut { host, port }),
    }
}

async fn open(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    trust: &Trust,
) -> Result<Connection, ConnectError> {
    let stream = match trust.proxies().proxy_for(&endpoint.host, endpoint.port) {
        None => Box::new(connect(endpoint).await?),
        Some(proxy) => through(proxy, endpoint, trust).await?,
    };
    secure(endpoint, config, stream).await
}

/// A connection to a server that a proxy makes.
async fn through(
    proxy: &Proxy,
    endpoint: &Endpoint,
    trust: &Trust,
) -> Result<Box<dyn Stream>, ConnectError> {
    let place = Endpoint {
        host: proxy.host.clone(),
        port: proxy.port,
    };
    let mut stream: Box<dyn Stream> = Box::new(connect(&place).await?);
    if proxy.tls {
        stream = Box::new(secure(&place, trust.client_config(None), stream).await?);
    }
    let Endpoint { host, port } = endpoint.clone();
    match proxy.connect(&mut stream, &host, port).await {
        Ok(()) => Ok(stream),
        Err(reason) => Err(ConnectError::Proxy {
            host,
            port,
            reason: format!("{proxy}: {reason}"),
        }),
    }
}

async fn connect(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let unreachable = |source| endpoint.unreachable(source);
    let tcp = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(unreachable)?;
    // Requests and packets are small, and the device waits for answers.
    tcp.set_nodelay(true).map_err(unreachable)?;
    Ok(tcp)
}

async fn secure(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    stream: Box<dyn Stream>,
) -> Result<Connection, ConnectError> {
    let Endpoint { host, port } = endpoint.clone();
    let name = ServerName::try_from(host.clone()).map_err(|error| {
        endpoint.unreachable(io::Error::new(io::ErrorKind::InvalidInput, error))
    })?;
    let connecting = TlsConnector::from(config).connect(name, stream);
    connecting.await.map_err(|source| match refusal(&source) {
        Some((Refusal::Time, reason)) => ConnectError::NotValidNow { host, port, reason },
        Some((Refusal::Name, reason)) => ConnectError::OtherName { host, port, reason },
        Some((Refusal::Trust, reason)) => ConnectError::Untrusted { host, port, reason },
        None => ConnectError::Handshake { host, port, source },
    })
}

/// What a server's certificate lacks.
enum Refusal {
    Time,
    Name,
    Trust,
}

/// Why the server's certificate was refused, if that is the error.
fn refusal(error: &io::Error) -> Option<(Refusal, String)> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(problem) = inner else {
        return None;
    };
    let refused = |problem: &CertificateError| format!("its certificate is refused: {problem}");
    Some(match problem {
        CertificateError::UnknownIssuer => (
            Refusal::Trust,
            "its certificate chains to no trusted root; is the server's CA in trust_bundle_cert \
             or the system's store?"
                .into(),
        ),
        // The certificate names a trusted root as its issuer, but another key signed it: the CA was
        // made anew under its old name.
        CertificateError::BadSignature => (
            Refusal::Trust,
            "its certificate is signed by another CA than the trusted root of that name".into(),
        ),
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => (Refusal::Time, refused(problem)),
        // The chain is verified before the name.
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            (Refusal::Name, refused(problem))
        }
        other => (Refusal::Trust, refused(other)),
    })
}
