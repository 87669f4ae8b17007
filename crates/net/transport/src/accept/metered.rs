//! A stream that counts what its client sends, and ends when that is too much.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::unproven::TrackedConnection;

/// Bytes that a client may send before the server answers. A ClientHello has one or two KiB.
const MAX_HELLO: usize = 16 * 1024;
/// Bytes that it may send until the handshake is done: the longest certificate chain that is
/// read, and its messages.
const MAX_HANDSHAKE: usize = pki::MAX_CHAIN_BYTES + 32 * 1024;

/// Counts the bytes of a stream.
pub trait Meter {
    /// Counts `bytes` that were read. An error ends the stream.
    fn count_read(&mut self, bytes: usize) -> Result<()>;

    /// The server is about to write.
    fn before_write(&mut self) {}
}

/// Limits what a client sends during its TLS handshake.
#[derive(Debug)]
pub struct HandshakeMeter {
    read: usize,
    limit: usize,
}

impl Default for HandshakeMeter {
    fn default() -> Self {
        Self {
            read: 0,
            limit: MAX_HELLO,
        }
    }
}

impl HandshakeMeter {
    /// The handshake is done; nothing is limited from now on.
    pub fn stop(&mut self) {
        self.limit = usize::MAX;
    }
}

impl Meter for HandshakeMeter {
    fn count_read(&mut self, bytes: usize) -> Result<()> {
        self.read = self.read.saturating_add(bytes);
        if self.read > self.limit {
            let why = "the handshake is longer than any that is read";
            return Err(Error::new(ErrorKind::InvalidData, why));
        }
        Ok(())
    }

    /// The first write answers the ClientHello.
    fn before_write(&mut self) {
        self.limit = self.limit.max(MAX_HANDSHAKE);
    }
}

impl Meter for TrackedConnection {
    fn count_read(&mut self, bytes: usize) -> Result<()> {
        let counted = self.count_input(bytes);
        counted.map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }
}

/// A stream whose reads are counted by `M`.
#[derive(Debug)]
pub struct Metered<S, M> {
    stream: S,
    meter: M,
}

impl<S, M> Metered<S, M> {
    /// Counts what is read from `stream` with `meter`.
    pub fn new(stream: S, meter: M) -> Self {
        Self { stream, meter }
    }

    /// The meter that counts the stream's bytes.
    pub fn meter_mut(&mut self) -> &mut M {
        &mut self.meter
    }
}

impl<S: AsyncRead + Unpin, M: Meter + Unpin> AsyncRead for Metered<S, M> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.meter.count_read(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin, M: Meter + Unpin> AsyncWrite for Metered<S, M> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.meter.before_write();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.meter.before_write();
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_hello_without_end_is_not_read_to_its_end() {
        // H18: 61 KB of a ClientHello that is not finished took 95 KB.
        let (server, mut client) = tokio::io::duplex(1024 * 1024);
        client.write_all(&[0; 60_000]).await.unwrap();
        let mut stream = Metered::new(server, HandshakeMeter::default());
        let mut read = 0;
        let error = loop {
            match stream.read(&mut [0; 4096]).await {
                Ok(length) => read += length,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(read <= MAX_HELLO, "{read}");

        let (server, mut client) = tokio::io::duplex(1024 * 1024);
        client.write_all(&[0; 60_000]).await.unwrap();
        let mut stream = Metered::new(server, HandshakeMeter::default());
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut [0; 60_000]).await.unwrap();
    }
}
