//! The bare server: a rustls handshake with a client chain verified by webpki, one
//! request, one empty answer.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sim::measure::{listen, server_certificate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Serves until it is killed. Prints its address first.
pub async fn serve(dir: &Path) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(dir.join("root.pem"))? {
        roots.add(root?)?;
    }
    let (chain, key) = server_certificate(dir)?;
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .context("verifier")?;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    listen(config, answer).await
}

async fn answer(acceptor: TlsAcceptor, stream: TcpStream) -> Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = [0; 2048];
    let mut length = 0;
    while !request[..length].ends_with(b"\r\n\r\n") && length < request.len() {
        match stream.read(&mut request[length..]).await? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await?;
    stream.flush().await?;
    // The client closes, as it does with the other server.
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}
