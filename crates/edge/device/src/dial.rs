//! TLS connections to hubs and provisioning services.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ids::HubHost;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The longest wait for a TCP connection and its TLS handshake together.
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
}

/// Opens a TLS connection.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let connecting = tokio::time::timeout(WITHIN, open(endpoint, config));
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
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let (host, port) = (endpoint.host.clone(), endpoint.port);
    let unreachable = |source| ConnectError::Unreachable {
        host: host.clone(),
        port,
        source,
    };
    let name = ServerName::try_from(host.clone())
        .map_err(|error| unreachable(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let tcp = TcpStream::connect((host.as_str(), port))
        .await
        .map_err(unreachable)?;
    // Requests and packets are small, and the device waits for answers.
    tcp.set_nodelay(true).map_err(unreachable)?;
    let connecting = TlsConnector::from(config).connect(name, tcp);
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
