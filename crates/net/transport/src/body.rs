//! Request bodies: they must arrive in time, and what a handler leaves unread is
//! taken off the connection.

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

/// Bytes of an unread body that are read and dropped, so that its client reads the response.
const MAX_UNREAD: u64 = 1024 * 1024;
/// The longest time for that.
const UNREAD_DEADLINE: Duration = Duration::from_secs(5);

/// Why a body is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the body did not arrive within {} s", .limit.as_secs())]
    Late {
        limit: Duration,
        /// Services tell a late body from a broken one by this source.
        source: std::io::Error,
    },
}

/// A body that fails after a deadline, however steadily its bytes arrive.
struct DeadlineBody<B> {
    /// `None` only while it is dropped.
    body: Option<B>,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    unread: UnreadBody<B>,
    owed: ResponseOwed,
    /// Whether a handler has begun to read.
    asked: bool,
    /// Whether the client sends the body only after "100 Continue".
    on_demand: bool,
}

/// Whether a request has arrived completely and is not answered yet.
#[derive(Debug, Clone, Default)]
pub struct ResponseOwed(Arc<AtomicBool>);

impl ResponseOwed {
    /// Writes to `owed`, which others read.
    pub fn shared(owed: Arc<AtomicBool>) -> Self {
        Self(owed)
    }

    pub fn set(&self, owed: bool) {
        self.0.store(owed, Ordering::Relaxed);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Holds a body that a handler did not read to its end.
pub struct UnreadBody<B = Incoming>(Arc<Mutex<Option<B>>>);

/// The body of a request, which has the time `limit` to arrive and sets `owed` when it is complete,
/// and where its unread rest will be. A body that is `on_demand` is sent only after "100 Continue".
pub fn with_deadline(
    body: Incoming,
    limit: Duration,
    owed: &ResponseOwed,
    on_demand: bool,
) -> (Body, UnreadBody) {
    let unread = UnreadBody(Arc::default());
    // Most requests have no body and need no timer.
    if body.is_end_stream() {
        owed.set(true);
        return (Body::empty(), unread);
    }
    let mut body = DeadlineBody::new(body, limit, &unread, owed.clone());
    body.on_demand = on_demand;
    (Body::new(body), unread)
}

impl<B> DeadlineBody<B> {
    fn new(body: B, limit: Duration, unread: &UnreadBody<B>, owed: ResponseOwed) -> Self {
        let (deadline, unread) = (Box::pin(sleep(limit)), UnreadBody(unread.0.clone()));
        Self {
            body: Some(body),
            limit,
            deadline,
            unread,
            owed,
            asked: false,
            on_demand: false,
        }
    }
}

impl<B: HttpBody<Data = Bytes> + Unpin> UnreadBody<B> {
    /// Reads and drops what a handler left, within limits, and calls `on_frame` for each piece. A
    /// server that closes before its client has sent everything resets the connection, and the
    /// client does not read the response.
    pub async fn discard(self, on_frame: impl Fn()) {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left.filter(|body| body.size_hint().lower() <= MAX_UNREAD) else {
            return;
        };
        let reading = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                on_frame();
                if read > MAX_UNREAD {
                    return;
                }
            }
        };
        // After the deadline the connection is closed with the rest unread.
        let _ = timeout(UNREAD_DEADLINE, reading).await;
    }
}

impl<B> Drop for DeadlineBody<B> {
    fn drop(&mut self) {
        // A late body is not waited for again, and a body that nothing asked for will not be sent.
        let will_not_come = self.on_demand && !self.asked;
        if !self.deadline.is_elapsed() && !will_not_come {
            let mut unread = self.unread.0.lock().unwrap_or_else(PoisonError::into_inner);
            *unread = self.body.take();
        }
    }
}

impl<B> HttpBody for DeadlineBody<B>
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
                    self.owed.set(true);
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

    fn body(
        frames: impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Unpin,
    ) -> impl HttpBody<Data = Bytes, Error = BodyError> {
        DeadlineBody::new(
            StreamBody::new(frames),
            LIMIT,
            &UnreadBody(Arc::default()),
            ResponseOwed::default(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_arrives_slowly_is_late_and_one_that_arrives_in_time_is_complete() {
        // Virtual time: what is under test is a clock.
        let drop_by_drop = |drops| {
            Box::pin(stream::iter(0..drops).then(async |_| {
                sleep(Duration::from_secs(1)).await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            }))
        };
        let whole = body(drop_by_drop(50)).collect().await.unwrap();
        assert_eq!(whole.to_bytes().len(), 50);
        let late = body(drop_by_drop(70)).collect().await;
        let late = late.unwrap_err();
        assert!(matches!(late, BodyError::Late { limit: LIMIT, .. }));
        assert!(wire::http::is_late(&late));
    }

    #[tokio::test]
    async fn what_a_handler_leaves_is_read_up_to_a_limit() {
        let sent = Arc::new(Mutex::new(0_u64));
        for (megabytes, read) in [(1, 1), (50, 2)] {
            let count = sent.clone();
            let frames = stream::iter(0..megabytes).map(move |_| {
                *count.lock().unwrap() += 1;
                Ok::<_, hyper::Error>(Frame::data(Bytes::from(vec![0; 1 << 20])))
            });
            let unread = UnreadBody(Arc::default());
            drop(DeadlineBody::new(
                StreamBody::new(frames),
                LIMIT,
                &unread,
                ResponseOwed::default(),
            ));
            let frames_read = std::cell::Cell::new(0);
            unread
                .discard(|| frames_read.set(frames_read.get() + 1))
                .await;
            assert_eq!(frames_read.get(), read);
            assert_eq!(std::mem::take(&mut *sent.lock().unwrap()), read);
        }
    }
}
