//! Request bodies: they have to arrive in time, and what nobody reads of them is taken off the connection.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep, timeout};

/// Bytes of an unread body that are taken off the connection, so that its client gets to read why it was refused.
const MOST_UNREAD: u64 = 1024 * 1024;
/// How long that may take.
const UNREAD_DEADLINE: Duration = Duration::from_secs(5);

/// Why the rest of a body is not waited for.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the body did not arrive within {} s", .limit.as_secs())]
    Late {
        limit: Duration,
        /// By it the services tell a late body from a broken one.
        source: std::io::Error,
    },
}

/// A body that fails once its time is up, however steadily its bytes trickle.
struct Timely<B> {
    /// `None` only while it is dropped.
    body: Option<B>,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    unread: Unread<B>,
    whole: Whole,
    /// Whether anything of it was asked for.
    asked: bool,
    /// Whether the client waits to be asked for it.
    on_demand: bool,
}

/// Whether a request has arrived whole and is not answered yet: what this server owes its client.
#[derive(Debug, Clone, Default)]
pub struct Whole(Arc<AtomicBool>);

impl Whole {
    /// One that others look at as well.
    pub fn shared(whole: Arc<AtomicBool>) -> Self {
        Self(whole)
    }

    /// Says whether it is so.
    pub fn set(&self, whole: bool) {
        self.0.store(whole, Ordering::Relaxed);
    }

    /// Whether it is so.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where a body is left by a handler that did not read it to its end.
pub struct Unread<B = Incoming>(Arc<Mutex<Option<B>>>);

/// The body of a request, which has `limit` to arrive and tells `whole` when it has, and the place where what is not read of it
/// will be. The client of a body `on_demand` sends it only when it is told to go on.
pub fn timely(body: Incoming, limit: Duration, whole: &Whole, on_demand: bool) -> (Body, Unread) {
    let unread = Unread(Arc::default());
    // Most requests carry none and need no timer.
    if body.is_end_stream() {
        whole.set(true);
        return (Body::empty(), unread);
    }
    let mut timely = Timely::new(body, limit, &unread, whole.clone());
    timely.on_demand = on_demand;
    (Body::new(timely), unread)
}

impl<B> Timely<B> {
    fn new(body: B, limit: Duration, unread: &Unread<B>, whole: Whole) -> Self {
        let (deadline, unread) = (Box::pin(sleep(limit)), Unread(unread.0.clone()));
        Self {
            body: Some(body),
            limit,
            deadline,
            unread,
            whole,
            asked: false,
            on_demand: false,
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> Unread<B> {
    /// Reads and forgets what a handler left, within limits, and tells `forgotten` of each piece. A server that closes before its client has sent everything resets
    /// the connection, and the answer with it.
    pub async fn discard(self, forgotten: impl Fn()) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left.filter(|body| body.size_hint().lower() <= MOST_UNREAD) else {
            return;
        };
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                forgotten();
                if read > MOST_UNREAD {
                    return;
                }
            }
        };
        // Too late is as good as done: the connection is closed then.
        let _ = timeout(UNREAD_DEADLINE, reading).await;
    }
}

impl<B> Drop for Timely<B> {
    fn drop(&mut self) {
        // What was late is not waited for again, and what nobody asked for is not asked for to be thrown away.
        let will_not_come = self.on_demand && !self.asked;
        if !self.deadline.is_elapsed() && !will_not_come {
            let mut unread = self.unread.0.lock().unwrap_or_else(PoisonError::into_inner);
            *unread = self.body.take();
        }
    }
}

impl<B> HttpBody for Timely<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    BodyError: From<B::Error>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.asked = true;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(frame) => {
                if frame.is_none() || body.is_end_stream() {
                    self.whole.set(true);
                }
                Poll::Ready(frame.map(|frame| Ok(frame?)))
            }
            Poll::Pending => {
                let late = self.deadline.as_mut().poll(cx);
                let limit = self.limit;
                late.map(|()| {
                    let source = std::io::ErrorKind::TimedOut.into();
                    Some(Err(BodyError::Late { limit, source }))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(HttpBody::size_hint)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http_body_util::StreamBody;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn timely(
        frames: impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Unpin,
    ) -> impl HttpBody<Data = Bytes, Error = BodyError> {
        Timely::new(
            StreamBody::new(frames),
            LIMIT,
            &Unread(Arc::default()),
            Whole::default(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_late_and_one_that_arrives_is_whole() {
        // Virtual time: what is under test is a clock.
        let drop_by_drop = |drops| {
            Box::pin(stream::iter(0..drops).then(async |_| {
                sleep(Duration::from_secs(1)).await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            }))
        };
        let whole = timely(drop_by_drop(50)).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 50);
        let late = timely(drop_by_drop(70)).collect().await;
        let late = late.unwrap_err();
        assert!(matches!(late, BodyError::Late { limit: LIMIT, .. }));
        assert!(wire::http::is_late(&late));
    }

    #[tokio::test]
    async fn what_a_handler_leaves_is_read_up_to_a_limit() {
        let taken = Arc::new(Mutex::new(0_u64));
        for (megabytes, read) in [(1, 1), (50, 2)] {
            let count = taken.clone();
            let frames = stream::iter(0..megabytes).map(move |_| {
                *count.lock().unwrap() += 1;
                Ok::<_, hyper::Error>(Frame::data(Bytes::from(vec![0; 1 << 20])))
            });
            let unread = Unread(Arc::default());
            drop(Timely::new(
                StreamBody::new(frames),
                LIMIT,
                &unread,
                Whole::default(),
            ));
            let forgotten = std::cell::Cell::new(0);
            unread.discard(|| forgotten.set(forgotten.get() + 1)).await;
            assert_eq!(forgotten.get() > 0, read > 0);
            assert_eq!(std::mem::take(&mut *taken.lock().unwrap()), read);
        }
    }
}
