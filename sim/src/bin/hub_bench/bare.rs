//! The bare server: TLS without client certificates, a small read buffer, no answer. What remains
//! of a connection's memory is what TLS itself needs.

use std::path::Path;

use anyhow::Result;
use rustls::ServerConfig;
use sim::measure::{listen, server_certificate};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Serves until it is killed. Prints its address first.
pub async fn serve(dir: &Path) -> Result<()> {
    let (chain, key) = server_certificate(dir)?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    listen(config, hold).await
}

async fn hold(acceptor: TlsAcceptor, stream: TcpStream) -> Result<()> {
    // The handshake's future is larger than what stays: it is freed with its box.
    let mut stream = Box::pin(acceptor.accept(stream)).await?;
    let mut buffer = [0; 64];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}
