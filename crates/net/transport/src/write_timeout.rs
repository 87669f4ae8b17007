//! A stream whose peer has to go on reading: one that takes no bytes for too long is given up, and one that has said goodbye is
//! not said goodbye to.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Wraps a stream so that a write, flush or shutdown that makes no progress for `limit` fails with [`ErrorKind::TimedOut`].
/// Reading may take as long as it likes.
///
/// Shutting down after the peer has ended its own direction writes nothing: HTTP's answers say themselves where they end, and nearly
/// every client is gone by then, so that the goodbye would only be answered by a reset.
#[derive(Debug)]
pub struct MustRead<S> {
    stream: S,
    limit: Duration,
    /// Whether the peer will send nothing more.
    ended: bool,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> MustRead<S> {
    /// Gives the peer of `stream` `limit` to take something.
    pub fn within(limit: Duration, stream: S) -> Self {
        Self {
            stream,
            limit,
            ended: false,
            stalled: None,
        }
    }

    fn judge<T>(&mut self, cx: &mut Context<'_>, written: Poll<Result<T>>) -> Poll<Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Error::new(
            ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MustRead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if room > 0 && matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before {
            self.ended = true;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MustRead<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judge(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.judge(cx, ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_slowly_is_waited_for_and_one_that_stops_is_not() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = MustRead::within(Duration::from_secs(30), near);
        let reader = tokio::spawn(async move {
            let mut four = [0; 4];
            for _ in 0..3 {
                // Virtual time: what is under test is a clock.
                sleep(Duration::from_secs(20)).await;
                far.read_exact(&mut four).await.unwrap();
            }
            far
        });
        near.write_all(&[7; 12]).await.unwrap();
        let far = reader.await.unwrap();
        let error = near.write_all(&[7; 12]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(far);
    }

    /// Counts how often it is shut down.
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
    async fn a_peer_that_said_goodbye_is_not_said_goodbye_to() {
        let limit = Duration::from_secs(30);
        let mut talking = MustRead::within(limit, Counting(b"PUT", 0));
        let mut three = [0; 3];
        talking.read_exact(&mut three).await.unwrap();
        talking.shutdown().await.unwrap();
        assert_eq!(talking.stream.1, 1);
        let mut gone = MustRead::within(limit, Counting(b"PUT", 0));
        gone.read_to_end(&mut Vec::new()).await.unwrap();
        gone.shutdown().await.unwrap();
        assert_eq!(gone.stream.1, 0);
    }
}
