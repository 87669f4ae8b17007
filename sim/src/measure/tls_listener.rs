use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::{Program, until};

/// Chain and key of the files that [`Hierarchy::make`](super::Hierarchy::make) left in a folder.
pub fn server_certificate(
    dir: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain =
        CertificateDer::pem_file_iter(dir.join("server.pem"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(dir.join("server.key.pem"))?;
    Ok((chain, key))
}

/// The accept loop of a bare server, on a free port of 127.0.0.1, until it is killed. Prints its
/// address first.
pub async fn listen<F>(
    mut config: ServerConfig,
    serve: fn(TlsAcceptor, TcpStream) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    config.send_tls13_tickets = 1;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // Made here: a future that is moved takes its room twice. A client that breaks off is
            // seen, and counted, at the client.
            let _ = serve(acceptor, stream).await;
        });
    }
}

/// The address that a bare server has printed.
pub async fn printed_address(program: &Program) -> Result<SocketAddr> {
    let printed = || async {
        let log = program.log();
        let line = log.lines().next().context("nothing printed")?;
        line.parse::<SocketAddr>().context("an address")
    };
    until("the bare server", Duration::from_secs(10), printed).await
}
