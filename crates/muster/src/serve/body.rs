//! Request bodies that have to arrive in time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

/// Why the rest of a body is not waited for.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the body did not arrive within {} s", .0.as_secs())]
    Late(Duration),
}

/// A body that fails once its time is up, however steadily its bytes trickle.
struct Timely<B> {
    body: B,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// The body of a request, which has `limit` to arrive whole.
pub fn timely(body: Incoming, limit: Duration) -> Body {
    // Most requests carry none and need no timer.
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(Timely {
        body,
        limit,
        deadline: Box::pin(sleep(limit)),
    })
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
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| Ok(frame?))),
            Poll::Pending => {
                let late = self.deadline.as_mut().poll(cx);
                late.map(|()| Some(Err(BodyError::Late(self.limit))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn timely(
        frames: impl stream::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Unpin,
    ) -> impl HttpBody<Data = Bytes, Error = BodyError> {
        Timely {
            body: StreamBody::new(frames),
            limit: LIMIT,
            deadline: Box::pin(sleep(LIMIT)),
        }
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
        assert!(matches!(late, Err(BodyError::Late(LIMIT))));
    }
}
