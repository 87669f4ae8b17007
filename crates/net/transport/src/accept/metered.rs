//! Streams that count what their client sends: while it shakes hands, and of each request afterwards.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::unproven::Visit;

/// Bytes that a client may send before it is answered: a ClientHello has one or two KiB.
const MAX_HELLO: usize = 16 * 1024;
/// And until the handshake is done: the longest chain of certificates that is read, and what belongs to it.
const MAX_HANDSHAKE: usize = pki::MAX_CHAIN_BYTES + 32 * 1024;

/// A client that shakes hands and must not send more than that takes.
#[derive(Debug)]
pub struct Greeting<S> {
    stream: S,
    read: usize,
    most: usize,
}

impl<S> Greeting<S> {
    /// Nothing has been said yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read: 0,
            most: MAX_HELLO,
        }
    }

    /// The handshake is done: what comes now is counted by others.
    pub fn is_done(&mut self) {
        self.most = usize::MAX;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.read = self.read.saturating_add(buffer.filled().len() - before);
        if self.read > self.most {
            let why = "the handshake is longer than any that is read";
            return Poll::Ready(Err(Error::new(ErrorKind::InvalidData, why)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        // An answer to its hello.
        self.most = self.most.max(MAX_HANDSHAKE);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.most = self.most.max(MAX_HANDSHAKE);
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

/// Tells a visit what arrives, and ends the stream when that is too much.
#[derive(Debug)]
pub struct Metered<S> {
    stream: S,
    visit: Visit,
}

impl<S> Metered<S> {
    /// Counts what comes from the client of `visit`.
    pub fn new(stream: S, visit: Visit) -> Self {
        Self { stream, visit }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let counted = self.visit.arrived(buffer.filled().len() - before);
        Poll::Ready(counted.map_err(|much| Error::new(ErrorKind::InvalidData, much)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
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
        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        far.write_all(&[0; 60_000]).await.unwrap();
        let mut greeting = Greeting::new(near);
        let mut read = 0;
        let error = loop {
            match greeting.read(&mut [0; 4096]).await {
                Ok(length) => read += length,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(read <= MAX_HELLO, "{read}");

        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        far.write_all(&[0; 60_000]).await.unwrap();
        let mut greeting = Greeting::new(near);
        greeting.write_all(b"hello").await.unwrap();
        greeting.read_exact(&mut [0; 60_000]).await.unwrap();
    }
}
