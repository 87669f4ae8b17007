//! A stream whose peer has to read: a write that makes no progress for too long fails, and a peer
//! that has closed its own direction gets no farewell.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Makes a write, flush or shutdown that makes no progress for `limit` fail with
/// [`ErrorKind::TimedOut`]. Reading may take any time.
///
/// A shutdown after the peer has closed its own direction writes nothing. HTTP responses carry
/// their own length, and nearly every client is gone by then: the close-notify of TLS would only be
/// answered by a reset.
#[derive(Debug)]
pub struct WriteTimeout<S> {
    stream: S,
    limit: Duration,
    /// Whether the peer will send nothing more.
    read_ended: bool,
    /// Runs while a write waits for the peer.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteTimeout<S> {
    /// Gives the peer of `stream` the time `limit` to read something.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            read_ended: false,
            timer: None,
        }
    }

    /// The result of a write, or the time-out when it has waited for too long.
    fn poll_timed<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(
            ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let (before, capacity) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if capacity > 0 && matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before {
            self.read_ended = true;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.poll_timed(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.poll_timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.poll_timed(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.read_ended {
            return Poll::Ready(Ok(()));
        }
        let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.poll_timed(cx, ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_is_waited_for_and_one_that_does_not_read_is_not() {
        let (server, mut client) = tokio::io::duplex(4);
        let mut server = WriteTimeout::new(server, Duration::from_secs(30));
        let reader = tokio::spawn(async move {
            let mut four = [0; 4];
            for _ in 0..3 {
                // Virtual time: what is under test is a clock.
                sleep(Duration::from_secs(20)).await;
                client.read_exact(&mut four).await.unwrap();
            }
            client
        });
        server.write_all(&[7; 12]).await.unwrap();
        let client = reader.await.unwrap();
        let error = server.write_all(&[7; 12]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(client);
    }

    /// A stream that counts its shutdowns.
    #[derive(Default)]
    struct Counting(&'static [u8], usize);

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
            self.1 += 1;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_peer_that_has_closed_its_direction_gets_no_farewell() {
        let limit = Duration::from_secs(30);
        let mut talking = WriteTimeout::new(Counting(b"PUT", 0), limit);
        let mut three = [0; 3];
        talking.read_exact(&mut three).await.unwrap();
        talking.shutdown().await.unwrap();
        assert_eq!(talking.stream.1, 1);
        let mut gone = WriteTimeout::new(Counting(b"PUT", 0), limit);
        gone.read_to_end(&mut Vec::new()).await.unwrap();
        gone.shutdown().await.unwrap();
        assert_eq!(gone.stream.1, 0);
    }
}
